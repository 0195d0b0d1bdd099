"""What every answer looks like: JSON, errors in one form whoever raises them, and the headers that keep browsers strict."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sottovoce import errors
from sottovoce.bugs import bug
from sottovoce.plain import plain

#: Pages and media set their own where they need more.
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
#: What HTTP itself refuses, which has no place among the studio's own errors.
_OF_HTTP: Mapping[int, tuple[str, str]] = {
    404: ("NOT_FOUND", "there is nothing at this address"),
    405: ("METHOD_NOT_ALLOWED", "this address does not answer to that method"),
    413: ("FILE_TOO_LARGE", "the body of the request is too large"),
    416: ("RANGE_NOT_SATISFIABLE", "the file has no such part"),
    421: ("MISDIRECTED", "this server does not answer to that name"),
}
_REFUSED = ("BAD_REQUEST", "the request cannot be understood")
_WHERE = "/openapi.json lists the addresses there are."


class Json(Response):
    """A JSON answer: plain ASCII, so that no text can break it; numbers that JSON lacks are null."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body."""
        return json.dumps(plain(content), allow_nan=False, separators=(",", ":")).encode("ascii")


class RefusedByHttp(Exception):
    """A request that is refused before the studio has a say, with a status that only HTTP has."""

    def __init__(self, status: int, hint: str) -> None:
        super().__init__(_OF_HTTP[status][1])
        self.status, self.hint = status, hint


def error_answer(error: errors.SottovoceError) -> Json:
    """An error of ours, with when to come back where it says so."""
    wait = error.details.get("retry_after", error.details.get("wait_seconds"))
    headers = {} if wait is None else {"Retry-After": str(max(1, round(wait)))}
    if isinstance(error, errors.Unauthorized):
        headers["WWW-Authenticate"] = 'Bearer realm="sottovoce"'
    return Json({"error": error.as_dict()}, error.http, headers)


def http_answer(status: int, headers: Mapping[str, str] | None = None, *, hint: str = "") -> Json:
    """A refusal of HTTP itself, in the form of ours."""
    code, message = _OF_HTTP.get(status, _REFUSED)
    told = hint or (_WHERE if status in (404, 405) else "")
    return Json({"error": {"code": code, "message": message, "hint": told, "details": {}}}, status, dict(headers or {}))


def crash_answer(error: Exception) -> Json:
    """A bug or a lost disk: the trace stays in the log, its id is told."""
    found = bug(error)
    if not isinstance(found, errors.Internal):
        return error_answer(found)
    name = found.details["log_id"]
    hint = f"Whoever runs this server finds its trace in the log, as entry {name}."
    return error_answer(errors.Internal("this is a bug of the server", hint=hint, details={"log_id": name}))


def invalid(error: RequestValidationError) -> errors.InvalidParameter:
    """What the framework says of a request's fields, as an error of ours."""
    if any(item["type"] == "json_invalid" for item in error.errors()):
        return errors.InvalidParameter("the body is no JSON", hint="Send one JSON object.")
    problems = [(_place(item["loc"]), item["msg"].removeprefix("Value error, ")) for item in error.errors()]
    field, message = problems[0]
    return errors.InvalidParameter(f"{field}: {message}" if field else message, details={"fields": dict(problems)})


def answer_errors(app: FastAPI) -> None:
    """Have every error answered in the one form."""

    async def ours(_request: Request, error: Exception) -> Response:
        assert isinstance(error, errors.SottovoceError)
        return error_answer(error)

    async def fields(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return error_answer(invalid(error))

    async def framework(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return http_answer(error.status_code, error.headers)

    app.add_exception_handler(errors.SottovoceError, ours)
    app.add_exception_handler(RequestValidationError, fields)
    app.add_exception_handler(HTTPException, framework)


class Boundary:
    """The outermost layer: puts the headers on every answer, and turns what nobody caught into one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        out = _Strict(send)
        try:
            await self.app(scope, receive, out)
        except RefusedByHttp as refused:
            await http_answer(refused.status, hint=refused.hint)(scope, receive, out)
        except errors.SottovoceError as error:
            if out.started:
                raise
            await error_answer(error)(scope, receive, out)
        except Exception as error:
            answer = crash_answer(error)
            # What has begun cannot be taken back: the connection is cut, so that half an answer is not taken for a whole one.
            if out.started:
                raise
            await answer(scope, receive, out)


class _Strict:
    """Sends an answer with the headers; plain words of the framework's become an error of our form."""

    def __init__(self, send: Send) -> None:
        self._send, self._replaced, self.started = send, False, False

    async def __call__(self, message: Message) -> None:
        if self._replaced:
            return
        if message["type"] == "http.response.start":
            self.started = True
            told = Headers(raw=message["headers"])
            if message["status"] >= 400 and told.get("content-type", "").startswith("text/plain"):
                await self._replace(message["status"], told)
                return
            headers = MutableHeaders(raw=message["headers"])
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)

    async def _replace(self, status: int, told: Headers) -> None:
        self._replaced = True
        kept = {"Content-Range": told["content-range"]} if "content-range" in told else {}
        answer = http_answer(status, {**kept, **HEADERS})
        await self._send({"type": "http.response.start", "status": status, "headers": answer.raw_headers})
        await self._send({"type": "http.response.body", "body": answer.body})


def _place(location: tuple[int | str, ...]) -> str:
    """The field's name without the part of the request it stands in."""
    return ".".join(str(part) for part in location[1:])

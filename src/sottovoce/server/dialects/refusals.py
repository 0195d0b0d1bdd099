"""Errors in the shapes that clients of other servers read."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ClassVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.responses import Response

from sottovoce import errors
from sottovoce.server.answers import Json, error_answer, invalid
from sottovoce.server.dialects.words import in_one

#: What of our own answer goes along: when to come back.
_KEPT = ("retry-after", "www-authenticate")


class DialectRoute(APIRoute):
    """A route that tells its errors as its dialect does (`body_of`); what the gate refuses keeps our shape."""

    #: What fields of the wrong kind are answered with.
    status_of_fields: ClassVar[int] = 422

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's own handler, its errors translated."""
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as error:
                return Json(self.body_of_fields(error), self.status_of_fields)
            except errors.SottovoceError as error:
                plain = error_answer(error)
                headers = {name: plain.headers[name] for name in _KEPT if name in plain.headers}
                return Json(self.body_of(error), plain.status_code, headers)

        return answered

    def body_of(self, error: errors.SottovoceError) -> Mapping[str, Any]:
        """The body for an error of ours."""
        raise NotImplementedError

    def body_of_fields(self, error: RequestValidationError) -> Mapping[str, Any]:
        """The body for fields of the wrong kind; as for any other error, unless a dialect has its own."""
        return self.body_of(invalid(error))


class DetailRoute(DialectRoute):
    """`{"detail": ...}`: words, or a list of the fields that are wrong, as servers made with FastAPI have it."""

    #: What this dialect says of some errors, in place of our words.
    fixed: ClassVar[Mapping[type[errors.SottovoceError], str]] = {}
    #: What it puts before our words.
    labels: ClassVar[Mapping[type[errors.SottovoceError], str]] = {}

    def body_of(self, error: errors.SottovoceError) -> Mapping[str, Any]:
        """Our words with the dialect's before them, or its own."""
        kind = type(error)
        if kind in self.fixed:
            return {"detail": self.fixed[kind]}
        if isinstance(error, errors.RequestError):
            return {"detail": [{"loc": ["body"], "msg": in_one(error.message, error.hint), "type": "value_error"}]}
        label = self.labels.get(kind)
        return {"detail": in_one(error.message, error.hint) if label is None else f"{label}: {error.message}"}

    def body_of_fields(self, error: RequestValidationError) -> Mapping[str, Any]:
        """Each field that is wrong, where it stands and why."""
        told = ("loc", "msg", "type")
        return {"detail": [{name: item[name] for name in told} for item in error.errors()]}


class ErrorRoute(DialectRoute):
    """`{"error": words}`, and 400 for what the request lacks."""

    status_of_fields: ClassVar[int] = 400

    def body_of(self, error: errors.SottovoceError) -> Mapping[str, Any]:
        """Cause and cure in one text."""
        return {"error": in_one(error.message, error.hint)}

"""The gate: every request passes it, so that a route nobody thought of is closed and not open."""

from __future__ import annotations

import ipaddress
import re

from anyio.to_thread import run_sync
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from sottovoce import errors
from sottovoce.server.access import PUBLIC, SAFE, Access, Caller, shows_token
from sottovoce.server.limits import Buckets, Weight, check_length, counted

#: What starts work, or tries a token. The dialects' own have a limit on what waits instead.
_HEAVY = re.compile(r"/api/(jobs|uploads|tracks|separate|processing/separate|jobs/[^/]+/retry)|/login")
#: What clients of other servers ask again and again; they give up for good when it is refused.
_POLLED = re.compile(r"/query_result|/jobs/[^/]+|/api/separate/[^/]+/progress")
#: What is sent for as long as something goes on: nobody can be told the head of it alone.
_ENDLESS = re.compile(r"/(events|progress)$")
_DIALECTS = frozenset(
    {"/release_task", "/format_input", "/create_random_sample", "/generate", "/generate/soundtrack", "/separate"}
)
#: Where the token may come in the body instead, which the route looks at.
_TOKEN_IN_BODY = frozenset({"/release_task", "/query_result", "/format_input", "/create_random_sample"})
_FILES = frozenset({"/api/uploads", "/api/separate", "/separate", "/release_task"})
#: A body of fields, and what a form has around a file.
_FIELDS_BYTES = 1 << 20


class Gate:
    """Lets requests in: the right name, the right page, a known caller, not too many, not too long. Routes find the caller in `scope`."""

    def __init__(self, app: ASGIApp, access: Access, rates: Buckets) -> None:
        self.app, self._access, self._rates = app, access, rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http":
            request = HTTPConnection(scope)
            self._access.check_host(request)
            self._access.check_origin(request)
            scope["caller"] = await run_sync(self._admitted, request)
            most = self._longest(scope["path"])
            check_length(request.headers, most)
            receive = counted(receive, most)
            if scope["method"] == "HEAD" and not _ENDLESS.search(scope["path"]):
                # Routes answer as to a GET, and the body stays here.
                scope = {**scope, "method": "GET"}
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        await self.app(scope, receive, send)

    def _admitted(self, request: HTTPConnection) -> Caller | None:
        """Who comes in, counted; None for anybody, where everybody may or the route looks for the token itself.

        Tries that fail count as much as what changes things.
        """
        method, path = request.scope["method"], request.scope["path"]
        address = f"at {_network(self._access.address(request))}"
        if (method, path) in PUBLIC:
            self._rates.take(_weight(method, path), address)
            return None
        if path in _TOKEN_IN_BODY and not shows_token(request) and not self._access.is_open_to(request):
            self._rates.take("reading", address)
            return None
        try:
            caller = self._access.caller(request)
        except errors.AccessError:
            self._rates.take("other", address)
            raise
        if not _POLLED.fullmatch(path):
            self._rates.take(_weight(method, path), f"of {caller.owner}", address)
        return caller

    def _longest(self, path: str) -> int:
        files = self._access.settings.max_upload_mb * 1_000_000 if path in _FILES else 0
        return files + _FIELDS_BYTES


def _weight(method: str, path: str) -> Weight:
    if method in SAFE or path in _DIALECTS:
        return "reading"
    return "heavy" if _HEAVY.fullmatch(path) else "other"


def _network(address: str) -> str:
    """Of an IPv6 address the part that is one customer's, who has all of the rest."""
    try:
        place = ipaddress.ip_address(address)
    except ValueError:
        return address
    return address if place.version == 4 else str(ipaddress.ip_network(f"{address}/64", strict=False))

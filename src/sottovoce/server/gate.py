"""The gate: every request passes it, so that a route nobody thought of is closed and not open."""

from __future__ import annotations

import ipaddress
import re

from anyio.to_thread import run_sync
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from sottovoce import errors
from sottovoce.server.access import PUBLIC, SAFE, Access, Caller
from sottovoce.server.limits import Buckets, Weight, check_length, counted

#: What starts work, or tries a token.
_HEAVY = re.compile(r"/api/(jobs|uploads|tracks|jobs/[^/]+/retry)|/login")
_UPLOAD = "/api/uploads"
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
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        await self.app(scope, receive, send)

    def _admitted(self, request: HTTPConnection) -> Caller | None:
        """Who comes in, counted; None for anybody, where everybody may. Tries that fail count as much as what changes things."""
        method, path = request.scope["method"], request.scope["path"]
        address = f"at {_network(self._access.address(request))}"
        if (method, path) in PUBLIC:
            self._rates.take(_weight(method, path), address)
            return None
        try:
            caller = self._access.caller(request)
        except errors.AccessError:
            self._rates.take("other", address)
            raise
        self._rates.take(_weight(method, path), f"of {caller.owner}", address)
        return caller

    def _longest(self, path: str) -> int:
        files = self._access.settings.max_upload_mb * 1_000_000 if path == _UPLOAD else 0
        return files + _FIELDS_BYTES


def _weight(method: str, path: str) -> Weight:
    if method in SAFE:
        return "reading"
    return "heavy" if _HEAVY.fullmatch(path) else "other"


def _network(address: str) -> str:
    """Of an IPv6 address the part that is one customer's, who has all of the rest."""
    try:
        place = ipaddress.ip_address(address)
    except ValueError:
        return address
    return address if place.version == 4 else str(ipaddress.ip_network(f"{address}/64", strict=False))

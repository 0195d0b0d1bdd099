"""Who a request comes from, and whether it may come in: the name it asks for, the page it was sent by, the token it carries."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from sottovoce import errors
from sottovoce.library.tokens import Role, Tokens
from sottovoce.server.answers import RefusedByHttp
from sottovoce.settings.serving import ServerSettings

#: The cookie of a browser that has shown a token.
COOKIE = "sotto_session"
#: Where clients of the MusicGen server show theirs.
KEY_HEADER = "x-api-key"
#: What is answered to everybody.
PUBLIC = frozenset({("GET", "/health"), ("HEAD", "/health"), ("POST", "/login")})
SAFE = frozenset({"GET", "HEAD"})

_OURS = frozenset({"localhost", "127.0.0.1", "[::1]"})
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")


@dataclass(frozen=True)
class Caller:
    """Who asks. `owner` is the token's id, empty for this machine's own user; to a user the things of others are not there."""

    owner: str
    name: str
    role: Role

    @property
    def sees(self) -> str | None:
        """Whose things this caller may see: None for everyone's."""
        return None if self.role == "admin" else self.owner


#: This machine's own user, where nobody needs a token.
LOCAL = Caller("", "local", "admin")


@dataclass(frozen=True)
class Access:
    """The rules of the settings, and the tokens."""

    settings: ServerSettings
    tokens: Tokens

    def check_host(self, request: HTTPConnection) -> None:
        """RefusedByHttp unless the request asks for a name of this server: another name is a page that plays tricks with DNS."""
        hosts = request.headers.getlist("host")
        name = _without_port(hosts[0]) if len(hosts) == 1 else ""
        known = _OURS | {_without_port(host.lower()) for host in self.settings.hosts}
        if name.lower() not in known:
            raise RefusedByHttp(421, f"Add the name to server.hosts: it answers to {', '.join(sorted(known))}.")

    def check_origin(self, request: HTTPConnection) -> None:
        """Forbidden for what a page of another site would have a browser do in its user's name."""
        headers = request.headers
        if request.scope["method"] in SAFE or shows_token(request):
            return
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
        foreign = origin is not None and urlsplit(origin).netloc.lower() != headers["host"].lower()
        if foreign or site != "same-origin":
            raise errors.Forbidden(
                "this came from a page of another site", hint="Send it with a token: `Authorization: Bearer TOKEN`."
            )

    def caller(self, request: HTTPConnection) -> Caller:
        """Who asks; Unauthorized without a token where one is needed. A token that is shown counts, whatever else comes along."""
        shown = request.headers.get("authorization")
        if shown is not None:
            return self.holder(_bearer(shown))
        key = request.headers.get(KEY_HEADER)
        if key is not None and not self.is_open_to(request):
            return self._holder_of_key(key)
        cookie = request.cookies.get(COOKIE)
        token = self.tokens.session(cookie) if cookie else None
        if token is not None:
            return Caller(token.id, token.name, token.role)
        if self.is_open_to(request):
            return LOCAL
        raise errors.Unauthorized(
            "a token is needed here",
            hint="`sotto token create NAME` makes one; send it as `Authorization: Bearer TOKEN`.",
        )

    def holder(self, secret: str) -> Caller:
        """Whose token this is; Unauthorized if it is nobody's."""
        token = self.tokens.verify(secret.strip())
        if token is None:
            raise errors.Unauthorized(
                "this token is not known here", hint="`sotto token list` shows the tokens there are."
            )
        return Caller(token.id, token.name, token.role)

    def is_open_to(self, request: HTTPConnection) -> bool:
        """Whether no token is needed: a server for this machine alone, asked by it and not by a proxy, and no token made."""
        direct = is_loopback(_peer(request)) and not any(name in request.headers for name in _FORWARDED)
        return is_alone(self.settings) and direct and not self.tokens.exist()

    def address(self, request: HTTPConnection) -> str:
        """Where a request comes from: of those that came by a trusted proxy, what the last of these says."""
        peer = _peer(request)
        hops = [part.strip() for value in request.headers.getlist("x-forwarded-for") for part in value.split(",")]
        while hops and self._trusted(peer) and _parsed(hops[-1]) is not None:
            peer = hops.pop()
        return peer

    def secure(self, request: HTTPConnection) -> bool:
        """Whether the browser came by HTTPS."""
        if request.scope.get("scheme") == "https":
            return True
        return self._trusted(_peer(request)) and request.headers.get("x-forwarded-proto") == "https"

    def _holder_of_key(self, key: str) -> Caller:
        """Clients of the MusicGen server know a wrong key by 403."""
        try:
            return self.holder(key)
        except errors.Unauthorized as error:
            raise errors.Forbidden(error.message, hint=error.hint) from None

    def _trusted(self, address: str) -> bool:
        place = _parsed(address)
        networks = (ipaddress.ip_network(proxy, strict=False) for proxy in self.settings.trusted_proxies)
        return place is not None and any(place in network for network in networks)


def is_alone(settings: ServerSettings) -> bool:
    """Whether a server with these settings is for this machine itself and nobody else."""
    return is_loopback(settings.host) and not settings.hosts and not settings.trusted_proxies


def is_loopback(host: str) -> bool:
    """Whether only this machine itself can reach that address."""
    place = _parsed(host)
    return host == "localhost" or (place is not None and place.is_loopback)


def shows_token(request: HTTPConnection) -> bool:
    """Whether a request carries a token in a header, which no page of another site can make a browser do."""
    return "authorization" in request.headers or KEY_HEADER in request.headers


def _bearer(shown: str) -> str:
    """The token in an Authorization header. Clients of ACE-Step may send it bare."""
    scheme, _, secret = shown.strip().rpartition(" ")
    return secret if scheme.lower() in ("", "bearer") else ""


def _peer(request: HTTPConnection) -> str:
    return request.client.host if request.client else ""


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        place = ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        return None
    mapped = place.ipv4_mapped if isinstance(place, ipaddress.IPv6Address) else None
    return mapped or place


def _without_port(host: str) -> str:
    """The name in a Host header; an IPv6 address keeps its brackets."""
    if host.startswith("["):
        return host[: host.find("]") + 1]
    return host.rpartition(":")[0] if ":" in host else host

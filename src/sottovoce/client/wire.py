"""What every call to a server shares: the address, the token, what may be sent again and when, and errors that become ours again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import httpx

from sottovoce import errors

T = TypeVar("T")

#: A track in another format is made before its first byte is sent, and an upload is looked at before it is answered.
TIMEOUT = httpx.Timeout(300.0, connect=10.0)
_NAME_IT = "Name the address that `sotto serve` listens on, such as http://localhost:8420."
_START_IT = "Start `sotto serve` there, or name the right address."
#: Pauses before a call is sent again, in seconds, and how long a server may ask us to stay away.
_PAUSES = (0.2, 1.0)
_LONGEST_AWAY = 120.0
_MOST_AWAY = 10
#: Answers of something in between, while the studio behind it does not answer.
_BEHIND = frozenset({502, 503, 504})


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, and what its answer means. `repeatable`: sent twice, it does no more than sent once; `public`: it needs no token."""

    method: str
    path: str
    read: Callable[[Any], T]
    params: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    file: tuple[str, Any] | None = None
    repeatable: bool = True
    public: bool = False

    def sent(self, token: str | None, **headers: str) -> dict[str, Any]:
        """What httpx is to send."""
        shown = {} if token is None or self.public else {"Authorization": f"Bearer {token}"}
        # Empty parameters would take away those that stand in the path.
        told: dict[str, Any] = {"params": self.params or None, "headers": {**self.headers, **shown, **headers}}
        if self.body is not None:
            told["json"] = self.body
        if self.file is not None:
            self.file[1].seek(0)
            told["files"] = {"file": self.file}
        return told


def checked_address(url: str) -> str:
    """The address of a server as it is used; InvalidParameter if it is none."""
    try:
        place = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise errors.InvalidParameter(f"{url!r} is no address of a server: {error}", hint=_NAME_IT) from None
    if place.scheme not in ("http", "https") or not place.host:
        raise errors.InvalidParameter(f"{url!r} is no address of a server", hint=_NAME_IT)
    if place.userinfo or place.query or place.fragment:
        raise errors.InvalidParameter(
            "the address of a server has no user, question or fragment in it", hint="A token is given on its own."
        )
    return str(place).rstrip("/")


def same_origin(one: str, other: str) -> bool:
    """Whether two addresses are of one server: scheme, host and port."""
    first, second = httpx.URL(one), httpx.URL(other)
    return (first.scheme, first.host, first.port) == (second.scheme, second.host, second.port)


def checked_token(token: str | None) -> str | None:
    """A token without what stands around it in a file; InvalidParameter if it can be none."""
    plain = (token or "").strip()
    if not (plain.isascii() and plain.isprintable()) or " " in plain:
        raise errors.InvalidParameter(
            "the token has characters that no token has", hint="`sotto token create NAME` makes one."
        )
    return plain or None


class Tries:
    """How often a call is sent, and how long to wait before the next time; `pauses` once something has come of it."""

    def __init__(self, place: str, call: Call[Any], pauses: Sequence[float] = _PAUSES) -> None:
        self._place, self._call, self._later = place, call, pauses
        self._pauses: Sequence[float] = _PAUSES
        self._broken = self._away = 0

    def went_well(self) -> None:
        """Something came: what broke before does not count any more."""
        self._broken = self._away = 0
        self._pauses = self._later

    def after(self, error: httpx.RequestError) -> float:
        """The pause before a broken call is sent again; RemoteFailed if it is not."""
        never_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        if self._broken >= len(self._pauses) or not (self._call.repeatable or never_sent):
            raise unreachable(self._place, error)
        self._broken += 1
        return self._pauses[self._broken - 1]

    def told(self, answer: httpx.Response) -> float | None:
        """The pause that an answer asks for; None if it is to be read. Only what changes nothing is sent again."""
        wait = _seconds(answer.headers.get("retry-after"))
        if self._call.method != "GET":
            return None
        if answer.status_code == 429 and wait is not None and wait <= _LONGEST_AWAY and self._away < _MOST_AWAY:
            self._away += 1
            return wait
        if answer.status_code in _BEHIND and self._broken < len(self._pauses):
            self._broken += 1
            return self._pauses[self._broken - 1]
        return None


def content_of(call: Call[T], answer: httpx.Response, place: str) -> T:
    """What an answer means; the error in it is raised."""
    if not answer.is_success:
        raise refusal(answer, place)
    try:
        told = answer.json()
    except ValueError:
        raise _foreign(answer, place) from None
    try:
        return call.read(told)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise errors.RemoteFailed(
            f"what {place} answers is not what this version understands", hint="Bring both to the same version."
        ) from None


def refusal(answer: httpx.Response, place: str) -> errors.SottovoceError:
    """The error in an answer, whose body has been read: the same that the server raised."""
    if answer.is_redirect:
        return errors.RemoteFailed(
            f"{place} sends its callers on to {answer.headers.get('location', '')[:200]}, which is not followed",
            hint="If you trust that address, name it instead.",
        )
    told = _error_in(answer)
    if told is None:
        return _foreign(answer, place)
    kind = errors.catalogue().get(told["code"])
    if kind is not None:
        return kind(told["message"], hint=told["hint"], details=told["details"])
    return errors.RemoteFailed(f"{place}: {told['message']}", hint=told["hint"], details=told["details"])


def error_of(told: Mapping[str, Any]) -> errors.SottovoceError:
    """The error that ended a job."""
    kind = errors.catalogue().get(told["code"], errors.RemoteFailed)
    return kind(told["message"], hint=told["hint"], details=dict(told["details"]))


def unreachable(place: str, error: httpx.RequestError) -> errors.RemoteFailed:
    """Why a server cannot be asked."""
    reason = str(error) or type(error).__name__
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return errors.RemoteFailed(f"no server answers at {place} ({reason})", hint=_START_IT)
    if isinstance(error, httpx.TimeoutException):
        return errors.RemoteFailed(f"the server at {place} has said nothing for too long", hint="Try again later.")
    return errors.RemoteFailed(f"the connection to {place} broke off ({reason})", hint="Try again.")


class Deadline:
    """When waiting ends; never, without seconds."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    def check(self) -> None:
        """TimedOut if it is over."""
        if self._end is not None and time.monotonic() >= self._end:
            raise errors.TimedOut(
                f"the job is not over after {self._seconds:g} s", hint="It goes on; wait for it again, or cancel it."
            )

    def within(self, seconds: float) -> float:
        """So many seconds, or what is left if that is less."""
        return seconds if self._end is None else max(0.01, min(seconds, self._end - time.monotonic()))


def _error_in(answer: httpx.Response) -> Mapping[str, Any] | None:
    """The error of our form in an answer, if it has one."""
    try:
        told = answer.json()["error"]
        kinds = {"code": str, "message": str, "hint": str, "details": dict}
        return told if all(isinstance(told[name], kind) for name, kind in kinds.items()) else None
    except (ValueError, KeyError, TypeError):
        return None


def _foreign(answer: httpx.Response, place: str) -> errors.RemoteFailed:
    if answer.status_code in _BEHIND:
        return errors.RemoteFailed(
            f"{place} answers {answer.status_code}: the studio behind it does not answer", hint=_START_IT
        )
    return errors.RemoteFailed(
        f"{place} is no server of this kind: it answers {answer.status_code} in a form of its own", hint=_NAME_IT
    )


def _seconds(text: str | None) -> float | None:
    """What Retry-After says in seconds; its other form, a date, counts as nothing said."""
    return float(text) if text is not None and text.isdecimal() else None

"""How much of the server one caller may have: requests a minute, bytes a request, and heavy work at once."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from sottovoce import errors

Weight = Literal["heavy", "other", "reading"]

#: Reading costs a tenth: a page of the library is dozens of requests.
READINGS_PER_REQUEST = 10
#: Callers that are remembered; the one that was quiet for longest is forgotten first, and its bucket would be full by then.
_REMEMBERED = 10_000


class Buckets:
    """A bucket of tokens for each caller and weight: full at first, refilled evenly, empty means wait."""

    def __init__(self, per_minute: Mapping[Weight, int], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._levels: OrderedDict[tuple[Weight, str], tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, weight: Weight, *callers: str) -> None:
        """One request by a caller under each of its names (token, address); RateLimited says when the next one is welcome."""
        with self._lock:
            now = self._clock()
            levels = {(weight, caller): self._level((weight, caller), now) for caller in callers}
            lowest = min(levels.values())
            if lowest < 1:
                raise self._refusal(weight, (1 - lowest) * 60 / self._per_minute[weight])
            for key, level in levels.items():
                self._levels[key] = (level - 1, now)
                self._levels.move_to_end(key)
            while len(self._levels) > _REMEMBERED:
                self._levels.popitem(last=False)

    def _level(self, key: tuple[Weight, str], now: float) -> float:
        most = self._per_minute[key[0]]
        level, then = self._levels.get(key, (float(most), now))
        return min(float(most), level + (now - then) * most / 60)

    def _refusal(self, weight: Weight, wait: float) -> errors.RateLimited:
        what = "jobs and uploads" if weight == "heavy" else "requests"
        return errors.RateLimited(
            f"more than {self._per_minute[weight]} {what} in a minute",
            hint=f"Try again in {max(1, round(wait))} s.",
            details={"retry_after": round(wait, 1)},
        )


def buckets(rate: int, heavy: int, *, clock: Callable[[], float] = time.monotonic) -> Buckets:
    """Buckets for the rates of the settings."""
    return Buckets({"heavy": heavy, "other": rate, "reading": READINGS_PER_REQUEST * rate}, clock=clock)


class Slots:
    """Work of which only so much is done at once; who comes when all is taken, and stays so, is told to come back."""

    def __init__(self, count: int, *, wait: float = 0.0) -> None:
        self._free, self._wait = threading.BoundedSemaphore(count), wait

    @contextmanager
    def taken(self) -> Iterator[None]:
        """A slot for the block; RateLimited if there is none."""
        if not self._free.acquire(timeout=self._wait):
            raise errors.RateLimited(
                "the server has its hands full", hint="Try again in a moment.", details={"retry_after": 5}
            )
        try:
            yield
        finally:
            self._free.release()


def check_length(headers: Headers, most: int) -> None:
    """FileTooLarge if a request says itself that its body is longer."""
    said = headers.get("content-length", "")
    if said.isdecimal() and int(said) > most:
        raise errors.FileTooLarge(
            f"the request has {int(said) / 1e6:.1f} MB; at most {most / 1e6:.0f} MB are taken here",
            hint="Send less; for files server.max_upload_mb sets the limit.",
        )


def counted(receive: Receive, most: int) -> Receive:
    """The same body, which ends in an error of HTTP's as soon as it is longer than `most` bytes, whatever it said of itself."""
    size = 0

    async def next_message() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > most:
            raise HTTPException(413)
        return message

    return next_message

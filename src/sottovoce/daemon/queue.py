"""The tracks to be made, in memory: one on its way, few waiting, those of high priority first."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sottovoce import errors
from sottovoce.progress import Progress

if TYPE_CHECKING:
    from sottovoce.tasks.generate import Generate


@dataclass(frozen=True)
class Wish:
    """A track that was asked for: the id it goes by, the request, the backend that is expected to make it, and its length."""

    track_id: str
    request: Generate
    backend: str
    seconds: float
    high: bool = False

    @property
    def seed(self) -> int:
        """The seed it is made with."""
        assert self.request.seed is not None, "the seed is drawn when the wish is read"
        return self.request.seed


@dataclass(eq=False)
class Entry:
    """A wish in the queue, and how far it is. `held` counts the answers about it that are not written yet: it neither begins nor ends before."""

    wish: Wish
    number: int
    high: bool
    held: int = 1
    cancelled: bool = False
    begun: float | None = None
    heard: float | None = None
    percent: float = 0.0
    stage: str = "start"
    step: int | None = None
    total: int | None = None

    def hear(self, progress: Progress) -> None:
        """Note how far it is; it never falls back, and 100 is for what lies in the library."""
        self.heard = time.monotonic() if self.heard is None else self.heard
        self.percent = max(self.percent, min(99.0, progress.percent))
        self.stage, self.step, self.total = progress.stage, progress.step, progress.total

    def elapsed(self) -> float:
        """Seconds since the work began."""
        return 0.0 if self.begun is None else time.monotonic() - self.begun

    def left(self, expected: float | None) -> float | None:
        """Seconds until it is done: by its own progress since the runner was ready, or before there is any, by what is expected of the whole."""
        if self.percent > 0 and self.heard is not None:
            return (time.monotonic() - self.heard) * (100 - self.percent) / self.percent
        return None if expected is None else max(0.0, expected - self.elapsed())


@dataclass(frozen=True)
class Place:
    """Where a wish stands: 0 on its way, 1 next, ..."""

    entry: Entry
    position: int

    @property
    def status(self) -> str:
        """As `generate` answers it."""
        return "queued" if self.position else "generating"


@dataclass
class Pace:
    """How many seconds of work a second of music took each backend the last time."""

    known: dict[str, float] = field(default_factory=dict)

    def note(self, wish: Wish, seconds: float) -> None:
        """Remember how long a track took."""
        self.known[wish.backend] = seconds / wish.seconds

    def expected(self, wish: Wish) -> float | None:
        """How long a track will take; None if nothing like it was made yet."""
        pace = self.known.get(wish.backend)
        return None if pace is None else pace * wish.seconds


class Queue:
    """The queue; every method may be called from any thread."""

    def __init__(self, max_pending: int) -> None:
        self.max_pending = max_pending
        self.pace = Pace()
        self._current: Entry | None = None
        self._waiting: list[Entry] = []
        self._count = 0
        self._closed = False
        self._changed = threading.Condition()

    def add(self, wish: Wish) -> Place:
        """Queue a wish; it is held until `release`. QueueFull says at which place it would stand, and how long it would wait."""
        with self._changed:
            if self._current is not None and len(self._waiting) >= self.max_pending:
                raise self._full()
            self._count += 1
            entry = Entry(wish, self._count, wish.high)
            self._waiting.append(entry)
            self._order()
            return self._place(entry)

    def join(self, wish: Wish) -> Place | None:
        """The place of a wish that is here already, held until `release`; it moves forward if it is wished more urgently now."""
        with self._changed:
            entry = next((each for each in self._all() if each.wish.track_id == wish.track_id), None)
            if entry is None or entry.cancelled:
                return None
            entry.held += 1
            entry.high = entry.high or wish.high
            self._order()
            return self._place(entry)

    def release(self, entry: Entry) -> None:
        """The answer about it is written."""
        with self._changed:
            entry.held -= 1
            self._changed.notify_all()

    def take(self) -> Entry | None:
        """The entry to work on, once there is one; None when the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (self._current is not None and not self._current.held))
            if self._closed or self._current is None:
                return None
            self._current.begun = time.monotonic()
            return self._current

    def seal(self, entry: Entry) -> None:
        """From here on it cannot be cancelled, as its track is being filed; Cancelled if it was before."""
        with self._changed:
            if entry.cancelled:
                raise errors.Cancelled("the generation was cancelled")
            entry.percent = 99.0
            entry.stage = "publish"

    def finish(self, entry: Entry) -> None:
        """The entry is over, and the next one moves up; waits for answers about it that are being written."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not entry.held)
            self._current = None
            self._order()
            self._changed.notify_all()

    def cancel(self, track_id: str, *, waiting_only: bool = False) -> Entry | None:
        """Cancel a track: one that waits is gone, one on its way is marked `cancelled`; None if there is nothing to cancel."""
        with self._changed:
            for entry in self._waiting:
                if entry.wish.track_id == track_id:
                    self._waiting.remove(entry)
                    return entry
            current = self._current
            if waiting_only or current is None or current.wish.track_id != track_id:
                return None
            if current.stage == "publish" or current.cancelled:
                return None
            current.cancelled = True
            return current

    def clear(self) -> list[Entry]:
        """Drop all that wait; those dropped."""
        with self._changed:
            dropped, self._waiting = self._waiting, []
            return dropped

    def generates(self, track_id: str) -> bool:
        """Whether a track is on its way now."""
        with self._changed:
            return self._current is not None and self._current.wish.track_id == track_id

    def snapshot(self) -> tuple[Entry | None, tuple[Entry, ...]]:
        """What is on its way, and what waits, in order."""
        with self._changed:
            return self._current, tuple(self._waiting)

    @property
    def closed(self) -> bool:
        """Whether nobody waits for anything any more."""
        return self._closed

    def close(self) -> None:
        """Nothing more is begun."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def _all(self) -> list[Entry]:
        return [*([self._current] if self._current else []), *self._waiting]

    def _order(self) -> None:
        """High before normal, each as they came; the first moves up if nothing is on its way."""
        self._waiting.sort(key=lambda entry: (not entry.high, entry.number))
        if self._current is None and self._waiting:
            self._current = self._waiting.pop(0)

    def _place(self, entry: Entry) -> Place:
        return Place(entry, 0 if entry is self._current else self._waiting.index(entry) + 1)

    def _full(self) -> errors.QueueFull:
        wait = math.ceil(sum(self._left(entry) for entry in self._all()))
        details: Mapping[str, Any] = {
            "position": len(self._waiting) + 1,
            "estimated_wait_sec": wait,
            "max_pending": self.max_pending,
        }
        return errors.QueueFull(
            f"{len(self._waiting)} tracks wait already; this one would have to wait for about {wait} s",
            hint="Try again later, or cancel one of them.",
            details=dict(details),
        )

    def _left(self, entry: Entry) -> float:
        """Seconds of work left; of a backend that was never measured, as many as the music has."""
        left = entry.left(self.pace.expected(entry.wish))
        return entry.wish.seconds if left is None else left

"""How far a run is, told by the seconds its parts take: what was measured counts, what is to come is expected."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from sottovoce.engines.base import Run
from sottovoce.progress import Progress

#: 100 is for when the take is handed over.
_MOST = 99.9


class Course:
    """The stages of a run with the seconds each is expected to take, in their order.

    Where a stage stands is said by `at`; how long its steps took so far is how long the others are taken to last. The percentage never
    falls.
    """

    def __init__(self, run: Run, expected: Mapping[str, float], clock: Callable[[], float] = time.monotonic) -> None:
        self._run, self._clock = run, clock
        self._expected = dict(expected)
        self._shares = dict.fromkeys(expected, 0.0)
        self._now: str | None = None
        self._begun = self._first = 0.0
        self._percent = 0.0
        #: Seconds that each finished stage took.
        self.took: dict[str, float] = {}

    def at(self, stage: str, done: float, total: int) -> None:
        """So many of a stage's steps are done; raises what the run's callback raises (Cancelled)."""
        now = self._clock()
        if stage != self._now:
            self._close(now)
            self._now, self._begun, self._first = stage, now, 0.0
        elapsed = now - self._begun
        if done >= 1:
            self._first = self._first or elapsed / done
            # The first step may stand for others in which libraries get ready.
            each = (elapsed - self._first) / (done - 1) if done > 1 else self._first
            self._expected[stage] = max(elapsed, self._first + each * (total - 1))
        self._shares[stage] = min(1.0, done / max(1, total))
        self._report(stage, int(done), total)

    def end(self) -> None:
        """All of it is done."""
        self._close(self._clock())

    def _close(self, now: float) -> None:
        if self._now is not None:
            took = now - self._begun
            self.took[self._now] = self._expected[self._now] = took
            self._shares[self._now] = 1.0
            self._now = None

    def _report(self, stage: str, done: int, total: int) -> None:
        whole = sum(self._expected.values())
        so_far = sum(seconds * self._shares[name] for name, seconds in self._expected.items())
        self._percent = min(_MOST, max(self._percent, 100 * so_far / max(whole, 1e-9)))
        self._run.progress(Progress(stage, self._percent, done, total, eta=round(max(0.0, whole - so_far), 1)))

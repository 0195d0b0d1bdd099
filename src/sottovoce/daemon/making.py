"""The thread that makes the tracks, one after the other: a runner renders, this files, and the client is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sottovoce import errors
from sottovoce.bugs import bug
from sottovoce.daemon.protocol import wire_code
from sottovoce.daemon.queue import Entry, Queue
from sottovoce.daemon.shelf import completed
from sottovoce.progress import OnProgress, Progress

if TYPE_CHECKING:
    from sottovoce.library.track import Track
    from sottovoce.tasks.outcome import Outcome
    from sottovoce.worker.messages import Order

#: Seconds between two notifications of progress at least.
_PAUSE = 0.25


class Runner(Protocol):
    """Who does the work, in a process of its own."""

    def run(self, order: Order, report: OnProgress, *, budget_seconds: float | None = None) -> Outcome:
        """Do an order; Cancelled after `cancel`, or what went wrong."""

    def cancel(self) -> None:
        """Stop what is being done; from any thread, returns at once."""

    def close(self) -> None:
        """End the process."""


class Notify(Protocol):
    """Tells the client something that it did not ask for."""

    def __call__(self, method: str, params: Mapping[str, Any], *, passing: bool = False) -> None:
        """Send a notification; one that is `passing` may be left out."""


class Workshop(Protocol):
    """Where tracks are made and kept."""

    def scratch(self) -> AbstractContextManager[Path]:
        """An empty folder that is gone afterwards."""

    def publish(self, track_id: str, outcome: Outcome) -> Track:
        """File what was made, so that it is found by that id."""

    def budget(self) -> float:
        """How many seconds a track may take."""


@dataclass(frozen=True)
class Making:
    """Takes wishes from the queue, has them made by the runner, and files them."""

    queue: Queue
    runner: Runner
    workshop: Workshop
    notify: Notify

    def start(self) -> threading.Thread:
        """Begin; the thread ends when the queue is closed."""
        thread = threading.Thread(target=self._work, name="making", daemon=True)
        thread.start()
        return thread

    def _work(self) -> None:
        while (entry := self.queue.take()) is not None:
            method, params = self._made(entry)
            self.queue.finish(entry)
            if self.queue.closed:
                return
            if method == "generation_error" and entry.cancelled:
                tell_cancelled(self.notify, entry)
            else:
                self.notify(method, params)

    def _made(self, entry: Entry) -> tuple[str, Mapping[str, Any]]:
        """Make a track; what the client is to be told of it."""
        try:
            track = self._track(entry)
        except errors.SottovoceError as error:
            return "generation_error", _failed(entry, error)
        except Exception as error:  # noqa: BLE001 - the process boundary: logs the trace and reports
            return "generation_error", _failed(entry, bug(error))
        self.queue.pace.note(entry.wish, entry.elapsed())
        return "generation_complete", completed(entry.wish.track_id, track, entry.elapsed())

    def _track(self, entry: Entry) -> Track:
        from sottovoce.worker.messages import Order

        self.notify("generation_progress", _progress(entry, self.queue), passing=True)
        with self.workshop.scratch() as folder:
            request = entry.wish.request
            name = f"{entry.wish.track_id}-{entry.number}"
            order = Order(name, request.kind, request.model_dump(mode="json"), folder)
            if entry.cancelled:
                raise errors.Cancelled("the generation was cancelled")
            outcome = self.runner.run(order, self._reporter(entry), budget_seconds=self.workshop.budget())
            self.queue.seal(entry)
            return self.workshop.publish(entry.wish.track_id, outcome)

    def _reporter(self, entry: Entry) -> OnProgress:
        told = time.monotonic()

        def report(progress: Progress) -> None:
            nonlocal told
            entry.hear(progress)
            if entry.cancelled:
                # Again, as the first time may have come before the runner had begun.
                self.runner.cancel()
            elif time.monotonic() - told >= _PAUSE:
                told = time.monotonic()
                self.notify("generation_progress", _progress(entry, self.queue), passing=True)

        return report


def tell_cancelled(notify: Notify, entry: Entry) -> None:
    """Tell the client that a track will not come, in both ways that clients listen for."""
    track_id = entry.wish.track_id
    steps = {"at_step": entry.step or 0, "total_steps": entry.total or 0}
    notify("generation_cancelled", {"track_id": track_id, **steps})
    notify("generation_error", _failed(entry, errors.Cancelled("the generation was cancelled")))


def _failed(entry: Entry, error: errors.SottovoceError) -> Mapping[str, Any]:
    hint = {"hint": error.hint} if error.hint else {}
    return {"track_id": entry.wish.track_id, "code": wire_code(error), "message": error.message, **hint}


def _progress(entry: Entry, queue: Queue) -> Mapping[str, Any]:
    left = entry.left(queue.pace.expected(entry.wish))
    known = {
        "current_step": entry.step,
        "total_steps": entry.total,
        "eta_sec": None if left is None else round(left, 1),
    }
    told = {name: value for name, value in known.items() if value is not None}
    return {"track_id": entry.wish.track_id, "percent": int(entry.percent), "stage": entry.stage, **told}

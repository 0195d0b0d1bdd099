"""The order of the queue, and who is told what when."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sottovoce import errors
from sottovoce.daemon.making import Making
from sottovoce.daemon.queue import Queue, Wish
from sottovoce.progress import OnProgress, Progress
from sottovoce.tasks.generate import Generate
from sottovoce.tasks.outcome import Outcome
from sottovoce.worker.messages import Order


def wish(name: str, *, high: bool = False, seconds: float = 10.0) -> Wish:
    return Wish(name, Generate(prompt=name, seed=1, options={}), "composer", seconds, high)


def add(queue: Queue, *names: str, high: bool = False) -> list[int]:
    places = [queue.add(wish(name, high=high)) for name in names]
    for place in places:
        queue.release(place.entry)
    return [place.position for place in places]


def waiting(queue: Queue) -> list[str]:
    return [entry.wish.track_id for entry in queue.snapshot()[1]]


def test_the_first_is_on_its_way_and_the_others_wait_in_order() -> None:
    queue = Queue(5)
    assert add(queue, "a", "b", "c") == [0, 1, 2]
    assert add(queue, "urgent", "soon", high=True) == [1, 2]
    assert waiting(queue) == ["urgent", "soon", "b", "c"]
    entry = queue.take()
    assert entry is not None
    assert entry.wish.track_id == "a"
    queue.finish(entry)
    assert waiting(queue) == ["soon", "b", "c"]


def test_a_full_queue_says_how_long_it_would_take() -> None:
    queue = Queue(max_pending=2)
    add(queue, "a", "b", "c")
    with pytest.raises(errors.QueueFull) as refused:
        queue.add(wish("d"))
    assert refused.value.details == {"position": 3, "estimated_wait_sec": 30, "max_pending": 2}
    queue.pace.note(wish("x"), 5.0)
    entry = queue.take()
    assert entry is not None
    entry.hear(Progress("render", 90))
    with pytest.raises(errors.QueueFull) as refused:
        queue.add(wish("d"))
    assert refused.value.details["estimated_wait_sec"] in (10, 11)


def test_asking_twice_is_one_track_and_more_urgent_if_the_second_is() -> None:
    queue = Queue(5)
    add(queue, "a", "b", "c")
    again = queue.join(wish("c", high=True))
    assert again is not None
    assert (again.position, again.status) == (1, "queued")
    queue.release(again.entry)
    assert waiting(queue) == ["c", "b"]
    assert queue.join(wish("d")) is None


def test_nothing_begins_or_ends_while_an_answer_about_it_is_written() -> None:
    queue = Queue(5)
    place = queue.add(wish("a"))
    taken: list[str] = []

    def work() -> None:
        entry = queue.take()
        assert entry is not None
        taken.append("begun")
        queue.finish(entry)
        taken.append("ended")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(0.1)
    assert taken == []
    queue.release(place.entry)
    thread.join(5)
    assert taken == ["begun", "ended"]


def test_cancelling_waiting_and_current_tracks() -> None:
    queue = Queue(5)
    add(queue, "a", "b", "c", "d")
    assert queue.generates("a")
    assert not queue.generates("b")
    dropped = queue.cancel("b")
    assert dropped is not None
    assert not dropped.cancelled
    assert queue.cancel("a", waiting_only=True) is None
    current = queue.cancel("a")
    assert current is not None
    assert current.cancelled
    assert queue.cancel("a") is None, "once is enough"
    with pytest.raises(errors.Cancelled):
        queue.seal(current)
    assert [entry.wish.track_id for entry in queue.clear()] == ["c", "d"]
    assert queue.cancel("c") is None


def test_what_is_being_filed_cannot_be_cancelled() -> None:
    queue = Queue(5)
    add(queue, "a")
    entry = queue.take()
    assert entry is not None
    queue.seal(entry)
    assert queue.cancel("a") is None


def test_percent_never_falls_and_never_reaches_a_hundred() -> None:
    queue = Queue(5)
    entry = queue.add(wish("a")).entry
    seen = []
    for percent in (10.0, 5.0, 60.0, 100.0):
        entry.hear(Progress("render", percent))
        seen.append(entry.percent)
    assert seen == [10, 10, 60, 99]


def test_a_closed_queue_gives_nothing_more() -> None:
    queue = Queue(5)
    add(queue, "a")
    queue.close()
    assert queue.take() is None


class FakeRunner:
    """Reports half of the work, then waits until it may go on or is cancelled."""

    def __init__(self) -> None:
        self.orders: list[str] = []
        self.go = threading.Semaphore(0)
        self.cancelled = False

    def run(self, order: Order, report: OnProgress, *, budget_seconds: float | None = None) -> Outcome:
        self.orders.append(str(order.request["prompt"]))
        report(Progress("render", 50, 4, 8))
        self.go.acquire()
        report(Progress("render", 60, 5, 8))
        if self.cancelled:
            self.cancelled = False
            raise errors.Cancelled("stopped")
        if order.request["prompt"] == "bad":
            raise errors.OutOfMemory("too big", hint="Ask for less.")
        return Outcome("generate", report={})

    def cancel(self) -> None:
        self.cancelled = True
        self.go.release()

    def close(self) -> None:
        self.cancel()


class FakePlace:
    """Files nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        yield self.folder

    def publish(self, track_id: str, outcome: Outcome) -> Any:
        return SimpleNamespace(
            recipe=None,
            engine="composer",
            audio=Path("/x.flac"),
            seconds=10.0,
            rate=48_000,
            words="w",
            seed=1,
            title="t",
        )

    def budget(self) -> float:
        return 60.0


class Told:
    """What the client was told."""

    def __init__(self) -> None:
        self.all: list[tuple[str, Mapping[str, Any]]] = []
        self._changed = threading.Condition()

    def __call__(self, method: str, params: Mapping[str, Any], *, passing: bool = False) -> None:
        with self._changed:
            self.all.append((method, params))
            self._changed.notify_all()

    def wait(self, method: str, track_id: str) -> Mapping[str, Any]:
        def found() -> list[Mapping[str, Any]]:
            return [params for name, params in self.all if name == method and params["track_id"] == track_id]

        with self._changed:
            assert self._changed.wait_for(lambda: bool(found()), 5), self.all
            return found()[0]


def test_tracks_are_made_one_after_the_other_the_urgent_ones_first(tmp_path: Path) -> None:
    queue, runner, told = Queue(5), FakeRunner(), Told()
    add(queue, "a", "b", "bad")
    thread = Making(queue, runner, cast("Any", FakePlace(tmp_path)), told).start()
    told.wait("generation_progress", "a")
    add(queue, "urgent", high=True)
    for _ in range(4):
        runner.go.release()
    assert told.wait("generation_complete", "b")["backend"] == "composer"
    failed = told.wait("generation_error", "bad")
    assert (failed["code"], failed["message"], failed["hint"]) == ("OUT_OF_MEMORY", "too big", "Ask for less.")
    assert runner.orders == ["a", "urgent", "b", "bad"]
    queue.close()
    thread.join(5)


def test_a_cancelled_track_is_told_in_both_ways(tmp_path: Path) -> None:
    queue, runner, told = Queue(5), FakeRunner(), Told()
    add(queue, "a", "b")
    Making(queue, runner, cast("Any", FakePlace(tmp_path)), told).start()
    told.wait("generation_progress", "a")
    while not runner.orders:
        threading.Event().wait(0.01)
    assert queue.cancel("a") is not None
    runner.cancel()
    cancelled = told.wait("generation_cancelled", "a")
    assert (cancelled["at_step"], cancelled["total_steps"]) == (5, 8)
    assert told.wait("generation_error", "a")["code"] == "GENERATION_CANCELLED"
    runner.go.release()
    told.wait("generation_complete", "b")
    assert not [params for method, params in told.all if method == "generation_complete" and params["track_id"] == "a"]
    queue.close()

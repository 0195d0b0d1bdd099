"""A runner keeps its word: results and errors arrive, a cancel is at once, and its death is noticed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sottovoce import errors
from sottovoce.progress import Progress
from sottovoce.tasks.outcome import Outcome
from sottovoce.worker.child import Child
from sottovoce.worker.messages import Order

#: One runner for the module: each start is seconds of imports.
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """A runner whose library is empty."""
    folder = tmp_path_factory.mktemp("runner")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOTTO_LIBRARY__DIRECTORY", str(folder / "library"))
        child = Child(log=folder / "log")
        yield child
        child.close()


@pytest.fixture
def ask(child: Child, tmp_path: Path) -> Any:
    """Has the runner make music; `stop` is called with each progress."""

    def run(stop: Any = lambda _: None, budget: float | None = None, **fields: Any) -> Outcome:
        request = {"prompt": "x", "duration": 5, "engine": "tone", "seed": 3} | fields
        return child.run(Order(tmp_path.name, "generate", request, tmp_path), stop, budget_seconds=budget)

    return run


def test_what_was_made_lies_in_the_folder(ask: Any, tmp_path: Path) -> None:
    said: list[Progress] = []
    made = ask(said.append)
    assert [track.recipe.seed for track in made.tracks] == [3]
    assert made.tracks[0].audio.parent == tmp_path
    assert made.tracks[0].audio.is_file()
    assert [progress.percent for progress in said] == sorted(progress.percent for progress in said)


def test_errors_arrive_as_they_were_raised(ask: Any) -> None:
    with pytest.raises(errors.InvalidBackend, match="nosuch"):
        ask(engine="nosuch")
    with pytest.raises(errors.InvalidDuration):
        ask(duration=1e9)
    with pytest.raises(errors.InvalidParameter, match="path"):
        ask(cover={"path": "/etc/passwd"})


def test_a_cancel_is_at_once_and_the_next_order_is_done(ask: Any, child: Child) -> None:
    asked: list[float] = []

    def stop(progress: Progress) -> None:
        if progress.stage == "render" and not asked:
            asked.append(time.monotonic())
            threading.Thread(target=child.cancel).start()

    with pytest.raises(errors.Cancelled):
        ask(stop, engine="composer", duration=300)
    assert asked
    assert ask().tracks


def test_a_cancel_of_nothing_is_nothing(ask: Any, child: Child) -> None:
    child.cancel()
    assert ask().tracks


def test_its_death_is_an_error_and_the_next_order_starts_another(ask: Any) -> None:
    def kill(progress: Progress) -> None:
        if progress.stage == "render":
            os.kill(_runner(), signal.SIGKILL)

    with pytest.raises(errors.Internal, match="died") as died:
        ask(kill, engine="composer", duration=60)
    assert died.value.details == {"died": True}
    assert ask().tracks


def _runner() -> int:
    """The process id of this process's runner."""
    for folder in Path("/proc").glob("[0-9]*"):
        parent = (folder / "stat").read_text().rsplit(")", 1)[1].split()[1]
        if parent == str(os.getpid()) and b"sottovoce.worker.runner" in (folder / "cmdline").read_bytes():
            return int(folder.name)
    raise AssertionError("there is no runner")


def test_work_that_takes_too_long_is_stopped(ask: Any) -> None:
    with pytest.raises(errors.TimedOut, match="max_seconds"):
        ask(engine="composer", duration=300, budget=0.5)


def test_a_callback_that_raises_ends_the_work(ask: Any) -> None:
    def stop(_: Progress) -> None:
        raise errors.DiskFull("no space")

    with pytest.raises(errors.DiskFull):
        ask(stop)


def test_silence_is_no_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOTTO_LIBRARY__DIRECTORY", str(tmp_path / "library"))
    child = Child(stall_seconds=0.05)
    with pytest.raises(errors.TimedOut, match="stall_seconds"):
        child.run(Order("a", "generate", {"prompt": "x", "engine": "tone"}, tmp_path), lambda _: None)
    child.close()

"""A host does what is filed, publishes it once, and what a killed one left is done by the next."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sottovoce.audio import Stem
from sottovoce.jobs.job import Job
from sottovoce.progress import Progress
from sottovoce.settings import load_settings
from sottovoce.studio import Done, Studio
from sottovoce.tasks.generate import Generate
from sottovoce.worker.host import result_of, with_eta

SECONDS = 900


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    """A studio in an empty home; the settings go to its workers by the environment."""
    monkeypatch.setenv("SOTTO_LIBRARY__DIRECTORY", str(tmp_path / "library"))
    monkeypatch.setenv("SOTTO_JOBS__MAX_PENDING", "100")
    with Studio(load_settings()) as studio:
        yield studio


@pytest.fixture
def worker() -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts workers, each a process of its own; they all end with the test."""
    begun: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        begun.append(subprocess.Popen([sys.executable, "-m", "sottovoce", "worker", "--workers", "1"]))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.wait()


def tone(studio: Studio, seed: int, **fields: object) -> Job:
    request = {"prompt": "x", "duration": 5, "engine": "tone", "seed": seed} | fields
    return studio.submit(studio.request(Generate, request))


def until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


@pytest.mark.long
def test_jobs_are_done_in_their_order_and_cancelled_at_once(
    studio: Studio, worker: Callable[[], subprocess.Popen[bytes]]
) -> None:
    first, wrong, long = (
        tone(studio, 1),
        tone(studio, 2, engine="lalalai"),
        tone(studio, 3, engine="composer", duration=600),
    )
    last = tone(studio, 4)
    process = worker()
    until(lambda: studio.queue.get(long.id).percent > 0)
    studio.queue.cancel(long.id)
    until(lambda: studio.queue.get(last.id).over)
    states = [studio.queue.get(job.id).state for job in (first, wrong, long, last)]
    assert states == ["done", "failed", "cancelled", "done"]
    made = studio.queue.get(first.id).result
    assert made is not None
    assert studio.library.get(made["tracks"][0]).seed == 1
    process.send_signal(signal.SIGTERM)
    assert process.wait(SECONDS) == 0


@pytest.mark.long
def test_killed_workers_lose_and_double_nothing(studio: Studio, worker: Callable[[], subprocess.Popen[bytes]]) -> None:
    jobs = [tone(studio, seed) for seed in range(4)]
    for job in jobs[:2]:
        process = worker()
        until(lambda: studio.queue.get(job.id).state != "queued")  # noqa: B023 - asked before the next turn
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    worker()
    until(lambda: all(studio.queue.get(job.id).over for job in jobs))
    assert [studio.queue.get(job.id).state for job in jobs] == ["done"] * 4
    tracks = studio.library.search().tracks
    assert sorted(track.seed for track in tracks if track.seed is not None) == [0, 1, 2, 3]
    audio = studio.settings.library_folder() / "audio"
    assert all(path.suffix == ".flac" for path in audio.rglob("*") if path.is_file())


def test_the_time_left_is_told_once_there_is_something_to_go_by() -> None:
    assert with_eta(Progress("render", 31.0), 10, 1).eta is None
    assert with_eta(Progress("render", 50.0), 10, 25).eta == 20.0
    assert with_eta(Progress("render", 50.0, eta=7.0), 10, 25).eta == 7.0


def test_the_result_names_the_files_that_lie_with_the_job(tmp_path: Path) -> None:
    own, tracks = tmp_path / "bass.flac", tmp_path / "audio" / "ab.flac"
    kept = result_of(Done("separate", {}, stems={Stem("bass"): own, Stem("drums"): tracks}), tmp_path)
    assert kept == {"report": {}, "sound_seconds": 0, "tracks": [], "stems": {"bass": "bass.flac"}, "files": {}}

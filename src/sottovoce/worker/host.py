"""The host: takes jobs from the queue, has runners do them, and publishes what they made, once."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from sottovoce import errors
from sottovoce.bugs import bug
from sottovoce.jobs.job import Job
from sottovoce.jobs.kept import note
from sottovoce.machine import memory
from sottovoce.places import scratch_folder
from sottovoce.progress import Progress
from sottovoce.studio import Done, Studio
from sottovoce.tasks.outcome import Outcome
from sottovoce.tasks.request import Request
from sottovoce.worker.child import Child
from sottovoce.worker.messages import Order
from sottovoce.worker.seat import abandoned, seat

log = logging.getLogger(__name__)

#: Memory that the system and the host keep, and what one job with a model takes, in bytes.
_KEPT_MEMORY, _JOB_MEMORY = 1e9, 4e9
#: Progress is stored no more often.
_STORE_SECONDS = 0.5
#: How often a host looks whether what it does is still wanted.
_LOOK_SECONDS = 0.25
_SWEEP_SECONDS = 600.0
#: A job may take so many times what was expected.
_PATIENCE = 3.0
#: So much must be done before the pace says anything.
_TELLING_PERCENT = 2.0


class Host:
    """One process that works on the jobs of a library, `workers` at a time."""

    def __init__(self, studio: Studio, *, workers: int | None = None) -> None:
        jobs = studio.settings.jobs
        self._studio = studio
        #: How many jobs at once.
        self.workers = workers or (fitting() if jobs.workers == "auto" else jobs.workers)
        self._folder = studio.settings.library_folder() / "workers"
        self._children: SimpleQueue[Child] = SimpleQueue()
        self._all: list[Child] = []
        self._name = ""
        self._stopped = threading.Event()

    def run(self, stopped: threading.Event) -> None:
        """Work until `stopped` is set. What is being done then waits again, for the next host."""
        self._stopped = stopped
        with seat(self._folder) as self._name:
            for _ in range(self.workers):
                self._all.append(self.child())
                self._children.put(self._all[-1])
            end = self._studio.queue.listen(self._name, self.workers, self.work)
            log.info("takes %d jobs at a time", self.workers, extra={"worker": self._name})
            try:
                self.sweep()
                while not stopped.wait(_SWEEP_SECONDS):
                    self.sweep()
            finally:
                for child in self._all:
                    child.close()
                end()

    def child(self) -> Child:
        """A runner of this host, whose words go to the log beside its seat."""
        log_file = self._folder / f"{self._name.replace(':', '-') or 'worker'}.log"
        return Child(stall_seconds=self._studio.settings.jobs.stall_seconds, log=log_file)

    def sweep(self) -> int:
        """Take over what dead hosts left, and remove what is too old; how many jobs were taken over."""
        taken = self._studio.queue.take_over(abandoned(self._folder))
        for old in self._studio.queue.forget(self._studio.settings.jobs.keep_days):
            shutil.rmtree(self._studio.job_folder(old), ignore_errors=True)
        self._studio.cache.sweep()
        self._studio.library.empty_trash()
        self._studio.uploads.sweep(keep=self._studio.queue.uploads_needed())
        return taken

    def work(self, job: str) -> None:
        """Do one job, if there is still something to do."""
        child = self._children.get()
        try:
            begun = self._studio.queue.begin(job, self._name)
            while begun is not None:
                begun = self._attempt(begun, child)
        finally:
            self._children.put(child)

    def _attempt(self, job: Job, child: Child) -> Job | None:
        """One attempt; how it ended is kept, unless another attempt counts by now. The next attempt, if the runner died in this one."""
        try:
            self._refuse_stopped()
            with (
                scratch_folder(self._studio.settings.library_folder() / "scratch") as scratch,
                self._watched(job, child),
            ):
                expected = self._expected(job)
                report = Reporter(self._studio, job, expected)
                outcome = child.run(self._order(job, scratch), report, budget_seconds=self.budget(job.kind, expected))
                self._publish(job, outcome)
        except errors.SottovoceError as error:
            return self._failed(job, error)
        except Exception as error:  # noqa: BLE001 - the process boundary: logs the trace and reports
            return self._failed(job, bug(error))
        return None

    def _order(self, job: Job, scratch: Path) -> Order:
        """What the runner is told. What was filed was checked when it was filed, so it may name paths."""
        kept = self._studio.job_folder(job.id)
        kept.mkdir(parents=True, exist_ok=True)
        settings = self._studio.owned(job.owner)
        log.info("attempt %d begins", job.attempt, extra={"job": job.id})
        name = f"{job.id}-{job.attempt}"
        return Order(name, job.kind, job.request, scratch, local=True, settings=settings, kept=kept)

    def _refuse_stopped(self) -> None:
        if self._stopped.is_set():
            raise errors.Cancelled("the worker is to end")

    def _failed(self, job: Job, error: errors.SottovoceError) -> Job | None:
        """Keep an error, unless the job was cancelled; the death of a runner is no reason to give up before the last attempt."""
        if self._stopped.is_set():
            self._studio.queue.release(job)
            return None
        log.warning("ended: %s", error.message, extra={"job": job.id, "code": error.code})
        note(self._studio.job_folder(job.id), f"{error.code}: {error.message}")
        if error.details.get("died") and self._studio.queue.counts_still(job):
            return self._studio.queue.begin(job.id, self._name)
        self._studio.queue.fail(job, error)
        return None

    def _publish(self, job: Job, outcome: Outcome) -> None:
        """File what was made, unless the attempt does not count any more."""
        if not self._studio.queue.counts_still(job):
            return
        folder = self._studio.job_folder(job.id)
        done = self._studio.publish(outcome, source_of(job), folder)
        self._studio.queue.finish(job, result_of(done, folder))

    @contextmanager
    def _watched(self, job: Job, child: Child) -> Iterator[None]:
        """While it lasts, the child is stopped as soon as the attempt does not count any more."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(_LOOK_SECONDS):
                if not self._studio.queue.counts_still(job):
                    child.cancel()

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def budget(self, kind: str, expected: float | None = None) -> float:
        """The most seconds that a job of a kind may take: what the settings say, or more where far more sound is to be worked on."""
        seconds: float = getattr(self._studio.settings.jobs.max_seconds, kind)
        return max(seconds, _PATIENCE * (expected or 0.0))

    def _expected(self, job: Job) -> float | None:
        """How long a job will take, as far as its length and earlier ones tell."""
        sound = self._studio.sound_seconds(_request_of(job))
        estimate = self._studio.queue.estimate(job.kind, job.request, sound)
        return estimate.work if estimate.work is not None else sound


class Reporter:
    """Stores a job's progress, not too often, with the time that is left: at first what was `expected`, then as the pace tells."""

    def __init__(self, studio: Studio, job: Job, expected: float | None = None) -> None:
        self._queue, self._job, self._expected = studio.queue, job, expected
        self._first: tuple[float, float] | None = None
        self._stored, self._stage = 0.0, ""

    def __call__(self, progress: Progress) -> None:
        """Store how far it is, if that is news."""
        now = time.monotonic()
        if progress.stage == self._stage and now - self._stored < _STORE_SECONDS:
            return
        self._stored, self._stage = now, progress.stage
        begun, percent = self._first = self._first or (now, progress.percent)
        told = with_eta(progress, now - begun, progress.percent - percent, self._expected)
        self._queue.progress(self._job, told)


def with_eta(progress: Progress, elapsed: float, done: float, expected: float | None = None) -> Progress:
    """Progress with the seconds that are left, where enough percent were `done` in `elapsed` seconds to tell; before, of those `expected`."""
    if progress.eta is not None:
        return progress
    if done < _TELLING_PERCENT:
        left = None if expected is None or expected <= elapsed else round(expected - elapsed, 1)
        return replace(progress, eta=left)
    return replace(progress, eta=round(elapsed * (100 - progress.percent) / done, 1))


def fitting() -> int:
    """How many jobs with a local model fit into this machine's memory, at least one."""
    return max(1, int((memory() - _KEPT_MEMORY) / _JOB_MEMORY))


def source_of(job: Job) -> Any:
    """The source that a job's request names; None if it needs none."""
    return getattr(_request_of(job), "source", None)


def _request_of(job: Job) -> Request:
    from sottovoce.tasks import TASKS
    from sottovoce.tasks.request import validate

    return validate(TASKS[job.kind].request, dict(job.request), local=True)


def result_of(done: Done, folder: Path) -> Mapping[str, Any]:
    """What a job's row says of what was made: tracks by their id, files by their name in the job's folder. Stems of a track are the track's."""
    return {
        "report": dict(done.report),
        "sound_seconds": done.report.get("seconds") or sum(track.seconds for track in done.tracks),
        "tracks": [track.id for track in done.tracks],
        "stems": {str(stem): path.name for stem, path in done.stems.items() if path.parent == folder},
        "files": {name: path.name for name, path in done.files.items()},
    }

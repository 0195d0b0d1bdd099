"""`sotto jobs`: what is to be done, is being done and was done."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Protocol
from urllib.parse import quote

import typer

from sottovoce.cli import remote
from sottovoce.cli.options import given
from sottovoce.cli.render import AsJson, bar, clock, show, table
from sottovoce.errors import Cancelled
from sottovoce.progress import OnProgress, Progress

if TYPE_CHECKING:
    from sottovoce.client.client import Client
    from sottovoce.jobs.job import Job, State
    from sottovoce.studio import Studio

app = typer.Typer(no_args_is_help=True)

JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, as `sotto jobs list` shows it.")]

_LOOK_SECONDS = 0.25


@app.command("list")
def list_jobs(
    state: Annotated[str | None, typer.Option(help="Only those queued, running, done, failed or cancelled.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only generate, separate, score or mood.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many.")] = 50,
    after: Annotated[str | None, typer.Option(help="Go on after the job with this id.")] = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, the newest first."""
    with _desk() as desk:
        found = desk.list(**given(state=_state(state), kind=kind, limit=limit, after=after))
    rows = [(job.id, job.kind, _standing(job), job.created[:16].replace("T", " "), _words(job)) for job in found]
    text = table(("job", "kind", "state", "filed", "what"), rows) if found else "no jobs"
    show({"jobs": [job.as_dict() for job in found]}, text, as_json=as_json)


@app.command("show")
def show_job(job: JobId, as_json: AsJson = False) -> None:
    """Show one job: how far it is, and what came of it."""
    with _desk() as desk:
        found = desk.get(job)
        show({"job": found.as_dict()}, _told(desk, found), as_json=as_json)


@app.command()
def watch(job: JobId, as_json: AsJson = False) -> None:
    """Watch a job until it is over; ctrl-C stops watching, not the job."""
    with _desk() as desk:
        with bar() as progress:
            found = desk.wait(job, progress)
        show({"job": found.as_dict()}, _told(desk, found), as_json=as_json)


@app.command()
def cancel(job: JobId, as_json: AsJson = False) -> None:
    """Stop a job, or take it out of the queue."""
    with _desk() as desk:
        found = desk.cancel(job)
    show({"job": found.as_dict()}, f"cancelled {found.id}", as_json=as_json)


@app.command()
def retry(job: JobId, as_json: AsJson = False) -> None:
    """File a new job with the same request and seed."""
    with _desk() as desk:
        found = desk.retry(job)
    show({"job": found.as_dict()}, f"filed {found.id}", as_json=as_json)


class _Desk(Protocol):
    """Where jobs are asked for."""

    def list(
        self, *, state: State | None = ..., kind: str | None = ..., limit: int = ..., after: str | None = ...
    ) -> Sequence[Job]: ...
    def get(self, job: str, /) -> Job: ...
    def cancel(self, job: str, /) -> Job: ...
    def retry(self, job: str, /) -> Job: ...
    def wait(self, job: str, progress: OnProgress, /) -> Job: ...
    def place(self, job: str, name: str, /) -> str: ...


@contextmanager
def _desk() -> Iterator[_Desk]:
    """The jobs of the server that was named, or those of this machine."""
    from sottovoce.studio import Studio

    with remote.server() as server:
        if server is not None:
            yield _There(server)
            return
        with Studio() as studio:
            yield _Here(studio)


class _Here:
    """This machine's jobs."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self.list, self.get = studio.queue.list, studio.queue.get
        self.cancel, self.retry = studio.queue.cancel, studio.queue.retry

    def wait(self, job: str, progress: OnProgress) -> Job:
        """The job when it is done; what ended it otherwise is raised."""
        from sottovoce.worker.messages import error_of

        found = self.get(job)
        while not found.over:
            progress(Progress(found.stage or found.state, found.percent, found.step, found.total, found.eta))
            time.sleep(_LOOK_SECONDS)
            found = self.get(job)
        if found.state == "cancelled":
            raise Cancelled(f"job {job} was cancelled")
        if found.error is not None:
            raise error_of(found.error)
        return found

    def place(self, job: str, name: str) -> str:
        """Where a file lies that a job has made."""
        return str(self._studio.job_folder(job) / name)


class _There:
    """The jobs of a server."""

    def __init__(self, server: Client) -> None:
        self._server = server
        self.list, self.get, self.cancel, self.retry = server.jobs, server.job, server.cancel, server.retry

    def wait(self, job: str, progress: OnProgress) -> Job:
        """The job when it is done; what ended it otherwise is raised."""
        self.get(job)
        return self._server.wait(job, progress=progress)

    def place(self, job: str, name: str) -> str:
        """The address of a file that a job has made."""
        return f"{self._server.url}/api/jobs/{job}/files/{quote(name)}"


def _state(text: str | None) -> State | None:
    from typing import get_args

    from sottovoce.errors import InvalidParameter
    from sottovoce.jobs.job import State

    states: tuple[State, ...] = get_args(State)
    for state in states:
        if text == state:
            return state
    if text is not None:
        raise InvalidParameter(f"--state {text}: a job is {', '.join(states)}")
    return None


def _standing(job: Job) -> str:
    """A job's state in a few words."""
    if job.state == "queued":
        return f"queued, number {job.position}"
    return f"{job.percent:.0f} % {job.stage or ''}".strip() if job.state == "running" else job.state


def _words(job: Job) -> str:
    source: Any = job.request.get("source") or {}
    return str(job.request.get("prompt") or source.get("path") or source.get("track") or source.get("upload") or "")


def _told(desk: _Desk, job: Job) -> str:
    """A job on a few lines."""
    lines = [f"{job.id}  {job.kind}: {_standing(job)}", _words(job)]
    if job.eta is not None:
        lines.append(f"about {clock(job.eta)} left")
    if job.error is not None:
        lines += [job.error["message"], job.error["hint"]]
    result = job.result or {}
    lines += [f"track {track}" for track in result.get("tracks", ())]
    made = [*result.get("stems", {}).values(), *result.get("files", {}).values()]
    lines += [desk.place(job.id, name) for name in made]
    return "\n".join(line for line in lines if line)

"""`sotto jobs`: what is to be done, is being done and was done."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sottovoce.cli.options import given
from sottovoce.cli.render import AsJson, bar, clock, show, table
from sottovoce.errors import Cancelled
from sottovoce.progress import Progress

if TYPE_CHECKING:
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
    from sottovoce.studio import Studio

    with Studio() as studio:
        found = studio.queue.list(**given(state=_state(state), kind=kind, limit=limit, after=after))
    rows = [(job.id, job.kind, _standing(job), job.created[:16].replace("T", " "), _words(job)) for job in found]
    text = table(("job", "kind", "state", "filed", "what"), rows) if found else "no jobs"
    show({"jobs": [job.as_dict() for job in found]}, text, as_json=as_json)


@app.command("show")
def show_job(job: JobId, as_json: AsJson = False) -> None:
    """Show one job: how far it is, and what came of it."""
    from sottovoce.studio import Studio

    with Studio() as studio:
        found = studio.queue.get(job)
        show({"job": found.as_dict()}, _told(studio, found), as_json=as_json)


@app.command()
def watch(job: JobId, as_json: AsJson = False) -> None:
    """Watch a job until it is over; ctrl-C stops watching, not the job."""
    from sottovoce.studio import Studio
    from sottovoce.worker.messages import error_of

    with Studio() as studio:
        with bar() as progress:
            found = studio.queue.get(job)
            while not found.over:
                progress(Progress(found.stage or found.state, found.percent, found.step, found.total, found.eta))
                time.sleep(_LOOK_SECONDS)
                found = studio.queue.get(job)
        if found.state == "cancelled":
            raise Cancelled(f"job {job} was cancelled")
        if found.error is not None:
            raise error_of(found.error)
        show({"job": found.as_dict()}, _told(studio, found), as_json=as_json)


@app.command()
def cancel(job: JobId, as_json: AsJson = False) -> None:
    """Stop a job, or take it out of the queue."""
    from sottovoce.studio import Studio

    with Studio() as studio:
        found = studio.queue.cancel(job)
    show({"job": found.as_dict()}, f"cancelled {found.id}", as_json=as_json)


@app.command()
def retry(job: JobId, as_json: AsJson = False) -> None:
    """File a new job with the same request and seed."""
    from sottovoce.studio import Studio

    with Studio() as studio:
        found = studio.queue.retry(job)
    show({"job": found.as_dict()}, f"filed {found.id}", as_json=as_json)


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


def _told(studio: Studio, job: Job) -> str:
    """A job on a few lines."""
    lines = [f"{job.id}  {job.kind}: {_standing(job)}", _words(job)]
    if job.eta is not None:
        lines.append(f"about {clock(job.eta)} left")
    if job.error is not None:
        lines += [job.error["message"], job.error["hint"]]
    result = job.result or {}
    lines += [f"track {track}" for track in result.get("tracks", ())]
    made = [*result.get("stems", {}).values(), *result.get("files", {}).values()]
    lines += [str(studio.job_folder(job.id) / name) for name in made]
    return "\n".join(line for line in lines if line)

"""lalal.ai: what is left of the paid minutes, and how to stop what is being charged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, cast

from fastapi import APIRouter, Body
from pydantic import Field

from sottovoce import errors
from sottovoce.engines.base import Run
from sottovoce.engines.catalog import SEPARATORS, parse_engine
from sottovoce.engines.lalalai import Lalalai
from sottovoce.engines.lalalai_stems import LalalaiOptions
from sottovoce.jobs.job import Job, State
from sottovoce.jobs.kept import KeptMemo
from sottovoce.server.access import Caller
from sottovoce.server.answers import Json
from sottovoce.server.asked import Asker, Fields, StudioHere
from sottovoce.studio import Studio
from sottovoce.tasks.request import Request
from sottovoce.tasks.separate import Separate, separator_options

router = APIRouter(prefix="/api/lalalai", tags=["lalalai"])

_ENGINE = "lalalai"
_PAGE = 200


class JobNamed(Fields):
    """The job that is meant."""

    job: Annotated[str, Field(max_length=64)]


@router.get("/quota")
def quota(studio: StudioHere, caller: Asker) -> Json:
    """The minutes that are left with your key, those used through here, and both together."""
    left = _engine(studio).minutes_left(_run(studio, caller))
    used = round(sum(_charged(studio, job) for job in _jobs(studio, caller.owner, "done")), 1)
    return Json({"remaining_minutes": left, "used_minutes": used, "quota_minutes": round(left + used, 1)})


@router.post("/cancel")
def cancel(body: Annotated[JobNamed, Body()], studio: StudioHere, caller: Asker) -> Json:
    """Stop a job, and its tasks there."""
    job = studio.queue.get(body.job, owner=caller.sees)
    if not _is_there(job):
        raise errors.InvalidParameter(
            f"job {job.id} does not ask for lalal.ai", hint=f"DELETE /api/jobs/{job.id} stops any job."
        )
    studio.queue.cancel(job.id, owner=caller.sees)
    return Json({"cancelled": [{"job": job.id, "tasks": _abandoned(studio, caller, job)}]})


@router.post("/cancel-all")
def cancel_all(studio: StudioHere, caller: Asker) -> Json:
    """Stop your own jobs that lalal.ai works on, and their tasks there, by id: those of others with the same key go on."""
    found = [job for state in ("queued", "running") for job in _jobs(studio, caller.owner, state)]
    for job in found:
        studio.queue.cancel(job.id, owner=caller.owner)
    return Json({"cancelled": [{"job": job.id, "tasks": _abandoned(studio, caller, job)} for job in found]})


def minutes(studio: Studio, request: Request, seconds: float | None) -> float | None:
    """The minutes that a request would be charged; None if it does not ask for lalal.ai, or its length is not known."""
    if not isinstance(request, Separate) or parse_engine(request.engine) != _ENGINE or seconds is None:
        return None
    engine = _engine(studio)
    options = cast("LalalaiOptions", separator_options(cast("Any", engine), request))
    return engine.quote_of(min(seconds, request.preview or seconds), options).minutes


def _engine(studio: Studio) -> Lalalai:
    return cast("Lalalai", studio.engines.get(SEPARATORS, _ENGINE))


def _run(studio: Studio, caller: Caller, job: Job | None = None) -> Run:
    """A run with the caller's own key, and the memo of a job."""
    credentials = studio.settings_of(caller.owner).credentials()
    if job is None:
        return Run(credentials=credentials)
    return Run(credentials=credentials, memo=KeptMemo.of(studio.job_folder(job.id)))


def _abandoned(studio: Studio, caller: Caller, job: Job) -> tuple[str, ...]:
    return _engine(studio).abandon(_run(studio, caller, job))


def _jobs(studio: Studio, owner: str, state: State) -> Iterator[Job]:
    """An owner's jobs in a state that ask for lalal.ai."""
    after: str | None = None
    while page := studio.queue.list(owner=owner, state=state, kind="separate", limit=_PAGE, after=after):
        yield from (job for job in page if _is_there(job))
        after = page[-1].id


def _is_there(job: Job) -> bool:
    return job.kind == "separate" and parse_engine(str(job.request.get("engine", ""))) == _ENGINE


def _charged(studio: Studio, job: Job) -> float:
    """The minutes that a job was charged."""
    report = (job.result or {}).get("report", {})
    if report.get("cached") or "options" not in report:
        return 0.0
    engine = _engine(studio)
    options = engine.Options.model_validate(report["options"])
    return engine.quote_of(float(report["seconds"]), options).minutes

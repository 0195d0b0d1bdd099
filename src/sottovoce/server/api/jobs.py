"""Jobs: file one, watch it, stop it, fetch what it made."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from anyio.to_thread import run_sync
from fastapi import APIRouter, Body, Header, Query, Request
from pydantic import Field
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from sottovoce import errors
from sottovoce.jobs.job import Job, Lane, State
from sottovoce.jobs.kept import read_log
from sottovoce.server.access import Caller
from sottovoce.server.answers import Json
from sottovoce.server.api.lalalai import minutes
from sottovoce.server.asked import Asker, Fields, HouseHere, StudioHere, check_text
from sottovoce.server.events import missed, stream
from sottovoce.server.files import file_answer, file_tag
from sottovoce.studio import Studio
from sottovoce.tasks import TASKS
from sottovoce.tasks.request import KnownFile, TrackRef, UploadRef
from sottovoce.tasks.request import Request as TaskRequest

router = APIRouter(prefix="/api/jobs", tags=["jobs"])
estimates = APIRouter(prefix="/api/estimate", tags=["jobs"])

_STREAM = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_LANES: tuple[Lane, ...] = ("interactive", "batch")
#: Fields that say which engine, and what only that engine understands.
_BODY = {"oneOf": [{"$ref": f"#/components/schemas/{task.request.__name__}"} for task in TASKS.values()]}


class JobQuery(Fields):
    """Which jobs; without anything, the newest fifty. `after` is the id of the last one of the page before."""

    state: State | None = None
    kind: Literal["generate", "separate", "score", "mood", "pull"] | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    after: Annotated[str | None, Field(max_length=64)] = None


class Place(Fields):
    """Where a job is put: before the job with that id, or before all of its lane."""

    before: Annotated[str | None, Field(max_length=64)] = None


@router.post("", openapi_extra={"requestBody": {"content": {"application/json": {"schema": _BODY}}}})
def submit(
    body: Annotated[dict[str, Any], Body()],
    studio: StudioHere,
    caller: Asker,
    key: Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)] = None,
) -> Json:
    """File a job: `kind` and the fields of its request, perhaps `lane`. With an Idempotency-Key the same body is the same job."""
    check_text(body)
    lane = _lane(body.get("lane"))
    request = asked_for(studio, {name: value for name, value in body.items() if name != "lane"}, caller)
    job = studio.submit(request, owner=caller.owner, lane=lane, key=key)
    return Json({"job": shown(job)}, 202, {"Location": f"/api/jobs/{job.id}"})


@router.get("")
def list_jobs(query: Annotated[JobQuery, Query()], studio: StudioHere, caller: Asker) -> Json:
    """Your jobs, the newest first; an administrator sees everyone's."""
    found = studio.queue.list(
        owner=caller.sees, state=query.state, kind=query.kind, limit=query.limit, after=query.after
    )
    after = found[-1].id if len(found) == query.limit else None
    return Json({"jobs": [shown(job) for job in found], "after": after})


@estimates.post("", openapi_extra={"requestBody": {"content": {"application/json": {"schema": _BODY}}}})
def estimate(body: Annotated[dict[str, Any], Body()], studio: StudioHere, caller: Asker) -> Json:
    """What a request would take, which is not filed: seconds of work as such jobs took here, its place and wait, the minutes lalal.ai would charge."""
    check_text(body)
    lane = _lane(body.get("lane"))
    request = asked_for(studio, {name: value for name, value in body.items() if name != "lane"}, caller)
    sound = studio.sound_seconds(request)
    found = studio.queue.estimate(request.kind, request.model_dump(mode="json"), sound, lane)
    return Json(
        {"estimate": {**found.as_dict(), "sound_seconds": sound, "lalalai_minutes": minutes(studio, request, sound)}}
    )


@router.get("/{job}")
def get(job: str, studio: StudioHere, caller: Asker) -> Json:
    """One job: how far it is, what came of it."""
    return Json({"job": shown(studio.queue.get(job, owner=caller.sees))})


@router.delete("/{job}")
def cancel(job: str, studio: StudioHere, caller: Asker) -> Json:
    """Stop a job, or take it out of the queue."""
    return Json({"job": shown(studio.queue.cancel(job, owner=caller.sees))})


@router.post("/{job}/retry")
def retry(job: str, studio: StudioHere, caller: Asker) -> Json:
    """A new job with the same request."""
    found = studio.queue.retry(job, owner=caller.sees)
    return Json({"job": shown(found)}, 202, {"Location": f"/api/jobs/{found.id}"})


@router.get("/{job}/events")
async def events(
    job: str,
    house: HouseHere,
    caller: Asker,
    last: Annotated[int, Header(alias="Last-Event-ID", ge=0, lt=2**63)] = 0,
) -> Response:
    """What happens to a job, as server-sent events, until it has ended. A reader that has seen the end gets 204 and stays away."""
    found = await run_sync(lambda: house.studio.queue.get(job, owner=caller.sees))
    if found.over and not await missed(house.hub, found.id, last):
        return Response(status_code=204)
    house.hub.check_room()
    return StreamingResponse(stream(house.hub, found, last), media_type="text/event-stream", headers=_STREAM)


@router.get("/{job}/log")
def log(job: str, studio: StudioHere, caller: Asker) -> Response:
    """What was said while a job was done, with the places of this machine left out."""
    folder = studio.job_folder(studio.queue.get(job, owner=caller.sees).id)
    places = {studio.settings.library_folder(): "LIBRARY", Path(sys.prefix): "PYTHON", Path.home(): "HOME"}
    text = read_log(folder)
    for place, name in places.items():
        text = text.replace(str(place), name)
    return PlainTextResponse(text)


@router.post("/{job}/move")
def move(job: str, body: Annotated[Place, Body()], studio: StudioHere, caller: Asker) -> Json:
    """Have a waiting job begin before another one, or first; nobody overtakes the jobs of others but an administrator."""
    return Json({"job": shown(studio.queue.move(job, body.before, owner=caller.sees))})


@router.get("/{job}/files")
def list_files(job: str, studio: StudioHere, caller: Asker) -> Json:
    """The files a job made that are no tracks."""
    files = _files(studio, studio.queue.get(job, owner=caller.sees))
    told = [
        {"name": name, "bytes": path.stat().st_size, "url": f"/api/jobs/{job}/files/{name}"}
        for name, path in files.items()
    ]
    return Json({"files": told})


@router.get("/{job}/files/{name}")
def get_file(job: str, name: str, request: Request, studio: StudioHere, caller: Asker) -> Response:
    """One of these files, or a part of it."""
    path = _files(studio, studio.queue.get(job, owner=caller.sees)).get(name)
    if path is None:
        raise errors.JobNotFound(f"job {job} has no file of that name", hint=f"/api/jobs/{job}/files lists them.")
    return file_answer(request, path, file_tag(path), name)


def shown(job: Job) -> dict[str, Any]:
    """A job as callers see it, with the addresses of what belongs to it."""
    place = f"/api/jobs/{job.id}"
    return {**job.as_dict(), "links": {"self": place, "events": f"{place}/events", "files": f"{place}/files"}}


def _lane(asked: Any) -> Lane | None:
    if asked is None:
        return None
    for lane in _LANES:
        if asked == lane:
            return lane
    raise errors.InvalidParameter(f"lane: must be one of {', '.join(_LANES)}")


def asked_for(studio: Studio, fields: dict[str, Any], caller: Caller) -> TaskRequest:
    """The request in a body, with the caller's own settings where it leaves them open; what it names must be there."""
    kind = fields.get("kind")
    task = TASKS.get(kind) if isinstance(kind, str) else None
    if task is None:
        raise errors.InvalidParameter(
            f"kind: must be one of {', '.join(TASKS)}", details={"fields": {"kind": "unknown"}}
        )
    if kind == "pull" and caller.role != "admin":
        raise errors.Forbidden("models are fetched by administrators", hint="Ask one to.")
    request = studio.request(task.request, fields, local=False, settings=studio.settings_of(caller.owner))
    _check_sources(studio, request, caller)
    return request


def _check_sources(studio: Studio, request: TaskRequest, caller: Caller) -> None:
    """What the request names must be there, and an upload the caller's own."""
    for name in type(request).model_fields:
        value = getattr(request, name)
        if isinstance(value, UploadRef):
            studio.uploads.get(value.upload, caller.sees)
        elif isinstance(value, TrackRef | KnownFile):
            studio.locate(value)


def _files(studio: Studio, job: Job) -> dict[str, Path]:
    """Plain files only: a name that is not listed is not served, wherever it points."""
    folder = studio.job_folder(job.id)
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return {path.name: path for path in found if path.is_file() and not path.is_symlink() and path.name[0] != "."}

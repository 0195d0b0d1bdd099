"""The wire of the MusicGen server: pieces, soundtracks and separations are ordered, asked after, and fetched as WAV files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Body, Request
from starlette.responses import Response

from sottovoce import errors
from sottovoce.jobs.job import Job
from sottovoce.library.uploads import Limit
from sottovoce.server.access import Caller
from sottovoce.server.answers import Json
from sottovoce.server.asked import Asker, House, HouseHere, StudioHere
from sottovoce.server.body import ArrivingFile
from sottovoce.server.dialects.musicgen_orders import Music, Soundtrack
from sottovoce.server.dialects.refusals import DetailRoute
from sottovoce.server.dialects.songs import FORM, MOST_WAITING, drop_song, file_song
from sottovoce.server.dialects.stems import stems_of, wav_of
from sottovoce.server.dialects.words import STATUS, reason, told
from sottovoce.server.files import file_answer
from sottovoce.studio import Studio
from sottovoce.tasks.generate import Generate

#: All of them come, or none: clients take them by the endings of their names.
STEMS = ("drums", "bass", "other", "vocals")
_NAME = re.compile(r"([0-9a-f]{16})_([a-z_]+)\.wav")
_MADE = {False: "generated", True: "soundtrack"}
_KINDS = ("generate", "separate")


class MusicgenRoute(DetailRoute):
    """Errors as that server tells them."""

    fixed: ClassVar[Mapping[type[errors.SottovoceError], str]] = {
        errors.JobNotFound: "Job not found",
        errors.StemNotFound: "File not found",
        errors.TrackNotFound: "File not found",
    }
    labels: ClassVar[Mapping[type[errors.SottovoceError], str]] = {errors.FileTooLarge: "File too large"}


router = APIRouter(tags=["MusicGen dialect"], route_class=MusicgenRoute)


@router.post("/generate")
def generate(body: Annotated[Music, Body()], studio: StudioHere, caller: Asker) -> Json:
    """Order a piece of 10 to 120 seconds."""
    return _filed(_submit(studio, caller, body.fields()))


@router.post("/generate/soundtrack")
def generate_soundtrack(body: Annotated[Soundtrack, Body()], studio: StudioHere, caller: Asker) -> Json:
    """Order music with scenes, each of 5 to 120 seconds; it lasts exactly as long as they do."""
    return _filed(_submit(studio, caller, body.fields()), body.notes())


@router.post("/separate", openapi_extra=FORM)
def separate(request: Request, house: HouseHere, caller: Asker) -> Json:
    """Order the four stems of the song in the field `file`."""
    settings = house.studio.settings.server
    limit = Limit(settings.max_upload_mb * 1_000_000, settings.max_duration_seconds)
    with house.receiving.taken():
        job = file_song(house, caller, ArrivingFile(request), limit=limit, fields={"only": STEMS})
    return _filed(job)


@router.get("/jobs/{job}")
def get(job: str, studio: StudioHere, caller: Asker) -> Json:
    """How far a job is; at its end where its files are, or why there are none."""
    try:
        found = _job(studio, job, caller)
        drop_song(studio, found)
        return Json(_shown(studio, found))
    except errors.LibraryBusy:
        # Clients give up for good on any answer that is an error.
        return Json({**_nothing(job), "status": "processing", "notes": ["the library is busy, ask again"]})


@router.get("/files/{name}")
def get_file(name: str, request: Request, house: HouseHere, caller: Asker) -> Response:
    """A file that one of the caller's jobs made, or a part of it."""
    said = _NAME.fullmatch(name)
    if said is None:
        raise errors.StemNotFound("there is no such file", hint="")
    path = _file(house, _job(house.studio, said[1], caller), said[2])
    # What a job made stays as it is, so its name stands for it.
    return file_answer(request, path, name, name)


def _submit(studio: Studio, caller: Caller, fields: Mapping[str, Any]) -> Job:
    # A job of theirs is one piece, whatever the settings say of several.
    request = studio.request(
        Generate, {**fields, "versions": 1}, local=False, settings=studio.settings_of(caller.owner)
    )
    return studio.submit(request, owner=caller.owner, lane="batch", most=MOST_WAITING)


def _filed(job: Job, notes: Sequence[str] = ()) -> Json:
    return Json({"job_id": job.id, "status": STATUS[job.state], **({"notes": list(notes)} if notes else {})})


def _job(studio: Studio, job: str, caller: Caller) -> Job:
    found = studio.queue.get(job, owner=caller.sees)
    if found.kind not in _KINDS:
        raise errors.JobNotFound("this job makes no music and no stems")
    return found


def _shown(studio: Studio, job: Job) -> dict[str, Any]:
    """A job in that server's fields, and beside them what it has no field for."""
    shown = {**_nothing(job.id), "status": STATUS[job.state], "progress": job.percent, "progress_detail": _detail(job)}
    if job.result is None:
        return {**shown, "error": reason(job)}
    try:
        return {**shown, **_done(studio, job)}
    except errors.NotFound as error:
        return {**shown, "status": "failed", "error": error.message}


def _nothing(job: str) -> dict[str, Any]:
    """What is said of a job of which nothing is known."""
    return {
        "job_id": job,
        "status": "queued",
        "result_urls": None,
        "error": None,
        "progress": 0.0,
        "progress_detail": None,
    }


def _detail(job: Job) -> dict[str, Any] | None:
    """Of a soundtrack the scene that is worked on, as far as the share of the work that is done tells."""
    count = len(job.request.get("scenes") or ())
    if not count or job.state != "running":
        return None
    stage = "finalizing" if (job.stage or "").startswith(("write", "publish")) else "generating"
    return {"current_scene": min(count, 1 + int(job.percent * count / 100)), "total_scenes": count, "stage": stage}


def _done(studio: Studio, job: Job) -> dict[str, Any]:
    """Where the files of a finished job are, and how they were made; NotFound if they are gone."""
    if job.kind == "generate":
        track = studio.library.get(_track_of(job))
        recipe = json.loads(track.recipe_json or "{}")
        how = {"engine": track.engine, "skipped": recipe.get("skipped", []), "notes": recipe.get("notes", [])}
        return {"result_urls": [f"/files/{job.id}_{_made(job)}.wav"], **how}
    missing = [stem for stem in STEMS if stem not in stems_of(studio, job)]
    if missing:
        raise errors.StemNotFound(f"the separation gave no {', '.join(missing)}")
    return {"result_urls": [f"/files/{job.id}_{stem}.wav" for stem in STEMS], **told(job)}


def _file(house: House, job: Job, part: str) -> Path:
    if job.kind == "separate":
        return wav_of(house, job, part)
    if job.result is None or part != _made(job):
        raise errors.StemNotFound("there is no such file", hint="")
    track = house.studio.library.get(_track_of(job))
    with house.decoding.taken():
        return house.renditions.get(track, "wav")


def _track_of(job: Job) -> str:
    """The first piece a job made; those of other surfaces may have made several."""
    assert job.result is not None
    return str(job.result["tracks"][0])


def _made(job: Job) -> str:
    return _MADE[bool(job.request.get("scenes"))]

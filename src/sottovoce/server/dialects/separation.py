"""The routes of a stem service: send a song, watch it being separated, fetch its stems."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import PurePath
from typing import Annotated, Any, ClassVar

from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from sottovoce import errors
from sottovoce.jobs.job import Job
from sottovoce.library.uploads import Limit
from sottovoce.plain import plain
from sottovoce.server.access import Caller
from sottovoce.server.answers import Json
from sottovoce.server.asked import Asker, House, HouseHere
from sottovoce.server.body import ArrivingFile
from sottovoce.server.dialects.refusals import DetailRoute
from sottovoce.server.dialects.songs import FORM, drop_song, file_song
from sottovoce.server.dialects.stems import check_separator, stems_of, wav_of
from sottovoce.server.dialects.words import STATUS, told
from sottovoce.server.events import missed
from sottovoce.server.files import file_answer
from sottovoce.studio import Studio

ENDINGS = (".mp3", ".wav", ".flac", ".ogg", ".m4a", ".aac")
#: How often something is said at least.
TELL_SECONDS = 1.0
_STREAM = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_UNKNOWN = {"error": "Task not found"}
#: What clients look for in an error, by its code.
_SAID: Mapping[str, str] = {"TIMED_OUT": "Separation timed out", "OUT_OF_MEMORY": "Insufficient memory"}


class SeparationRoute(DetailRoute):
    """Errors as that service tells them."""

    fixed: ClassVar[Mapping[type[errors.SottovoceError], str]] = {errors.JobNotFound: "Task not found"}
    labels: ClassVar[Mapping[type[errors.SottovoceError], str]] = {
        errors.UnsupportedFormat: "Unsupported format",
        errors.CorruptMedia: "Unsupported format",
        errors.FileTooLarge: "File too large",
        errors.AudioTooLong: "File too long",
    }


router = APIRouter(prefix="/api/separate", tags=["stem service"], route_class=SeparationRoute)

Model = Annotated[
    str | None,
    Query(pattern=r"^[A-Za-z0-9_-]{1,60}$", description="the model; left out, that of the first engine that can"),
]


@router.post("", openapi_extra=FORM)
def separate(request: Request, house: HouseHere, caller: Asker, model: Model = None) -> Json:
    """Send a song in the field `file`; its separation begins when its turn comes, and the song is deleted when that has ended."""
    settings = house.studio.settings.server
    check_separator(house.studio, model=model)
    with house.receiving.taken():
        song = ArrivingFile(request)
        _check_ending(song.name)
        limit = Limit(settings.separation_max_mb * 1_000_000, settings.separation_max_seconds)
        job = file_song(house, caller, song, limit=limit, fields={"model": model} if model else {})
    return Json({"task_id": job.id})


@router.get("/{task}/progress")
async def progress(task: str, house: HouseHere, caller: Asker) -> Response:
    """How far it is, as server-sent events, at least one in a second; the last one names the stems, or the error."""
    house.hub.check_room()
    return StreamingResponse(_progress(house, task, caller), media_type="text/event-stream", headers=_STREAM)


@router.get("/{task}/stems/{stem}")
def get_stem(task: str, stem: str, request: Request, house: HouseHere, caller: Asker) -> Response:
    """One stem as a WAV file, or a part of it."""
    job = _job(house.studio, task, caller)
    if job.state != "done":
        raise errors.StemNotFound("Stems not ready", hint="")
    path = wav_of(house, job, stem)
    return file_answer(request, path, f"{job.id}-{path.stem}", f"{stem}.wav")


def _job(studio: Studio, task: str, caller: Caller) -> Job:
    found = studio.queue.get(task, owner=caller.sees)
    if found.kind != "separate":
        raise errors.JobNotFound("this job separates nothing")
    return found


def _check_ending(name: str) -> None:
    ending = PurePath(name).suffix.lower()
    if ending not in ENDINGS:
        raise errors.UnsupportedFormat(f"{ending[:20] or 'no ending'}; send one of {' '.join(ENDINGS)}", hint="")


async def _progress(house: House, task: str, caller: Caller) -> AsyncIterator[bytes]:
    """What the stream says: the state when something happens, and every second, to the end."""
    try:
        job = await run_sync(_job, house.studio, task, caller)
    except errors.JobNotFound:
        yield _written(_UNKNOWN)
        return
    past = await missed(house.hub, job.id, 0)
    with house.hub.listening(job.id, past[-1].seq if past else 0) as listener:
        while True:
            job = await run_sync(partial(_job, house.studio, task, caller))
            shown = await run_sync(_shown, house.studio, job)
            yield _written(shown)
            if job.over:
                return
            try:
                await asyncio.wait_for(listener.mailbox.get(), TELL_SECONDS)
            except TimeoutError:
                continue


def _shown(studio: Studio, job: Job) -> dict[str, Any]:
    """A job in that service's fields; when it is over its song goes."""
    drop_song(studio, job)
    shown: dict[str, Any] = {"status": STATUS[job.state], "progress": round(job.percent, 1)}
    if job.result is not None:
        cached = bool(job.result["report"].get("cached"))
        return {**shown, "stems": list(stems_of(studio, job)), "cached": cached, **told(job)}
    return {**shown, "error": _reason(job)} if job.over else shown


def _reason(job: Job) -> str:
    """Why there are no stems, in the words that clients know."""
    if job.error is None:
        return "Separation failed: cancelled"
    return _SAID.get(job.error["code"], f"Separation failed: {job.error['message']}")


def _written(data: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(plain(data), allow_nan=False)}\n\n".encode()

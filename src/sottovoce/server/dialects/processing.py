"""The routes of a studio for remixing: separate a track of the library, and take its stems along."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Body, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from sottovoce import errors
from sottovoce.audio import Stem
from sottovoce.engines.catalog import AUTO, parse_engine
from sottovoce.engines.demucs.models import MODELS
from sottovoce.jobs.job import Job
from sottovoce.library.export import safe_name, zip_stems
from sottovoce.server.access import Caller
from sottovoce.server.answers import Json
from sottovoce.server.asked import Asker, HouseHere, StudioHere
from sottovoce.server.dialects.refusals import ErrorRoute
from sottovoce.server.dialects.songs import MOST_WAITING
from sottovoce.server.dialects.stems import as_wav, check_separator, stems_of, track_of, wav_of
from sottovoce.server.dialects.words import STATUS, reason, told
from sottovoce.server.files import file_answer, saved_as
from sottovoce.studio import Studio
from sottovoce.tasks.separate import Separate

router = APIRouter(tags=["stem service"], route_class=ErrorRoute)

#: Their word for whatever needs no paid service.
_LOCAL = "local"
_ABOUT: Mapping[str, str] = {
    "htdemucs": "good for most music; the default",
    "htdemucs_ft": "a little better, at four times the work",
    "htdemucs_6s": "guitar and piano too; the piano is weak",
    "hdemucs_mmi": "the hybrid network before htdemucs",
    "mdx": "four networks of the 2021 contest",
    "mdx_extra": "the same, trained with more music; good vocals",
}


class Wish(BaseModel):
    """A track, and by which engine and model it is to be separated."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    track_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    engine: Annotated[str, Field(max_length=64)] = _LOCAL
    model: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9_-]{1,60}$")] = None


@router.post("/api/processing/separate")
def separate(body: Annotated[Wish, Body()], studio: StudioHere, caller: Asker) -> Json:
    """Have a track separated; `local` is every engine that costs nothing, in the order of the settings."""
    studio.library.get(body.track_id)
    engine = AUTO if body.engine.strip().lower() == _LOCAL else parse_engine(body.engine)
    check_separator(studio, engine, body.model)
    wish = {"source": {"track": body.track_id}, "engine": engine, **({"model": body.model} if body.model else {})}
    request = studio.request(Separate, wish, local=False, settings=studio.settings_of(caller.owner))
    job = studio.submit(request, owner=caller.owner, lane="batch", most=MOST_WAITING)
    shown = {"job_id": job.id, "track_id": body.track_id, "model": body.model, "engine": engine}
    return Json({"data": {**shown, "status": STATUS[job.state]}}, 201)


@router.get("/api/processing/job/{job}")
def get(job: str, studio: StudioHere, caller: Asker) -> Json:
    """How far such a job is; at its end the stems, each with the id by which it is exported."""
    found = _job(studio, job, caller)
    report = (found.result or {}).get("report", {})
    shown = {
        "id": found.id,
        "track_id": track_of(found),
        "status": STATUS[found.state],
        "progress": round(found.percent),
        "model": report.get("model", found.request.get("model")),
        "stems": _records(studio, found),
        "error": reason(found),
    }
    return Json({"data": {**shown, **told(found)}})


@router.get("/api/processing/models")
def models() -> Json:
    """The models that can be named."""
    shown = [
        {"name": name, "description": _ABOUT[name], "stems": len(model.stems), "stem_names": model.stems}
        for name, model in MODELS.items()
    ]
    return Json({"data": {"models": shown}})


@router.get("/files/stems/{job}/{stem}.wav")
def get_file(job: str, stem: str, request: Request, house: HouseHere, caller: Asker) -> Response:
    """A stem that a job made, or a part of it."""
    path = wav_of(house, house.studio.queue.get(job, owner=caller.sees), stem)
    return file_answer(request, path, f"{job}-{path.stem}", f"{stem}.wav")


@router.get("/export/stem/{stem_id}")
def export_stem(stem_id: str, request: Request, house: HouseHere) -> Response:
    """One stem of a track as a WAV file, by the id that the job names."""
    track, engine, stem = _parts(stem_id)
    found = house.studio.library.get(track)
    path = house.studio.library.stems(track, engine).get(stem)
    if path is None:
        raise _no_stem()
    wav = as_wav(house, found, path)
    answer = file_answer(request, wav, wav.name, "")
    answer.headers.update(saved_as(f"{safe_name(found.title)} {stem}.wav"))
    return answer


@router.get("/export/stems/{track_id}")
def export_stems(track_id: str, studio: StudioHere) -> Response:
    """All stems of a track as a ZIP, made while it is sent."""
    found, parts = studio.library.get(track_id), studio.library.stems(track_id)
    if not parts:
        raise errors.StemNotFound("No stems available", hint="Separate the track first.")
    name = saved_as(f"{safe_name(found.title)}_stems.zip")
    return StreamingResponse(zip_stems(found, parts), media_type="application/zip", headers=name)


def _job(studio: Studio, job: str, caller: Caller) -> Job:
    found = studio.queue.get(job, owner=caller.sees)
    if found.kind != "separate" or track_of(found) is None:
        raise errors.JobNotFound("this job separates no track")
    return found


def _records(studio: Studio, job: Job) -> list[dict[str, str]]:
    """The stems of a job as that studio keeps them: what they are, and where."""
    track, engine = track_of(job), (job.result or {}).get("report", {}).get("engine")
    return [
        {
            "id": f"{track}.{engine}.{stem}",
            "stem_type": stem,
            "file_path": f"stems/{job.id}/{stem}.wav",
            "url": f"/files/stems/{job.id}/{stem}.wav",
        }
        for stem in stems_of(studio, job)
    ]


def _parts(stem_id: str) -> tuple[str, str, Stem]:
    """Track, engine and stem; an engine's name may have dots of its own."""
    track, _, rest = stem_id.partition(".")
    engine, _, stem = rest.rpartition(".")
    if not (track and engine and stem):
        raise _no_stem()
    return track, engine, Stem(stem)


def _no_stem() -> errors.StemNotFound:
    return errors.StemNotFound("Stem not found", hint="The answer about the job names the ids.")

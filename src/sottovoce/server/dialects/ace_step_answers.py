"""Answers of the ACE-Step dialect: its envelope, its errors, and jobs as the items of its results."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from sottovoce import errors
from sottovoce.jobs.job import Job
from sottovoce.library.track import Track
from sottovoce.library.tracks import Library
from sottovoce.media import draft
from sottovoce.plain import plain
from sottovoce.recipe import Recipe
from sottovoce.server.answers import Json
from sottovoce.server.dialects.refusals import DetailRoute

WAITING, DONE, FAILED = 0, 1, 2
_UNKNOWN = "N/A"
_INSTRUMENTAL = "[Instrumental]"
#: In the folder of a job: what the dialect has to remember of it. No route lists names that begin with a dot.
_MEMORY = ".ace-step.json"


class AceStepRoute(DetailRoute):
    """Errors as that server tells them."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's own handler; what HTTP itself refuses is told in the same shape."""
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handle(request)
            except HTTPException as error:
                return Json({"detail": error.detail}, error.status_code)

        return answered


def envelope(data: Any, **beside: Any) -> Json:
    """A good answer; `beside` is for clients that forget to look inside."""
    return Json({"data": data, "code": 200, "error": None, "timestamp": _now(), "extra": None, **beside})


def failure(code: int, error: str) -> Json:
    """A failure that arrives as a good answer, as some routes have it."""
    return Json({"data": None, "code": code, "error": error, "timestamp": _now(), "extra": None})


@dataclass(frozen=True)
class Memory:
    """What a job's own request does not say: the format and the words the client used, and what it should know."""

    form: str = "mp3"
    prompt: str = ""
    lyrics: str = ""
    notes: tuple[str, ...] = ()

    def write(self, folder: Path) -> None:
        """Keep it with the job."""
        with draft.writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with draft.draft(folder / _MEMORY) as part, draft.writing(part):
            part.write_text(json.dumps(asdict(self)), encoding="utf-8")


def memory_of(job: Job, folder: Path) -> Memory:
    """What was kept with a job; of one that another surface filed, what its request says."""
    try:
        said = json.loads((folder / _MEMORY).read_text(encoding="utf-8"))
        return Memory(**{**said, "notes": tuple(said["notes"])})
    except (OSError, ValueError, TypeError, KeyError):
        return Memory(prompt=str(job.request.get("prompt", "")), lyrics=str(job.request.get("lyrics") or ""))


def unknown(task: str, text: str = "") -> dict[str, Any]:
    """An id nobody knows, or cannot be asked about now: to clients it is a job that waits."""
    return {"task_id": task, "status": WAITING, "result": "[]", **({"progress_text": text} if text else {})}


def state(job: Job, memory: Memory, library: Library) -> dict[str, Any]:
    """A job as a line of `/query_result`; `result` is JSON in a string."""
    if job.state == "done":
        status, items, text = DONE, _tracks(job, memory, library), "done"
    elif job.over:
        status, items, text = FAILED, [_failed(job, memory)], job.state
    else:
        status, items, text = WAITING, [_going(job, memory)], f"{job.stage or job.state} {job.percent:.0f} %"
    return {"task_id": job.id, "status": status, "result": json.dumps(plain(items)), "progress_text": text}


def audio_url(track: str, form: str) -> str:
    """Where the client fetches a track: below the server's own root, without a host."""
    return f"/v1/audio?path={track}.{form}"


def _going(job: Job, memory: Memory) -> dict[str, Any]:
    where = {"queue_position": job.position, "eta": job.eta, "notes": list(memory.notes)}
    return _head(job, WAITING) | {"progress": job.percent / 100, "stage": job.stage or job.state} | where


def _failed(job: Job, memory: Memory) -> dict[str, Any]:
    error = job.error or {}
    text = "cancelled" if job.state == "cancelled" else _sentence(error.get("message", ""), error.get("hint", ""))
    told = {"progress": job.percent / 100, "stage": job.state, "error": text, "notes": list(memory.notes)}
    return _head(job, FAILED) | told | {"code": error.get("code")}


def _tracks(job: Job, memory: Memory, library: Library) -> list[dict[str, Any]]:
    """An item for each track; one that was deleted since has no file."""
    names = (job.result or {}).get("tracks") or []
    tracks = [_track(library, name) for name in names]
    seeds = ",".join("" if track is None or track.seed is None else str(track.seed) for track in tracks)
    items = [_made(track, job, memory) for track in tracks]
    return [_head(job, DONE) | item | {"seed_value": seeds, "progress": 1.0, "stage": "succeeded"} for item in items]


def _track(library: Library, name: str) -> Track | None:
    try:
        return library.get(name)
    except errors.TrackNotFound:
        return None


def _made(track: Track | None, job: Job, memory: Memory) -> dict[str, Any]:
    if track is None:
        return {"error": "the track was deleted since"}
    recipe, request = _recipe(track), job.request
    used = recipe.request if recipe else request
    model = (recipe and recipe.engine.model) or track.engine or ""
    return {
        "file": audio_url(track.id, memory.form),
        "prompt": used.get("caption") or used.get("prompt") or "",
        "lyrics": used.get("lyrics") or _INSTRUMENTAL,
        "metas": _metas(track, used, memory),
        "generation_info": _told(track, recipe, job, memory),
        "lm_model": "",
        "dit_model": model,
        "engine": track.engine,
        "track": track.id,
        "skipped": [skipped.model_dump() for skipped in recipe.skipped] if recipe else [],
        "notes": [*memory.notes, *_notes(recipe, job)],
    }


def _metas(track: Track, used: Mapping[str, Any], memory: Memory) -> dict[str, Any]:
    """What is known of the music, and the words the client sent."""
    found = {
        "bpm": None if track.bpm is None else round(track.bpm),
        "duration": round(track.seconds, 3),
        "genres": track.genre,
        "keyscale": track.key,
        "timesignature": str(used.get("time_signature") or "").split("/")[0],
        "prompt": memory.prompt,
        "lyrics": memory.lyrics,
    }
    return {name: _UNKNOWN if value in (None, "") else value for name, value in found.items()}


def _told(track: Track, recipe: Recipe | None, job: Job, memory: Memory) -> str:
    """How it was made, in a few lines of Markdown."""
    seed = "" if track.seed is None else f", seed {track.seed}"
    lines = [f"**Made by {track.engine}**{seed}, {track.seconds:.1f} s of music"]
    if recipe is not None:
        lines[0] += f" in {recipe.seconds:.1f} s on {recipe.device}"
        lines += [f"- {skipped.engine} was skipped: {skipped.reason}" for skipped in recipe.skipped]
    return "\n".join([*lines, *(f"- {note}" for note in (*memory.notes, *_notes(recipe, job)))])


def _notes(recipe: Recipe | None, job: Job) -> tuple[str, ...]:
    """What the engine, and what said the prompt better, had to say."""
    report = (job.result or {}).get("report", {}).get("notes") or ()
    return (*report, *(recipe.notes if recipe else ()))


def _recipe(track: Track) -> Recipe | None:
    """None for a recipe of another version too: the track is still good to hear."""
    try:
        return track.recipe
    except errors.InvalidParameter:
        return None


def _head(job: Job, status: int) -> dict[str, Any]:
    created = int(datetime.fromisoformat(job.created).timestamp())
    return {"file": "", "wave": "", "status": status, "create_time": created, "env": "production"}


def _sentence(message: str, hint: str) -> str:
    return f"{message}. {hint}" if hint else message


def _now() -> int:
    return round(time.time() * 1000)

"""The ACE-Step dialect: the routes of its server, so that its clients can be pointed here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from sottovoce import errors
from sottovoce.jobs.job import Job
from sottovoce.library.export import safe_name
from sottovoce.library.uploads import Limit, Readable, Upload
from sottovoce.server.access import Caller
from sottovoce.server.answers import Json
from sottovoce.server.asked import Asker, House, HouseHere, StudioHere
from sottovoce.server.dialects.ace_step_answers import (
    AceStepRoute,
    Memory,
    envelope,
    failure,
    memory_of,
    state,
    unknown,
)
from sottovoce.server.dialects.ace_step_body import read_body, whole_body
from sottovoce.server.dialects.ace_step_fields import Lenient, asked_of, is_analysis
from sottovoce.server.dialects.ace_step_models import inventory, makers
from sottovoce.server.dialects.ace_step_order import AUDIO, Files, order_of
from sottovoce.server.dialects.ace_step_samples import formatted, invented, prompt_of, sample_of
from sottovoce.server.dialects.songs import MOST_WAITING
from sottovoce.server.enhancing import better
from sottovoce.server.files import file_answer
from sottovoce.server.limits import Slots
from sottovoce.studio import Studio
from sottovoce.tasks.generate import Generate

router = APIRouter(tags=["ACE-Step dialect"], route_class=AceStepRoute)

_OBJECT = {"schema": {"type": "object"}}
#: Fields are read leniently, under many names; docs/dialects.md lists them.
_BODY = {
    "requestBody": {
        "content": {
            "application/json": _OBJECT,
            "application/x-www-form-urlencoded": _OBJECT,
            "multipart/form-data": _OBJECT,
        }
    }
}

Told = Annotated[bytes | None, Depends(whole_body)]

#: Tasks that may be asked after at once.
_MOST_ASKED = 1000
_TASK = re.compile(r"[0-9A-Za-z-]{1,64}")
_SOURCES, _REFERENCES = ("src_audio", "ctx_audio"), ("ref_audio", "reference_audio")
#: What the average of the last jobs is taken over, and is before there are any.
_RECENT, _UNTRIED_SECONDS = 50, 5.0
#: Questions to the LLM that are open at once, each of which holds a thread.
_asking = Slots(8)


@router.post("/release_task", openapi_extra=_BODY)
def release_task(request: Request, told: Told, house: HouseHere) -> Json:
    """Ask for music, as JSON or as a form with files; its `task_id` is what `/query_result` is asked after."""
    form = _Form(request, told, house)
    fields = form.read()
    caller, studio = form.caller(fields), house.studio
    if is_analysis(fields):
        raise errors.InvalidParameter("music is not analysed here", hint="`sotto inspect` measures a file.")
    asked = asked_of(fields)
    order = order_of(asked, Files(form.first(_SOURCES), form.first(_REFERENCES)), makers(studio, caller.owner))
    wish = studio.request(Generate, order.fields, local=False, settings=studio.settings_of(caller.owner))
    job = studio.submit(wish, owner=caller.owner, lane="batch", most=MOST_WAITING)
    said = Lenient(fields)
    _remember(studio, job, Memory(order.form, said.text("prompt"), said.text("lyrics"), tuple(order.notes)))
    data = {"task_id": job.id, "status": "queued", "queue_position": job.position or 1, "notes": order.notes}
    return envelope(data, task_id=job.id)


@router.post("/query_result", openapi_extra=_BODY)
def query_result(request: Request, told: Told, house: HouseHere) -> Json:
    """How the tasks of `task_id_list` are, in its order; ids that are nobody's, or another's, are said to wait."""
    form = _Form(request, told, house)
    fields = form.read()
    caller = form.caller(fields)
    return envelope([_state(house.studio, caller, task) for task in _listed(fields.get("task_id_list"))])


@router.post("/format_input", openapi_extra=_BODY)
def format_input(request: Request, told: Told, house: HouseHere) -> Json:
    """A prompt said better, by the configured LLM or else from built-in tables, which is said."""
    form = _Form(request, told, house)
    fields = form.read()
    form.caller(fields)
    try:
        prompt = prompt_of(fields)
    except errors.InvalidPrompt as error:
        return failure(400, error.message)
    with _asking.taken():
        made = better(prompt, house.studio)
    return envelope(formatted(made, seconds=Lenient(fields).positive("audio_duration")))


@router.post("/create_random_sample", openapi_extra=_BODY)
def create_random_sample(request: Request, told: Told, house: HouseHere) -> Json:
    """An invented wish: `simple_mode` for a sentence, anything else for all fields; a `seed` gives the same one again."""
    form = _Form(request, told, house)
    fields = form.read()
    form.caller(fields)
    said = Lenient(fields)
    seed = said.number("seed")
    sample = sample_of(None if seed is None or seed < 0 else int(seed))
    with _asking.taken():
        return envelope(invented(sample, house.studio, simple=said.text("sample_type", "simple_mode") == "simple_mode"))


@router.get("/v1/models")
def models(studio: StudioHere, caller: Asker) -> Json:
    """What can make music now, as OpenAI lists models; the first is the default."""
    found = [
        {
            "id": f"acestep/{model['name']}",
            "name": model["name"],
            "created": 0,
            "input_modalities": ["text", "audio"],
            "output_modalities": ["audio"],
            "context_length": 4096,
            "max_output_length": 300,
            "pricing": {"prompt": "0", "completion": "0", "request": "0"},
            "description": model["title"],
        }
        for model in inventory(makers(studio, caller.owner))
    ]
    return Json({"object": "list", "data": found})


@router.get("/v1/model_inventory")
def model_inventory(studio: StudioHere, caller: Asker) -> Json:
    """What can make music now, with the tasks each can do."""
    found = inventory(makers(studio, caller.owner))
    return envelope(
        {
            "models": found,
            "default_model": found[0]["name"] if found else None,
            "lm_models": [],
            "loaded_lm_model": None,
            "llm_initialized": studio.settings.llm.provider != "none",
        }
    )


@router.get("/v1/audio")
def audio(path: Annotated[str, Query(max_length=400)], request: Request, house: HouseHere, _caller: Asker) -> Response:
    """A finished track, or a part of it (Range); `path` is what stands in its `file` and no place on any disk."""
    named = AUDIO.fullmatch(path)
    if named is None:
        raise HTTPException(403, "Access denied: path is no audio of this server")
    try:
        track = house.studio.library.get(named[1])
    except errors.TrackNotFound:
        raise HTTPException(404, "Audio file not found") from None
    with house.decoding.taken():
        file = house.renditions.get(track, named[2])
    return file_answer(request, file, f"{track.sha256}-{named[2]}", f"{safe_name(track.title)}{file.suffix}")


@router.get("/v1/stats")
def stats(studio: StudioHere, _caller: Asker) -> Json:
    """How much there is to do."""
    counts = studio.queue.counts()
    queued, failed = counts.get("queued", 0), counts.get("failed", 0) + counts.get("cancelled", 0)
    jobs = {
        "total": sum(counts.values()),
        "queued": queued,
        "running": counts.get("running", 0),
        "succeeded": counts.get("done", 0),
        "failed": failed,
    }
    recent = studio.queue.list(state="done", kind="generate", limit=_RECENT)
    usual = sum(map(_seconds, recent)) / len(recent) if recent else _UNTRIED_SECONDS
    return envelope(
        {"jobs": jobs, "queue_size": queued, "queue_maxsize": MOST_WAITING, "avg_job_seconds": round(usual, 2)}
    )


class _Form:
    """A request's fields and files. The files are kept for the caller while they arrive, so who that is must be known by then."""

    def __init__(self, request: Request, told: bytes | None, house: House) -> None:
        self._request, self._told, self._house = request, told, house
        self._files: dict[str, Upload] = {}

    def read(self) -> dict[str, Any]:
        """The fields, and what files there are stored."""
        place = self._house.receiving.taken() if self._told is None else nullcontext()
        with place:
            return read_body(self._request, self._told, self._keep)

    def caller(self, fields: Mapping[str, Any]) -> Caller:
        """Who asks: a token in the body counts before any other; Unauthorized for a wrong one, and where there is none and needs to be."""
        shown = fields.get("ai_token")
        if shown and not self._house.access.is_open_to(self._request):
            return self._house.access.holder(str(shown))
        caller = self._request.scope["caller"]
        if isinstance(caller, Caller):
            return caller
        raise errors.Unauthorized(
            "a token is needed here", hint="Send it as `Authorization: Bearer TOKEN`, or as ai_token before any file."
        )

    def first(self, fields: tuple[str, ...]) -> Upload | None:
        """The file of the first of these fields that has one."""
        return next((self._files[name] for name in fields if name in self._files), None)

    def _keep(self, field: str, name: str, file: Readable, said: Mapping[str, str]) -> None:
        caller, studio = self.caller(said), self._house.studio
        if field not in (*_SOURCES, *_REFERENCES) or field in self._files:
            return
        settings = studio.settings.server
        limit = Limit(settings.max_upload_mb * 1_000_000, settings.max_duration_seconds)
        studio.uploads.sweep(studio.queue.uploads_needed())
        self._files[field] = studio.uploads.add(file, name, limit, owner=caller.owner)


def _remember(studio: Studio, job: Job, memory: Memory) -> None:
    """Keep it with the job, which is not to be done if its client is told of an error."""
    try:
        memory.write(studio.job_folder(job.id))
    except errors.StorageError:
        with suppress(errors.JobEnded):
            studio.queue.cancel(job.id)
        raise


def _listed(value: Any) -> list[str]:
    """The ids asked after: a list, or one as JSON in a form's field; what is neither is nobody."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = []
    tasks = [str(task) for task in value] if isinstance(value, list) else []
    if len(tasks) > _MOST_ASKED:
        raise errors.InvalidParameter(f"at most {_MOST_ASKED} tasks can be asked after at once")
    return tasks


def _state(studio: Studio, caller: Caller, task: str) -> dict[str, Any]:
    """Clients give up for good when they are refused here: what cannot be told now is told by the next answer."""
    try:
        job = _job(studio, caller, task)
        if job is None:
            return unknown(task)
        return state(job, memory_of(job, studio.job_folder(job.id)), studio.library)
    except errors.StorageError as error:
        return unknown(task, error.message)


def _job(studio: Studio, caller: Caller, task: str) -> Job | None:
    if not _TASK.fullmatch(task):
        return None
    try:
        job = studio.queue.get(task, owner=caller.sees)
    except errors.JobNotFound:
        return None
    return job if job.kind == "generate" else None


def _seconds(job: Job) -> float:
    if job.started is None or job.ended is None:
        return 0.0
    return (datetime.fromisoformat(job.ended) - datetime.fromisoformat(job.started)).total_seconds()

"""Enhance: a prompt said better before anything is filed, to be read and changed."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body

from sottovoce.server.answers import Json
from sottovoce.server.asked import Asker, StudioHere, check_text
from sottovoce.server.enhancing import better
from sottovoce.server.limits import Slots
from sottovoce.tasks.generate import Generate, prompt_of
from sottovoce.tasks.outcome import TaskRun

router = APIRouter(prefix="/api/enhance", tags=["jobs"])

_BODY = {"$ref": "#/components/schemas/Generate"}
#: Questions to the LLM that are open at once, each of which holds a thread.
_asking = Slots(8)


@router.post("", openapi_extra={"requestBody": {"content": {"application/json": {"schema": _BODY}}}})
def enhance(body: Annotated[dict[str, Any], Body()], studio: StudioHere, caller: Asker) -> Json:
    """Say a prompt better, by your language model or from tables; what the request says itself of tempo, key and meter stays."""
    check_text(body)
    request = studio.request(Generate, body, local=False, settings=studio.settings_of(caller.owner))
    bare = request.model_copy(update=dict.fromkeys(("cover", "repaint", "extend", "reference")))
    with _asking.taken():
        made = better(prompt_of(bare, request.seed or 0, TaskRun()), studio)
    said = made.said
    return Json(
        {
            "caption": said.words,
            "lyrics": said.lyrics,
            "bpm": request.bpm or said.bpm,
            "key": request.key or (None if said.key is None else str(said.key)),
            "time_signature": request.time_signature or said.time_signature,
            "by": made.by,
            "notes": made.notes,
        }
    )

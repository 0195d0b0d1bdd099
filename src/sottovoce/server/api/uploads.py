"""Uploads: files for jobs to work on, or for the library."""

from __future__ import annotations

from fastapi import APIRouter, Request

from sottovoce.library.uploads import Limit
from sottovoce.server.answers import Json
from sottovoce.server.asked import Asker, HouseHere
from sottovoce.server.body import ArrivingFile

router = APIRouter(prefix="/api/uploads", tags=["uploads"])

_FORM = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "string", "contentMediaType": "application/octet-stream"}},
}


@router.post(
    "", openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}}
)
def upload(request: Request, house: HouseHere, caller: Asker) -> Json:
    """Send a file of sound or video in the field `file`; its id is what requests name. Unused, it is kept for an hour."""
    studio, settings = house.studio, house.studio.settings.server
    limit = Limit(settings.max_upload_mb * 1_000_000, settings.max_duration_seconds)
    with house.receiving.taken():
        studio.uploads.sweep(studio.queue.uploads_needed())
        file = ArrivingFile(request)
        made = studio.uploads.add(file, file.name, limit, owner=caller.owner)
    return Json(made.as_dict(), 201)

"""What draws a track: the outline of its sound, its spectrogram, its sections and beats."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from sottovoce.library.foreign import trusted
from sottovoce.library.structure import Heard, listen, structure
from sottovoce.library.track import Track
from sottovoce.library.waveform import outline, picture
from sottovoce.server.answers import Json
from sottovoce.server.asked import House, HouseHere
from sottovoce.server.files import file_answer, is_known

router = APIRouter(prefix="/api/tracks", tags=["tracks"])

Points = Annotated[int, Query(ge=10, le=8000, description="into how many parts the sound is divided")]
Width = Annotated[int, Query(ge=64, le=2048, description="pixels from the beginning to the end")]
Height = Annotated[int, Query(ge=32, le=1024, description="pixels from the lowest pitch to the highest")]

#: Counts up when pictures or measurements change, so that older ones are not taken for new.
_EDITION = 1


@router.get("/{track}/peaks")
def peaks(track: str, request: Request, house: HouseHere, points: Points = 1000) -> Response:
    """The highest level in each part of the sound, 0 to 1, for drawing it."""
    found = house.studio.library.get(track)
    tag = f"{found.sha256}-{points}"
    if is_known(request, tag):
        return _unchanged(tag)
    with house.decoding.taken(), trusted(found, house.renditions.folder) as sound:
        tops = outline(found, sound, points)
    return Json({"seconds": found.seconds, "points": len(tops), "peaks": tops}, headers=_tagged(tag))


@router.get("/{track}/spectrogram")
def spectrogram(track: str, request: Request, house: HouseHere, width: Width = 1024, height: Height = 256) -> Response:
    """How strong each pitch is over time, as a PNG: from left to right the time, from bottom to top the pitches in octaves."""
    found = house.studio.library.get(track)
    tag = f"{found.sha256[:32]}-{width}x{height}-{_EDITION}"
    if is_known(request, tag):
        return _unchanged(tag)

    def draw(sound: Path, new: Path) -> None:
        new.write_bytes(picture(found, sound, width=width, height=height))

    with house.decoding.taken():
        path = house.renditions.kept(found, f"{tag}.png", draw)
    return file_answer(request, path, tag, "spectrogram.png")


@router.get("/{track}/sections")
def sections(track: str, request: Request, house: HouseHere) -> Response:
    """Sections, beats and bar lines in seconds, tempo and key: from the recipe, and where it has no tempo, as they are heard (`measured`)."""
    found = house.studio.library.get(track)
    told = structure(found, lambda: _heard(house, found)).as_dict()
    tag = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]
    return _unchanged(tag) if is_known(request, tag) else Json(told, headers=_tagged(tag))


def _heard(house: House, track: Track) -> Heard:
    def write(sound: Path, new: Path) -> None:
        new.write_text(json.dumps(listen(sound).as_dict()), encoding="ascii")

    with house.decoding.taken():
        path = house.renditions.kept(track, f"{track.sha256[:32]}-beats-{_EDITION}.json", write)
    kept = json.loads(path.read_text(encoding="ascii"))
    return Heard(**{**kept, "beats": tuple(kept["beats"])})


def _unchanged(tag: str) -> Response:
    return Response(status_code=304, headers=_tagged(tag))


def _tagged(tag: str) -> dict[str, str]:
    return {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache"}

"""Tracks: find them, hear them, name and rate them, take them along. All who may come in share them."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Body, Query, Request
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from sottovoce import errors
from sottovoce.audio import Stem
from sottovoce.library.export import safe_name, zip_stems, zip_tracks
from sottovoce.library.foreign import read_upload
from sottovoce.library.search import Order
from sottovoce.library.track import Track, clean_rating, clean_tag, clean_title
from sottovoce.media.formats import format_of
from sottovoce.places import scratch_folder
from sottovoce.server.answers import Json
from sottovoce.server.asked import Asker, Fields, HouseHere, StudioHere, check_text
from sottovoce.server.files import file_answer, file_tag, saved_as

router = APIRouter(prefix="/api/tracks", tags=["tracks"])

Engine = Annotated[str | None, Query(max_length=60, description="the engine that made the stems")]
Form = Annotated[str | None, Query(alias="format", pattern=r"^[a-z0-9]{1,8}$", description="another format")]
Ids = Annotated[list[str], Query(max_length=1000, description="tracks; may be repeated, or parted by commas")]

#: More tracks are not exported at once.
MOST = 100


class TrackQuery(Fields):
    """Which tracks; without anything, the newest fifty. `after` is the `after` of the page before."""

    q: Annotated[str, Field(max_length=1000)] = ""
    tag: Annotated[tuple[str, ...], Field(max_length=20)] = ()
    engine: str | None = None
    kind: str | None = None
    min_rating: Annotated[int | None, Field(ge=1, le=5)] = None
    sort: Order = "newest"
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    after: Annotated[str | None, Field(max_length=2000)] = None


class NewFields(Fields):
    """An upload that becomes a track."""

    upload: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    title: Annotated[str | None, Field(max_length=1000)] = None


class Changes(Fields):
    """What can be changed; what is left out stays. `tags` replace the tags there are."""

    title: Annotated[str, Field(max_length=1000)] | None = None
    rating: int | None = None
    tags: Annotated[tuple[str, ...], Field(max_length=100)] | None = None


@router.get("")
def search(query: Annotated[TrackQuery, Query()], studio: StudioHere) -> Json:
    """Tracks that have all the words of `q` and all the tags, a page at a time."""
    fields = query.model_dump(exclude={"q", "tag"})
    page = studio.library.search(text=query.q, tags=query.tag, **fields)
    return Json({"tracks": [shown(track) for track in page.tracks], "after": page.after})


@router.post("")
def add(body: Annotated[NewFields, Body()], house: HouseHere, caller: Asker) -> Json:
    """File an upload in the library."""
    check_text(body.model_dump())
    studio = house.studio
    upload = studio.uploads.get(body.upload, caller.sees)
    path = studio.uploads.path(body.upload, caller.sees)
    seconds, place = studio.settings.server.max_duration_seconds, studio.settings.library_folder() / "scratch"
    with house.decoding.taken(), scratch_folder(place) as scratch:
        new = read_upload(path, title=PurePath(upload.name).stem, seconds=seconds, scratch=scratch)
        track = studio.library.add(new)
    if body.title is not None:
        track = studio.library.rename(track.id, body.title)
    return Json({"track": shown(track)}, 201, {"Location": f"/api/tracks/{track.id}"})


@router.get("/export")
def export(house: HouseHere, ids: Ids, form: Form = None) -> Response:
    """Several tracks as a ZIP, made while it is sent: the sound of each, its recipe, its notes."""
    found = [house.studio.library.get(track) for track in _asked(ids)]
    _check_there(found)
    if form is not None:
        format_of(Path(f"track.{form}"))

    def sound(track: Track) -> Path:
        return track.audio if form is None else house.renditions.get(track, form)

    return StreamingResponse(zip_tracks(found, sound), media_type="application/zip", headers=saved_as("tracks.zip"))


@router.get("/{track}")
def get(track: str, studio: StudioHere) -> Json:
    """One track with all that is known of it."""
    return Json({"track": shown(studio.library.get(track))})


@router.patch("/{track}")
def change(track: str, body: Annotated[Changes, Body()], studio: StudioHere) -> Json:
    """Give a track another title, rating or tags; nothing is changed if any of them cannot be."""
    check_text(body.model_dump(mode="json"))
    named, library = body.model_fields_set, studio.library
    tags = None if body.tags is None else {clean_tag(tag) for tag in body.tags}
    stars, title = clean_rating(body.rating), None if body.title is None else clean_title(body.title)
    found = library.get(track)
    if title is not None:
        library.rename(track, title)
    if "rating" in named:
        library.rate(track, stars)
    if tags is not None:
        library.untag(track, *(set(found.tags) - tags))
        library.tag(track, *tags)
    return Json({"track": shown(library.get(track))})


@router.delete("/{track}")
def remove(track: str, studio: StudioHere) -> Response:
    """Delete a track. For an hour it can be restored; then its files go too."""
    studio.library.trash(track)
    return Response(status_code=204)


@router.post("/{track}/restore")
def restore(track: str, studio: StudioHere) -> Json:
    """Bring a deleted track back, as it was."""
    return Json({"track": shown(studio.library.restore(track))})


@router.get("/{track}/audio")
def audio(track: str, request: Request, house: HouseHere, form: Form = None) -> Response:
    """The sound, or the parts asked for; in another format if one is named."""
    found = house.studio.library.get(track)
    if form is None:
        return file_answer(request, found.audio, found.sha256, f"{safe_name(found.title)}{found.audio.suffix}")
    with house.decoding.taken():
        path = house.renditions.get(found, form)
    # A rendition is named by what it depends on.
    return file_answer(request, path, path.name, f"{safe_name(found.title)}{path.suffix}")


@router.get("/{track}/recipe")
def recipe(track: str, studio: StudioHere) -> Response:
    """How the track was made, as its `.sotto.json` has it."""
    found = studio.library.get(track)
    if found.recipe_json is None:
        raise errors.TrackNotFound(f"track {track} was imported, so it has no recipe", hint="")
    name = f"{safe_name(found.title)}.sotto.json"
    return Response(found.recipe_json, media_type="application/json", headers=saved_as(name))


@router.get("/{track}/midi")
def midi(track: str, request: Request, studio: StudioHere) -> Response:
    """The notes of a composed track."""
    found = studio.library.get(track)
    if found.midi is None:
        raise errors.StemNotFound(f"track {track} has no notes; only composed tracks have")
    return file_answer(request, found.midi, file_tag(found.midi), f"{safe_name(found.title)}.mid")


@router.get("/{track}/stems")
def stems(track: str, studio: StudioHere, engine: Engine = None) -> Json:
    """The stems there are, by one engine."""
    place = f"/api/tracks/{track}/stems"
    asked = "" if engine is None else f"?engine={quote(engine)}"
    found = studio.library.stems(track, engine)
    return Json({"stems": [{"name": stem, "url": f"{place}/{stem}{asked}"} for stem in found], "zip": f"{place}.zip"})


@router.get("/{track}/stems/{stem}")
def stem(track: str, stem: str, request: Request, studio: StudioHere, engine: Engine = None) -> Response:
    """One stem, or the parts asked for."""
    path = studio.library.stems(track, engine).get(Stem(stem))
    if path is None:
        raise errors.StemNotFound(f"track {track} has no such stem", hint=f"/api/tracks/{track}/stems lists them.")
    name = f"{safe_name(studio.library.get(track).title)} {stem}{path.suffix}"
    return file_answer(request, path, file_tag(path), name)


@router.get("/{track}/stems.zip")
def stems_zip(track: str, studio: StudioHere, engine: Engine = None) -> Response:
    """All stems and the recipe as a ZIP, made while it is sent."""
    found, parts = studio.library.get(track), studio.library.stems(track, engine)
    if not parts:
        raise errors.StemNotFound(f"track {track} has no stems", hint="Separate it first.")
    name = f"{safe_name(found.title)}_stems.zip"
    return StreamingResponse(zip_stems(found, parts), media_type="application/zip", headers=saved_as(name))


def _asked(ids: list[str]) -> list[str]:
    """The ids in the order they were asked for, each once."""
    named = list(dict.fromkeys(track for part in ids for track in part.split(",") if track))
    if not 1 <= len(named) <= MOST:
        raise errors.InvalidParameter(
            f"ids: 1 to {MOST} tracks can be exported at once, not {len(named)}", hint="Export them in several parts."
        )
    return named


def _check_there(tracks: list[Track]) -> None:
    """What is missing is said before the first byte: after that nothing can be said any more."""
    lost = [track.title for track in tracks if not track.audio.is_file()]
    if lost:
        raise errors.InputUnreadable(
            f"{lost[0]!r} is not on this server's disk any more", hint="`sotto doctor` looks for the cause."
        )


def shown(track: Track) -> dict[str, Any]:
    """A track as callers see it: addresses in place of paths."""
    place = f"/api/tracks/{track.id}"
    links = {name: f"{place}/{name}" for name in ("audio", "peaks", "spectrogram", "sections", "stems")}
    return {
        **track.as_dict(),
        "audio": links["audio"],
        "midi": None if track.midi is None else f"{place}/midi",
        "recipe": None if track.recipe_json is None else f"{place}/recipe",
        "links": {"self": place, **links},
    }

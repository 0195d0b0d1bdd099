"""The daemon's own tracks: those of the library that bear its tags, so that the same request is answered at once, after a restart too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sottovoce import errors
from sottovoce.daemon.backends import backend_of

if TYPE_CHECKING:
    from sottovoce.library.track import Track
    from sottovoce.library.tracks import Library
    from sottovoce.recipe import Recipe
    from sottovoce.studio import Studio
    from sottovoce.tasks.outcome import Outcome

_MARK = "daemon"
#: As many as surely fit into one message, or nearly so.
_PAGE = 8
_LONGEST_PROMPT = 80
_MOST = 500


def tags_of(track_id: str) -> tuple[str, str]:
    """The tags of the track that goes by an id here."""
    return _MARK, f"{_MARK}-{track_id}"


@dataclass(frozen=True)
class Shelf:
    """The tracks of the library that bear the daemon's tags."""

    studio: Studio

    @property
    def library(self) -> Library:
        """The library they are in."""
        return self.studio.library

    def find(self, track_id: str) -> Track | None:
        """The track that goes by an id, if its file is still there."""
        found = self.library.search(tags=tags_of(track_id), limit=1).tracks
        return found[0] if found and found[0].audio.is_file() else None

    def add(self, track_id: str, outcome: Outcome) -> Track:
        """File what was made, under the tags it is found by."""
        marked = tuple(replace(made, tags=(*made.tags, *tags_of(track_id))) for made in outcome.tracks)
        return self.studio.publish(replace(outcome, tracks=marked), None, None).tracks[0]

    def page(self, limit: int | None, after: str | None) -> dict[str, Any]:
        """Some of the tracks, the newest first; `after` asks for the next ones and is missing at the end."""
        page = self.library.search(tags=(_MARK,), limit=_PAGE if limit is None else min(limit, _PAGE), after=after)
        shown: dict[str, Any] = {"tracks": [_shown(track) for track in page.tracks]}
        return shown if page.after is None else {**shown, "after": page.after}

    def forget(self, track: Track) -> bool:
        """Remove a track; False if someone rated or tagged it, for then it stays in the library and is only no longer ours."""
        ours = [tag for tag in track.tags if _is_ours(tag)]
        if track.rating is None and len(ours) == len(track.tags):
            self.library.remove(track.id)
            return True
        self.library.untag(track.id, *ours)
        return False

    def clear(self) -> tuple[int, int]:
        """Forget every track: how many were removed, and how many stay in the library."""
        gone = [self.forget(track) for track in list(self._all())]
        return sum(gone), len(gone) - sum(gone)

    def stats(self) -> dict[str, Any]:
        """How many there are, and what they take."""
        tracks = list(self._all())
        return {
            "tracks": len(tracks),
            "bytes": sum(_bytes(track) for track in tracks),
            "duration_sec": round(sum(track.seconds for track in tracks), 3),
            "path": self.library.folder,
        }

    def _all(self) -> Iterator[Track]:
        after = None
        while True:
            page = self.library.search(tags=(_MARK,), limit=_MOST, after=after)
            yield from page.tracks
            after = page.after
            if after is None:
                return


def completed(track_id: str, track: Track, seconds: float | None = None) -> Mapping[str, Any]:
    """What `generation_complete` says of a track; without `seconds` of work, those its recipe tells."""
    recipe = _recipe(track)
    engine = track.engine or "unknown"
    spent = recipe.seconds if seconds is None and recipe else seconds or 0.0
    return {
        "track_id": track_id,
        "path": track.audio,
        "duration_sec": track.seconds,
        "sample_rate": track.rate,
        "prompt": track.words,
        "seed": track.seed,
        "generation_time_sec": round(spent, 3),
        "model_version": (recipe.engine.model or recipe.engine.version) if recipe else engine,
        "backend": backend_of(engine),
        "title": track.title,
    }


def _recipe(track: Track) -> Recipe | None:
    """How a track was made; None if another version of sotto made it."""
    try:
        return track.recipe
    except errors.InvalidParameter:
        return None


def _shown(track: Track) -> dict[str, Any]:
    ids = [tag.removeprefix(f"{_MARK}-") for tag in track.tags if _is_ours(tag) and tag != _MARK]
    return {
        "track_id": ids[0] if ids else track.id,
        "path": track.audio,
        "prompt": track.words[:_LONGEST_PROMPT],
        "duration_sec": track.seconds,
        "seed": track.seed,
        "backend": backend_of(track.engine or "unknown"),
        "bytes": _bytes(track),
        "created": track.created.isoformat(timespec="seconds"),
    }


def _is_ours(tag: str) -> bool:
    return tag == _MARK or tag.startswith(f"{_MARK}-")


def _bytes(track: Track) -> int:
    return track.audio.stat().st_size if track.audio.is_file() else 0

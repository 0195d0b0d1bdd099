"""What a task gives back: files in a scratch folder and rows as values, for Studio to publish."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sottovoce.audio import Stem
from sottovoce.engines.base import Run
from sottovoce.plain import plain
from sottovoce.recipe import Recipe
from sottovoce.tasks.kept import Shelf
from sottovoce.tasks.request import Source


@dataclass(frozen=True)
class TaskRun(Run):
    """An engine's `Run`, and for tasks: a scratch folder of their own, where a source lies on this machine, where results are kept."""

    scratch: Path = Path()
    locate: Callable[[Source], Path] = lambda source: getattr(source, "path", Path())
    #: None: nothing is kept.
    shelf: Shelf | None = None


@dataclass(frozen=True)
class MadeTrack:
    """A track to be filed: its audio (and stems, MIDI) in the scratch folder, and how it was made."""

    title: str
    audio: Path
    recipe: Recipe
    stems: Mapping[Stem, Path] = field(default_factory=dict)
    midi: Path | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """Everything a task made: tracks to file, stems of its source, other files by name, and the report that surfaces show."""

    kind: str
    report: Mapping[str, Any]
    tracks: tuple[MadeTrack, ...] = ()
    stems: Mapping[Stem, Path] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The outcome as it goes from a runner to its host; files by their paths, which both see."""
        return {
            "kind": self.kind,
            "report": plain(self.report),
            "tracks": [_as_json(track) for track in self.tracks],
            "stems": plain(self.stems),
            "files": plain(self.files),
        }


def outcome_of(values: Mapping[str, Any]) -> Outcome:
    """What `as_json` made, as an outcome again."""
    return Outcome(
        values["kind"],
        values["report"],
        tuple(_track_of(track) for track in values["tracks"]),
        {Stem(stem): Path(path) for stem, path in values["stems"].items()},
        {name: Path(path) for name, path in values["files"].items()},
    )


def _as_json(track: MadeTrack) -> dict[str, Any]:
    return {
        "title": track.title,
        "audio": str(track.audio),
        "recipe": track.recipe.model_dump(mode="json"),
        "stems": plain(track.stems),
        "midi": plain(track.midi),
        "tags": list(track.tags),
    }


def _track_of(values: Mapping[str, Any]) -> MadeTrack:
    return MadeTrack(
        title=values["title"],
        audio=Path(values["audio"]),
        recipe=Recipe.model_validate(values["recipe"]),
        stems={Stem(stem): Path(path) for stem, path in values["stems"].items()},
        midi=None if values["midi"] is None else Path(values["midi"]),
        tags=tuple(values["tags"]),
    )

"""Recipe: everything needed to make a track again, kept in the library and beside every exported file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

SUFFIX = ".sotto.json"

#: Bytes that file systems allow a name.
_LONGEST_NAME = 255


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EngineUsed(_Value):
    """The engine that made it; model, revision and hash where there are weights."""

    name: str
    version: str
    model: str | None = None
    revision: str | None = None
    sha256: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)


class Skipped(_Value):
    """An engine that was passed over, and why."""

    engine: str
    reason: str
    cure: str = ""


class Rejected(_Value):
    """A take that failed its inspection: its seed, and what was wrong with it."""

    seed: int
    faults: tuple[str, ...]


class Batch(_Value):
    """Which take of how many, and the seed of each."""

    size: int = 1
    index: int = 0
    seeds: tuple[int, ...]


class AudioFacts(_Value):
    """The finished audio in numbers; `sha256_pcm` is over interleaved little-endian int24."""

    sha256_pcm: str
    rate: int
    channels: int
    frames: int
    lufs: float | None
    true_peak_db: float | None


class Section(_Value):
    """A stretch of the form: name, start and length in seconds, energy 0-1."""

    name: str
    start: float
    seconds: float
    energy: float = 0.5


class TempoPoint(_Value):
    """From `seconds` (which is beat `beat`) on, the tempo is `bpm`."""

    seconds: float
    beat: float
    bpm: float


class Recipe(_Value):
    """How a track was made."""

    sottovoce: str
    kind: str
    request: dict[str, Any]
    engine: EngineUsed
    skipped: tuple[Skipped, ...] = ()
    #: The engine that split the finished track into its stems, where its maker gives none.
    separator: EngineUsed | None = None
    #: Earlier takes that were made again with another seed.
    rejected: tuple[Rejected, ...] = ()
    seed: int
    batch: Batch
    device: str
    cpu: str
    libraries: dict[str, str]
    precision: str
    threads: int
    started: str
    seconds: float
    inspection: dict[str, Any]
    audio: AudioFacts
    sections: tuple[Section, ...] = ()
    tempo_map: tuple[TempoPoint, ...] = ()
    key: str | None = None
    notes: tuple[str, ...] = ()

    def write(self, path: Path) -> None:
        """Save as JSON."""
        path.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_recipe(path: Path) -> Recipe:
    """Load a recipe; pydantic's ValidationError (a ValueError) if the file is none."""
    return Recipe.model_validate_json(path.read_text(encoding="utf-8"))


def beside(path: Path, ending: str = SUFFIX) -> Path:
    """Where the recipe of an exported file lies: `night.flac` -> `night.sotto.json`; with another `ending`, what else belongs to it.

    The stem is cut short where the name would be too long.
    """
    stem = path.stem
    while len(os.fsencode(stem + ending)) > _LONGEST_NAME:
        stem = stem[:-1]
    return path.with_name(stem + ending)


def differences(one: Recipe, other: Recipe) -> dict[str, tuple[Any, Any]]:
    """The fields that matter for the sound and differ: name -> (one's, other's); of the request, what is not recorded beside it."""
    names = ("sottovoce", "engine", "seed", "device", "cpu", "libraries", "precision", "threads", "audio")
    pairs = {name: (getattr(one, name), getattr(other, name)) for name in names} | {
        "request": (_wish(one), _wish(other))
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _wish(recipe: Recipe) -> dict[str, Any]:
    """The request without what `engine`, `seed` and `batch` say of the one take that was made."""
    return {name: value for name, value in recipe.request.items() if name not in ("engine", "seed", "versions")}

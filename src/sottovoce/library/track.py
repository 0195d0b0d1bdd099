"""Track: audio in the library with what is known of it; NewTrack: audio that is to become one."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sottovoce import errors
from sottovoce.audio import Stem
from sottovoce.recipe import Recipe

LONGEST_TITLE = 200
LONGEST_TAG = 64
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


@dataclass(frozen=True)
class Track:
    """A track of the library; `audio` and `midi` are files in it, not to be changed. `lufs` is None for silence."""

    id: str
    title: str
    kind: str
    engine: str | None
    words: str
    mood: str | None
    genre: str | None
    seconds: float
    rate: int
    channels: int
    lufs: float | None
    true_peak_db: float | None
    seed: int | None
    bpm: float | None
    key: str | None
    rating: int | None
    created: datetime
    tags: tuple[str, ...]
    stems: tuple[Stem, ...]
    audio: Path
    sha256: str
    midi: Path | None
    recipe_json: str | None = field(repr=False)

    @property
    def recipe(self) -> Recipe | None:
        """How it was made; None if it was imported. InvalidParameter if the recipe is of another version's form."""
        try:
            return None if self.recipe_json is None else Recipe.model_validate_json(self.recipe_json)
        except ValueError:
            raise errors.InvalidParameter(
                f"the recipe of track {self.id} is of another version of sotto",
                hint="Make the track again, or use that version.",
            ) from None

    def as_dict(self) -> dict[str, Any]:
        """What surfaces show, ready for JSON; files by their path."""
        shown = {name: value for name, value in vars(self).items() if name != "recipe_json"}
        return shown | {
            "created": self.created.isoformat(),
            "audio": str(self.audio),
            "midi": None if self.midi is None else str(self.midi),
            "tags": list(self.tags),
            "stems": list(self.stems),
        }


@dataclass(frozen=True)
class NewTrack:
    """A track to be filed. Its files are moved into the library, or copied and left alone with `keep_files`.

    `sound` identifies the sound (the PCM's hash; None: the file's own hash); `stems_by` is the engine that made the stems.
    """

    title: str
    kind: str
    audio: Path
    seconds: float
    rate: int
    channels: int
    engine: str | None = None
    sound: str | None = None
    words: str = ""
    mood: str | None = None
    genre: str | None = None
    lufs: float | None = None
    true_peak_db: float | None = None
    seed: int | None = None
    bpm: float | None = None
    key: str | None = None
    recipe: Recipe | None = None
    stems: Mapping[Stem, Path] = field(default_factory=dict)
    midi: Path | None = None
    tags: tuple[str, ...] = ()
    keep_files: bool = False

    def identity(self, audio_sha256: str) -> str:
        """The track's id: the same sound by the same engine and seed is the same track."""
        parts = (self.kind, self.engine or "", str(self.seed), self.sound or audio_sha256)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def made(
    title: str,
    audio: Path,
    recipe: Recipe,
    *,
    stems: Mapping[Stem, Path] | None = None,
    midi: Path | None = None,
    tags: Iterable[str] = (),
) -> NewTrack:
    """A track to be filed from what a task made: the facts are read from its recipe."""
    facts, request = recipe.audio, recipe.request
    return NewTrack(
        title=title,
        kind=recipe.kind,
        audio=audio,
        seconds=facts.frames / facts.rate,
        rate=facts.rate,
        channels=facts.channels,
        engine=recipe.engine.name,
        sound=facts.sha256_pcm,
        words=str(request.get("prompt") or ""),
        mood=request.get("mood"),
        genre=request.get("genre"),
        lufs=facts.lufs,
        true_peak_db=facts.true_peak_db,
        seed=recipe.seed,
        bpm=recipe.tempo_map[0].bpm if recipe.tempo_map else request.get("bpm"),
        key=recipe.key or request.get("key"),
        recipe=recipe,
        stems=stems or {},
        midi=midi,
        tags=tuple(tags),
    )


def clean_title(title: str) -> str:
    """A title on one line, at most 200 characters; InvalidParameter if nothing is left."""
    plain = _plain(title)
    if not plain:
        raise errors.InvalidParameter("the title is empty", hint="Give it at least one character.")
    return plain[:LONGEST_TITLE].rstrip()


def clean_tag(tag: str) -> str:
    """A tag as it is kept: lower case, single spaces, 1 to 64 characters, no comma; InvalidParameter otherwise."""
    plain = _plain(tag).lower()
    if not 1 <= len(plain) <= LONGEST_TAG or "," in plain:
        raise errors.InvalidParameter(
            f"{tag!r} cannot be a tag: a tag has 1 to {LONGEST_TAG} characters and no comma",
            hint="Give each tag on its own.",
        )
    return plain


def clean_rating(stars: int | None) -> int | None:
    """1 to 5 stars, or None for no rating; InvalidParameter otherwise."""
    if stars is not None and not 1 <= stars <= 5:
        raise errors.InvalidParameter(f"a rating is 1 to 5 stars, not {stars}", hint="1 is worst, 5 is best.")
    return stars


def _plain(text: str) -> str:
    """Composed characters, no control characters or lone surrogates, single spaces."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return " ".join(_CONTROL.sub(" ", unicodedata.normalize("NFC", whole)).split())

"""What any generator understands: words and the musical wishes beside them, and how keys and meters are written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from sottovoce.audio import AudioReader

#: Pitch-class names; index is semitones above C.
PITCH_CLASSES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
TIME_SIGNATURES = ("2/4", "3/4", "4/4", "6/8")

_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_KEY = re.compile(r"^\s*([A-Ga-g])\s*(#|b|♯|♭|-?sharp|-?flat)?\s*(major|minor|maj|min|m|M)?\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class Key:
    """A tonal centre: `root` in semitones above C (0-11), major or minor."""

    root: int
    minor: bool = False

    def __str__(self) -> str:
        return f"{PITCH_CLASSES[self.root]} {'minor' if self.minor else 'major'}"


@dataclass(frozen=True, eq=False)
class Edit:
    """Music to start from, and what to do with it.

    `cover` keeps its melody and chords as far as `strength` (0-1) says; `repaint` makes `start` to `end` (seconds) anew; `extend` goes on
    from its end.
    """

    task: Literal["cover", "repaint", "extend"]
    source: AudioReader
    strength: float = 1.0
    start: float = 0.0
    end: float | None = None


@dataclass(frozen=True)
class Prompt:
    """A wish for music: words, exact length in seconds, seed, and what was asked for explicitly (None: free choice).

    With `edit`, `seconds` is the length of what comes out: the source's own, or for `extend` longer. `reference` is music to sound like.
    """

    words: str
    seconds: float
    seed: int
    lyrics: str | None = None
    language: str = "en"
    bpm: float | None = None
    key: Key | None = None
    time_signature: str | None = None
    mood: str | None = None
    genre: str | None = None
    #: Times in seconds at which something changes in the picture; sections begin on them where tempo allows.
    cues: tuple[float, ...] = ()
    stems: bool = False
    #: Integrated loudness in LUFS; None is the style's own.
    loudness: float | None = None
    edit: Edit | None = None
    reference: AudioReader | None = None


def parse_key(text: str) -> Key:
    """`A minor`, `F# major`, `Bbm`, `c`; ValueError for anything else."""
    match = _KEY.match(text)
    if match is None:
        raise ValueError(f"{text!r} is no key; write it like 'A minor', 'F# major' or 'Bbm'")
    letter, accidental, mode = match.groups()
    shift = (
        {"#": 1, "♯": 1, "b": -1, "♭": -1}.get(accidental or "", 0)
        if len(accidental or "") < 2
        else _spelled(accidental)
    )
    return Key(
        (_LETTERS[letter.upper()] + shift) % 12,
        minor=mode is not None and (mode == "m" or mode.lower() in ("min", "minor")),
    )


def _spelled(accidental: str) -> int:
    return 1 if accidental.lower().endswith("sharp") else -1

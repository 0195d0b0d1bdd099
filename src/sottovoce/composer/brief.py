"""The brief: what the composer is asked for, in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass

from sottovoce.prompt import Key, Prompt


@dataclass(frozen=True)
class Brief:
    """Words and wishes; None is free choice. `bpm` counts felt beats (dotted quarters in 6/8), `cues` are seconds."""

    words: str
    seconds: float
    seed: int
    bpm: float | None = None
    key: Key | None = None
    time_signature: str | None = None
    mood: str | None = None
    genre: str | None = None
    style: str | None = None
    cues: tuple[float, ...] = ()
    loudness: float | None = None
    #: Roles and beds that must not be there: `lead`, `kit`, `texture`.
    without: tuple[str, ...] = ()


def brief_of(prompt: Prompt, *, style: str | None = None, without: tuple[str, ...] = ()) -> Brief:
    """The brief of a prompt."""
    return Brief(
        words=prompt.words,
        seconds=prompt.seconds,
        seed=prompt.seed,
        bpm=prompt.bpm,
        key=prompt.key,
        time_signature=prompt.time_signature,
        mood=prompt.mood,
        genre=prompt.genre,
        style=style,
        cues=prompt.cues,
        loudness=prompt.loudness,
        without=without,
    )

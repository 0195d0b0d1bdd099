"""What is ordered of a MusicGen server, as requests of ours: a piece, or a soundtrack of scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from sottovoce import errors
from sottovoce.moods import MOODS
from sottovoce.tasks.request import LONGEST_SECONDS, SHORTEST_SCENE

_SOUNDTRACK_SECONDS = (30, 1200)
_JOINS = "scenes go into one another on beats, so use_beat_aligned_crossfade and crossfade_duration change nothing here"
_NO_MELODY = "melody_audio_url is not fetched: nothing on the network is asked here"

Mood = Annotated[str | None, Field(max_length=100, description="one of the fifteen moods, or any words")]
Words = Annotated[str, Field(min_length=1, max_length=500)]


class _Order(BaseModel):
    """Fields that server does not know are passed over there, and so they are here."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Music(_Order):
    """A piece: words, and whole seconds."""

    prompt: Words
    duration: Annotated[int, Field(ge=10, le=120)] = 30
    mood: Mood = None

    def fields(self) -> dict[str, Any]:
        """What the task is asked."""
        words, mood = _feeling(self.prompt, self.mood)
        return {"prompt": words, "mood": mood, "duration": self.duration}


class SceneOrder(_Order):
    """A part of a soundtrack."""

    duration: Annotated[int, Field(ge=5, le=120)]
    mood: Mood = None
    prompt: Annotated[str | None, Field(max_length=500)] = None


class Soundtrack(_Order):
    """Scenes in their order, around words that hold for all of them."""

    base_prompt: Words
    scenes: Annotated[tuple[SceneOrder, ...], Field(min_length=1, max_length=40)]
    melody_audio_url: str | None = None
    use_beat_aligned_crossfade: bool = True
    crossfade_duration: Annotated[float, Field(ge=0.5, le=5.0)] = 2.0

    def fields(self) -> dict[str, Any]:
        """What the task is asked; InvalidDuration if the scenes are too short or too long together."""
        stretches = _stretches(self.scenes)
        return {
            "prompt": self.base_prompt,
            "duration": _total(self.scenes),
            "scenes": _scenes(self.base_prompt, stretches),
        }

    def notes(self) -> list[str]:
        """What is done otherwise than asked."""
        notes = _short(self.scenes)
        if self.model_fields_set & {"use_beat_aligned_crossfade", "crossfade_duration"}:
            notes.append(_JOINS)
        return [*notes, _NO_MELODY] if self.melody_audio_url else notes


@dataclass(frozen=True)
class _Stretch:
    """A part of the music with a scene of its own, and the number of that scene."""

    seconds: int
    number: int
    scene: SceneOrder

    def with_(self, other: _Stretch) -> _Stretch:
        """Both as one, with the scene of the longer."""
        longer = self if self.seconds >= other.seconds else other
        return replace(longer, seconds=self.seconds + other.seconds)


def _feeling(words: str, mood: str | None) -> tuple[str, str | None]:
    """The words and the mood; a mood that is none of the fifteen is part of the words, as each is there."""
    name = (mood or "").strip()
    if name.lower() in MOODS:
        return words, name.lower()
    return (f"{name}, {words}" if name else words), None


def _total(scenes: Sequence[SceneOrder]) -> int:
    seconds = sum(scene.duration for scene in scenes)
    shortest, longest = _SOUNDTRACK_SECONDS
    if not shortest <= seconds <= longest:
        raise errors.InvalidDuration(f"the scenes must last {shortest} to {longest} seconds together, not {seconds}")
    if seconds > LONGEST_SECONDS:
        raise errors.InvalidDuration(
            f"the scenes last {seconds} s together, and this server makes at most {LONGEST_SECONDS:g} s in one piece",
            hint="Order two soundtracks.",
        )
    return seconds


def _stretches(scenes: Sequence[SceneOrder]) -> list[_Stretch]:
    """The scenes; those too short to be a section of the music are one with a neighbour."""
    found: list[_Stretch] = []
    for number, scene in enumerate(scenes, 1):
        stretch = _Stretch(scene.duration, number, scene)
        if found and found[-1].seconds < SHORTEST_SCENE:
            found[-1] = found[-1].with_(stretch)
        else:
            found.append(stretch)
    if len(found) > 1 and found[-1].seconds < SHORTEST_SCENE:
        last = found.pop()
        found[-1] = found[-1].with_(last)
    return found


def _short(scenes: Sequence[SceneOrder]) -> list[str]:
    """Which scenes are not heard, as they are too short."""
    kept = {stretch.number for stretch in _stretches(scenes)}
    gone = [str(number) for number in range(1, len(scenes) + 1) if number not in kept]
    what = "scene" if len(gone) == 1 else "scenes"
    rule = f"a scene shorter than {SHORTEST_SCENE:g} s is no section of music"
    return [f"{rule}, so the time of {what} {', '.join(gone)} went to a neighbour"] if gone else []


def _scenes(base: str, stretches: Sequence[_Stretch]) -> list[dict[str, Any]]:
    """As the task takes them: each from its start on."""
    scenes, start = list[dict[str, Any]](), 0
    for stretch in stretches:
        words, mood = _feeling(stretch.scene.prompt or base, stretch.scene.mood)
        scenes.append({"start": start, "mood": mood, "words": words})
        start += stretch.seconds
    return scenes

"""Structure: what a track's time is divided into, as its recipe has it or as it is heard."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sottovoce import errors
from sottovoce.audio import Pieces
from sottovoce.dsp.key import key
from sottovoce.dsp.tempo import tempo
from sottovoce.library.track import Track
from sottovoce.media.decode import FileReader
from sottovoce.recipe import Recipe, Section, TempoPoint

#: Felt beats in a bar.
_BEATS: Mapping[str, int] = {"2/4": 2, "3/4": 3, "4/4": 4, "6/8": 2}
_RATE = 22_050
#: More is not listened to, so longer tracks have no beats after that.
LISTENED_SECONDS = 600
#: Below these a tempo or a key is a guess and not told.
_SURE_OF_TEMPO, _SURE_OF_KEY = 0.3, 0.05


@dataclass(frozen=True)
class Structure:
    """Sections, beats and bar lines in seconds; what is not known is None or empty. `measured`: the beats were heard, not written."""

    seconds: float
    bpm: float | None
    key: str | None
    time_signature: str | None
    sections: tuple[Section, ...]
    beats: tuple[float, ...]
    bars: tuple[float, ...]
    measured: bool

    def as_dict(self) -> dict[str, Any]:
        """What surfaces show, ready for JSON."""
        return asdict(self) | {
            "sections": [
                {
                    "name": section.name,
                    "start": round(section.start, 4),
                    "end": round(section.start + section.seconds, 4),
                }
                for section in self.sections
            ]
        }


@dataclass(frozen=True)
class Heard:
    """What was measured of a sound: tempo and key where they are clear, beats in seconds, and which of them begins a bar."""

    bpm: float | None
    key: str | None
    beats: tuple[float, ...]
    downbeat: int

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON; `Heard(**...)` reads it."""
        return asdict(self)


def listen(path: Path) -> Heard:
    """Measure the first ten minutes of a file."""
    samples = Pieces(FileReader(path, rate=_RATE, channels=1).blocks(_RATE), 1).take(LISTENED_SECONDS * _RATE)
    if samples.shape[1] < _RATE:
        return Heard(None, None, (), 0)
    pulse, tonality = tempo(samples, _RATE), key(samples, _RATE)
    sure = pulse.confidence >= _SURE_OF_TEMPO
    return Heard(
        bpm=round(pulse.bpm, 2) if sure else None,
        key=tonality.key if tonality.margin >= _SURE_OF_KEY else None,
        beats=pulse.beats if sure else (),
        downbeat=pulse.downbeat,
    )


def structure(track: Track, heard: Callable[[], Heard]) -> Structure:
    """A track's structure: what its recipe says, and where that has no tempo, what `heard` tells."""
    recipe = _readable(track)
    if recipe is not None and recipe.tempo_map:
        return _written(track, recipe)
    return _measured(track, recipe, heard())


def _written(track: Track, recipe: Recipe) -> Structure:
    signature = _signature(recipe)
    numbered = _beats(recipe.tempo_map, track.seconds)
    in_bar = _BEATS.get(signature or "")
    return Structure(
        seconds=track.seconds,
        bpm=round(recipe.tempo_map[0].bpm, 2),
        key=recipe.key or track.key,
        time_signature=signature,
        sections=recipe.sections,
        beats=tuple(at for _, at in numbered),
        bars=tuple(at for beat, at in numbered if in_bar and beat % in_bar == 0),
        measured=False,
    )


def _measured(track: Track, recipe: Recipe | None, heard: Heard) -> Structure:
    signature = None if recipe is None else _signature(recipe)
    return Structure(
        seconds=track.seconds,
        bpm=heard.bpm or track.bpm,
        key=(None if recipe is None else recipe.key) or track.key or heard.key,
        time_signature=signature,
        sections=() if recipe is None else recipe.sections,
        beats=heard.beats,
        # What is heard of bars is where one of four begins.
        bars=heard.beats[heard.downbeat :: 4] if signature in (None, "4/4") else (),
        measured=True,
    )


def _readable(track: Track) -> Recipe | None:
    """The recipe; None too where it is of another version."""
    try:
        return track.recipe
    except errors.InvalidParameter:
        return None


def _signature(recipe: Recipe) -> str | None:
    """The time signature that was asked for, or that the composer chose."""
    plan = recipe.engine.options.get("plan")
    chosen = plan.get("time_signature") if isinstance(plan, Mapping) else None
    found = recipe.request.get("time_signature") or chosen
    return found if found in _BEATS else None


def _beats(tempo_map: Sequence[TempoPoint], seconds: float) -> list[tuple[int, float]]:
    """The whole beats of a tempo map before the end: number and time."""
    ends = [*(point.seconds for point in tempo_map[1:]), seconds]
    found: list[tuple[int, float]] = []
    for point, end in zip(tempo_map, ends, strict=True):
        beat = math.ceil(point.beat - 1e-6)
        if found:
            beat = max(beat, found[-1][0] + 1)
        while (at := point.seconds + (beat - point.beat) * 60 / point.bpm) < min(end, seconds) - 1e-6:
            found.append((beat, round(at, 4)))
            beat += 1
    return found

"""The mood reader that needs no model: colour, movement and cuts of the pictures, level, tempo and voices of the sound.

Each measure is evidence for how pleasant (valence) and how lively (arousal) a clip is, as in Russell's circumplex of affect (1980); warmth
of colour is a third axis. The mood nearest to the weighted mean is the answer. It sees no faces and no story, so its confidence stays low.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sottovoce.audio import Audio
from sottovoce.dsp.key import key
from sottovoce.dsp.loudness import integrated
from sottovoce.dsp.music_presence import music_presence
from sottovoce.dsp.pictures import Look, look
from sottovoce.dsp.spans import total
from sottovoce.dsp.speech import speech
from sottovoce.dsp.tempo import tempo
from sottovoce.engines.base import Capabilities, EngineOptions, NoConfig, Run, Unavailable
from sottovoce.media.video import Keyframe
from sottovoce.moods import Energy, Genre, Mood, MoodName, Palette, Tempo
from sottovoce.version import __version__

#: Valence, arousal and warmth of each mood, -1 to 1.
_PLACES: dict[MoodName, tuple[float, float, float]] = {
    "happy": (0.7, 0.4, 0.3),
    "sad": (-0.7, -0.5, -0.4),
    "calm": (0.2, -0.6, 0.0),
    "energetic": (0.4, 0.9, 0.0),
    "romantic": (0.4, -0.2, 0.9),
    "dramatic": (-0.5, 0.6, -0.2),
    "playful": (0.6, 0.3, 0.6),
    "nostalgic": (0.0, -0.3, 0.7),
    "mysterious": (-0.5, -0.1, -0.8),
    "inspiring": (0.5, 0.1, -0.1),
    "peaceful": (0.5, -0.8, -0.2),
    "melancholic": (-0.5, -0.3, 0.1),
    "uplifting": (0.8, 0.2, 0.0),
    "tender": (0.4, -0.5, 0.5),
    "exciting": (0.7, 0.8, 0.2),
}
_GENRES: dict[MoodName, tuple[Genre, ...]] = {
    "happy": ("pop", "acoustic", "upbeat"),
    "sad": ("piano", "classical"),
    "calm": ("ambient", "acoustic", "relaxing"),
    "energetic": ("electronic", "rock", "upbeat"),
    "romantic": ("piano", "jazz", "acoustic"),
    "dramatic": ("cinematic", "orchestral"),
    "playful": ("indie", "acoustic", "upbeat"),
    "nostalgic": ("acoustic", "folk", "piano"),
    "mysterious": ("ambient", "cinematic"),
    "inspiring": ("cinematic", "piano"),
    "peaceful": ("ambient", "piano", "relaxing"),
    "melancholic": ("piano", "indie"),
    "uplifting": ("pop", "indie", "upbeat"),
    "tender": ("piano", "guitar", "acoustic"),
    "exciting": ("electronic", "pop", "upbeat"),
}
#: It has never seen what a clip is about, so it is never surer than this.
_MOST_CONFIDENT = 0.65


@dataclass(frozen=True)
class _Sound:
    """What the sound is like: LUFS (None for silence), bpm and how sure, share of speech and of music 0-1, minor or not (None: no key)."""

    lufs: float | None
    bpm: float
    pulse: float
    spoken: float
    music: float
    minor: bool | None


@dataclass(frozen=True)
class _Evidence:
    """One measure's say: values -1 to 1, or None where it says nothing of that axis, and how much it counts."""

    weight: float
    valence: float | None = None
    arousal: float | None = None
    warmth: float | None = None


class Keyframes:
    """Reads a mood from pictures and sound by measuring them."""

    name: ClassVar[str] = "keyframes"
    title: ClassVar[str] = "Colour, movement and sound"
    version: ClassVar[str] = __version__
    Config: ClassVar[type[NoConfig]] = NoConfig
    section: ClassVar[str | None] = None
    Options: ClassVar[type[EngineOptions]] = EngineOptions
    capabilities: ClassVar[Capabilities] = Capabilities(
        tasks=("mood",), quality="a guess from colour, movement, cuts and sound; knows no faces and no story"
    )

    def __init__(self, config: NoConfig, weights: object = None, device: str = "cpu") -> None:
        self.config, self.weights, self.device = config, weights, device

    def unavailable(self) -> Unavailable | None:
        """It always runs."""
        return None

    def close(self) -> None:
        """It holds nothing."""

    def read(self, frames: Sequence[Keyframe], sound: Audio | None, options: EngineOptions, run: Run) -> Mood:  # noqa: ARG002
        """The mood of pictures of one size at rising times (there may be none) and of the sound (there may be none)."""
        run.report("look", 0)
        seen = _look(frames)
        run.report("listen", 40)
        heard = _listen(sound) if sound is not None and sound.frames else None
        run.report("decide", 95)
        evidence = [*(_of_pictures(seen) if seen else ()), *(_of_sound(heard) if heard else ())]
        return _mood(evidence, seen, heard)


def _look(frames: Sequence[Keyframe]) -> Look | None:
    if not frames:
        return None
    return look(np.stack([frame.pixels for frame in frames]), np.array([frame.seconds for frame in frames]))


def _listen(sound: Audio) -> _Sound:
    lufs = integrated(sound.samples, sound.rate)
    if not math.isfinite(lufs):
        return _Sound(None, 0, 0, 0, 0, minor=None)
    voices = speech(sound.samples, sound.rate)
    music = total(music_presence(sound.samples, sound.rate).spans(voices.spans)) / sound.seconds
    spoken = voices.seconds / sound.seconds
    if music < 0.3:
        return _Sound(lufs, 0, 0, spoken, music, minor=None)
    pulse, tonality = tempo(sound.samples, sound.rate), key(sound.samples, sound.rate)
    return _Sound(lufs, pulse.bpm, pulse.confidence, spoken, music, minor=tonality.minor)


def _of_pictures(seen: Look) -> list[_Evidence]:
    evidence = [
        _Evidence(1.0, valence=_scaled(seen.brightness, 0.15, 0.65)),
        _Evidence(0.8, valence=_scaled(seen.saturation, 0.1, 0.6), arousal=_scaled(seen.saturation, 0.0, 0.8)),
        _Evidence(1.0 if seen.saturation > 0.1 else 0.3, warmth=_scaled(seen.warmth, -0.8, 0.8)),
    ]
    if seen.motion is not None:
        evidence.append(_Evidence(1.5, arousal=_scaled(math.log10(seen.motion + 1e-4), -2.3, -0.7)))
    if seen.cuts_per_minute is not None:
        evidence.append(_Evidence(1.2, arousal=_scaled(seen.cuts_per_minute, 0, 30)))
    return evidence


def _of_sound(heard: _Sound) -> list[_Evidence]:
    if heard.lufs is None:
        return []
    evidence = [_Evidence(0.6, arousal=_scaled(heard.lufs, -40, -12))]
    if heard.music and heard.pulse > 0.3:
        lively = _scaled(heard.bpm, 60, 150)
        evidence.append(_Evidence(1.5 * heard.pulse, arousal=lively, valence=0.5 * lively))
    if heard.minor is not None:
        evidence.append(_Evidence(0.8, valence=-0.5 if heard.minor else 0.5))
    if heard.spoken > 0.3:
        # Talk wants music that keeps out of its way.
        evidence.append(_Evidence(0.6, arousal=-0.3))
    return evidence


def _mood(evidence: Sequence[_Evidence], seen: Look | None, heard: _Sound | None) -> Mood:
    valence, arousal, warmth = (
        _mean([(getattr(item, axis), item.weight) for item in evidence]) for axis in ("valence", "arousal", "warmth")
    )
    ranked = sorted(_PLACES, key=lambda mood: math.dist(_PLACES[mood], (valence, arousal, warmth)))
    distances = [math.dist(_PLACES[mood], (valence, arousal, warmth)) for mood in ranked[:3]]
    return Mood(
        primary_mood=ranked[0],
        secondary_mood=ranked[1],
        energy_level=_energy(arousal),
        tempo_suggestion=_tempo(arousal),
        genre_suggestions=_GENRES[ranked[0]],
        color_palette=_palette(seen) if seen else "neutral",
        description=_described(seen, heard),
        confidence=_confidence(evidence, distances[0], distances[2]),
    )


def _confidence(evidence: Sequence[_Evidence], nearest: float, third: float) -> float:
    """How much was seen and heard, and how clearly it points to one corner."""
    if not evidence:
        return 0.1
    much = min(1.0, sum(item.weight for item in evidence) / 7)
    clear = (third - nearest) / max(third, 1e-6)
    return round(min(_MOST_CONFIDENT, 0.2 + 0.35 * much + 0.3 * clear), 2)


def _energy(arousal: float) -> Energy:
    return "low" if arousal < -0.25 else "high" if arousal > 0.3 else "medium"


def _tempo(arousal: float) -> Tempo:
    return "slow" if arousal < -0.3 else "fast" if arousal > 0.4 else "medium"


def _palette(seen: Look) -> Palette:
    if seen.saturation > 0.5:
        return "vibrant"
    if seen.saturation < 0.12:
        return "neutral" if seen.brightness > 0.35 else "muted"
    if abs(seen.warmth) > 0.25:
        return "warm" if seen.warmth > 0 else "cool"
    return "muted" if seen.saturation < 0.25 else "neutral"


def _described(seen: Look | None, heard: _Sound | None) -> str:
    parts = []
    if seen:
        light = "bright" if seen.brightness > 0.55 else "dark" if seen.brightness < 0.25 else "evenly lit"
        parts.append(f"{light} pictures in {_palette(seen)} colours")
        if seen.cuts_per_minute:
            parts.append(f"{seen.cuts_per_minute:.0f} cuts a minute")
        if seen.motion is not None:
            parts.append(
                "much movement" if seen.motion > 0.1 else "little movement" if seen.motion < 0.02 else "some movement"
            )
    if heard and heard.lufs is not None:
        parts.append(f"sound at {heard.lufs:.0f} LUFS, {heard.spoken:.0%} of it speech")
        if heard.music > 0.3:
            parts.append(f"music at about {heard.bpm:.0f} bpm" if heard.pulse > 0.3 else "music without a clear beat")
    return ", ".join(parts) or "nothing to see or to hear"


def _scaled(value: float, low: float, high: float) -> float:
    """`low` becomes -1 and `high` 1, clipped."""
    return max(-1.0, min(1.0, 2 * (value - low) / (high - low) - 1))


def _mean(pairs: Sequence[tuple[float | None, float]]) -> float:
    known = [(value, weight) for value, weight in pairs if value is not None]
    return sum(value * weight for value, weight in known) / sum(weight for _, weight in known) if known else 0.0

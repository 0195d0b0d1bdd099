"""What a score says of itself: who made the music, when and why it stepped down, how loud everything is."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sottovoce.audio import DELIVERY_RATE
from sottovoce.dsp import spans as span
from sottovoce.dsp.ducking import Cause, Dip, Ducking, GainCurve
from sottovoce.dsp.inspect import Inspection
from sottovoce.engines.base import MoodReader
from sottovoce.engines.catalog import Ran
from sottovoce.moods import Mood
from sottovoce.tasks.listening import SPEECH_LUFS, Heard, VoiceLevel
from sottovoce.tasks.mixture import Fades
from sottovoce.tasks.soundtrack import Soundtrack

#: Points of the gain curve per second.
CURVE_RATE = 20


@dataclass(frozen=True, eq=False)
class Scored:
    """Everything that was found and decided on the way to a mix of `frames` samples at 48 kHz."""

    frames: int
    heard: Heard | None
    voice: VoiceLevel
    music: Soundtrack | None
    music_volume_db: float
    fades: Fades
    ducking: Ducking
    threshold: float
    causes: tuple[Cause, ...]
    curve: GainCurve
    mood: Ran[MoodReader, Mood] | None
    notes: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Length of the mix."""
        return self.frames / DELIVERY_RATE

    @property
    def music_gain_db(self) -> float:
        """By how many dB the music is moved before it is ducked, to lie `music_volume_db` from the speech."""
        return SPEECH_LUFS + self.music_volume_db - self.music.lufs if self.music else 0.0


def report(scored: Scored, inspection: Inspection) -> dict[str, Any]:
    """The whole story as JSON values, with the inspection of the mix."""
    music, heard = scored.music, scored.heard
    return {
        "seconds": round(scored.seconds, 6),
        "engine": music.engine if music else None,
        "skipped": [skip.model_dump() for skip in music.skipped] if music else [],
        "take": music.take if music else None,
        "mood": _mood(scored.mood),
        "voice_lufs": _rounded(scored.voice.lufs),
        "voice_gain_db": round(scored.voice.gain_db, 2),
        "speech_seconds": round(heard.voices.seconds, 2) if heard else 0.0,
        "speech_detector": heard.voices.method if heard else None,
        "music_lufs": _rounded(music.lufs) if music else None,
        "music_gain_db": round(scored.music_gain_db, 2) if music else None,
        "depth_db": round(scored.ducking.depth, 2) if music else None,
        "seconds_ducked": scored.curve.lowered(scored.seconds),
        "dips": [_dip(dip) for dip in sorted(scored.curve.dips, key=lambda dip: dip.start)],
        "gain_curve": _curve(scored),
        "ducking": {"threshold": scored.threshold, **asdict(scored.ducking)},
        "notes": [*_remarks(scored), *scored.notes, *(music.notes if music else ())],
        "inspection": inspection.model_dump(mode="json"),
    }


def _mood(ran: Ran[MoodReader, Mood] | None) -> dict[str, Any] | None:
    if ran is None:
        return None
    skipped = [skip.model_dump() for skip in ran.skipped]
    return {**ran.result.model_dump(mode="json"), "engine": ran.engine.name, "skipped": skipped}


def _curve(scored: Scored) -> dict[str, Any]:
    """The gain in dB at `rate` points a second from the first moment on."""
    times = np.arange(math.ceil(scored.seconds * CURVE_RATE) + 1) / CURVE_RATE
    return {"rate": CURVE_RATE, "decibels": [round(float(gain), 2) for gain in scored.curve.decibels(times)]}


def _dip(dip: Dip) -> dict[str, Any]:
    return {
        "start": round(max(0.0, dip.start), 3),
        "end": round(dip.end, 3),
        "depth_db": round(dip.depth, 2),
        "causes": list(dict.fromkeys(cause.kind for cause in dip.causes)),
        "because": [
            {
                "kind": cause.kind,
                "start": round(cause.start, 3),
                "end": round(cause.end, 3),
                "rms": _rounded(cause.rms, 4),
            }
            for cause in dip.causes
        ],
    }


def _remarks(scored: Scored) -> list[str]:
    remarks = [scored.voice.note] if scored.voice.note else []
    clip_music = span.total((cause.start, cause.end) for cause in scored.causes if cause.kind == "clip music")
    if clip_music and scored.music:
        remarks.append(f"the clip has music of its own for {clip_music:.0f} s, so the soundtrack steps aside there")
    return remarks


def _rounded(value: float | None, digits: int = 2) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, digits)

"""What a score says of itself: who made the music, when and why it stepped down, how loud everything is."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sottovoce.audio import DELIVERY_RATE
from sottovoce.dsp import spans as span
from sottovoce.dsp.ducking import Cause, Dip, Ducking, GainCurve, gain_curve, shared
from sottovoce.dsp.inspect import Inspection
from sottovoce.engines.base import MoodReader
from sottovoce.engines.catalog import Ran
from sottovoce.moods import Mood
from sottovoce.tasks.clip import Key
from sottovoce.tasks.listening import SPEECH_LUFS, Heard, VoiceLevel
from sottovoce.tasks.mixture import Fades
from sottovoce.tasks.music_parts import Part, Parts, level_db
from sottovoce.tasks.soundtrack import Soundtrack

#: Points of the gain curve per second.
CURVE_RATE = 20
#: Music that is lowered by less than this many dB as a whole is worth a note.
_LITTLE_DB = 3.0


@dataclass(frozen=True, eq=False)
class Scored:
    """Everything that was found and decided on the way to a mix of `frames` samples at 48 kHz.

    `curve` is how the music moves, and the part of it that moves furthest where it has parts.
    """

    frames: int
    heard: Heard | None
    key: Key
    voice: VoiceLevel
    music: Soundtrack | None
    parts: Parts | None
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

    def ducking_of(self, part: Part) -> Ducking:
        """How a part of the music steps down for speech and sounds."""
        return shared(self.ducking, part.share)

    def curve_of(self, part: Part) -> GainCurve:
        """The gain of a part of the music."""
        return gain_curve(self.causes, self.ducking_of(part))


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
        "voice_stems": _key(scored.key),
        "music_lufs": _rounded(music.lufs) if music else None,
        "music_gain_db": round(scored.music_gain_db, 2) if music else None,
        "depth_db": round(scored.ducking.depth, 2) if music else None,
        "seconds_ducked": scored.curve.lowered(scored.seconds),
        "dips": [_dip(dip) for dip in sorted(scored.curve.dips, key=lambda dip: dip.start)],
        "gain_curve": _curve(scored),
        "music_parts": _parts(scored, scored.parts) if scored.parts else None,
        "ducking": {"threshold": scored.threshold, **asdict(scored.ducking)},
        "notes": [*_remarks(scored), *scored.notes, *(music.notes if music else ()), *_parts_notes(scored)],
        "inspection": inspection.model_dump(mode="json"),
    }


def _mood(ran: Ran[MoodReader, Mood] | None) -> dict[str, Any] | None:
    if ran is None:
        return None
    skipped = [skip.model_dump() for skip in ran.skipped]
    return {**ran.result.model_dump(mode="json"), "engine": ran.engine.name, "skipped": skipped}


def _key(key: Key) -> dict[str, Any]:
    """Whose vocal stem the voices were found in (none: in the clip's own sound), and who was passed over."""
    stems = key.stems
    return {
        "engine": stems.engine if stems else None,
        "model": stems.model if stems else None,
        "skipped": [skip.model_dump() for skip in key.skipped],
    }


def _parts(scored: Scored, parts: Parts) -> dict[str, Any]:
    """By how many dB each part of the music is lowered, and how loud it is in the mix before and then; in dB RMS."""
    return {
        "engine": parts.engine,
        "model": parts.model,
        "skipped": [skip.model_dump() for skip in parts.skipped],
        "lowered_db": _rounded(_lowered(scored, parts)),
        "parts": [_part(scored, part) for part in parts.parts],
    }


def _part(scored: Scored, part: Part) -> dict[str, Any]:
    under = _power_under(scored, part, scored.curve_of(part))
    return {
        "name": part.name,
        "made_of": list(part.made_of),
        "share": part.share,
        "depth_db": round(scored.ducking_of(part).depth, 2),
        "level_db": _rounded(level_db(part.envelope) + scored.music_gain_db),
        "lowered_level_db": _rounded(10 * math.log10(under) + scored.music_gain_db) if under > 0 else None,
    }


def _lowered(scored: Scored, parts: Parts) -> float:
    """By how many dB the music as a whole is softer where it is down, if its parts have nothing to do with each other; 0 if it never is."""
    before = sum(_power_under(scored, part, GainCurve()) for part in parts.parts)
    after = sum(_power_under(scored, part, scored.curve_of(part)) for part in parts.parts)
    return 10 * math.log10(before / after) if after > 0 else 0.0


def _power_under(scored: Scored, part: Part, gain: GainCurve) -> float:
    """The mean power of a part under a gain where the music is fully down; 0 if it never is."""
    envelope = part.envelope
    times = np.asarray((np.arange(len(envelope.rms)) + 0.5) * envelope.hop, np.float64)
    down = _fully_down(scored.curve, times)
    power = np.square(envelope.rms[down], dtype=np.float64) * 10 ** (gain.decibels(times[down]) / 10)
    return float(power.mean()) if len(power) else 0.0


def _fully_down(curve: GainCurve, times: NDArray[np.float64]) -> NDArray[np.bool_]:
    inside = np.zeros(len(times), bool)
    for dip in curve.dips:
        inside |= (dip.start <= times) & (times <= dip.end)
    return inside


def _parts_notes(scored: Scored) -> tuple[str, ...]:
    """What to know of the parts; also if lowering them hardly makes the music softer."""
    if scored.parts is None or not scored.curve.dips:
        return scored.parts.notes if scored.parts else ()
    lowered = _lowered(scored, scored.parts)
    if lowered >= min(_LITTLE_DB, scored.ducking.depth / 2):
        return scored.parts.notes
    names = ", ".join(part.name for part in scored.parts.parts if part.share)
    little = f"lowering only {names} makes the music as a whole {lowered:.1f} dB softer under the voices"
    return (*scored.parts.notes, little)


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

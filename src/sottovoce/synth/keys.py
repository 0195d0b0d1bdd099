"""Keyboards: felt and grand piano (two-stage decaying partials, hammer, case), electric piano, the piano played backwards."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sottovoce.audio import DELIVERY_RATE, Samples
from sottovoce.synth.envelope import at_unit_power, decay, rise, soften
from sottovoce.synth.modal import Modes, both, modes, ring
from sottovoce.synth.spectral import band, noise
from sottovoce.synth.strike import Strike, Tone

Floats = NDArray[np.float64]

# Level slope of the partials in dB per octave at these keys, played loud and soft, fitted to a recorded grand.
_KEYS = (24, 36, 48, 60, 72, 84, 96)
_LOUD = (-3.5, -4.0, -6.5, -11.0, -15.0, -18.0, -20.0)
_SOFT = (-8.0, -10.0, -15.0, -16.0, -18.0, -20.0, -22.0)


@dataclass(frozen=True)
class Hammer:
    """What strikes the string: slope added in dB per octave, how far velocity counts, noise and case beside the tone.

    `shine` is how much of the slope is left above the fourth partial.
    """

    slope: float
    reach: float
    shine: float
    noise: float
    case: float
    damping_hz: float


GRAND = Hammer(slope=2.0, reach=1.0, shine=0.45, noise=0.14, case=0.10, damping_hz=9_000.0)
FELT = Hammer(slope=3.0, reach=0.35, shine=0.45, noise=0.20, case=0.22, damping_hz=4_500.0)


def grand_piano(strike: Strike) -> Samples:
    """A concert grand, a little close."""
    return _piano(strike, GRAND)


def felt_piano(strike: Strike) -> Samples:
    """An upright with the practice felt down: soft, woody, the mechanics heard."""
    return _piano(strike, FELT)


def _piano(strike: Strike, hammer: Hammer) -> Samples:
    out = at_unit_power(ring(_strings(strike, hammer), strike.frames), 0.4)
    contact = round((0.0012 + 0.0022 * (1 - strike.velocity)) * DELIVERY_RATE)
    out[:, :contact] *= rise(contact)
    knock = _mechanics(strike.velocity, 2 * (strike.pitch % 3) + strike.variant, strike.tone, hammer)
    out[:, : knock.shape[1]] += knock[:, : strike.frames]
    out *= np.float32(0.22 + 0.78 * strike.velocity**1.3)
    return soften(out, 0.0006, 0.03)


def _strings(strike: Strike, hammer: Hammer) -> Modes:
    """Every partial as an early loud pair member and a late quiet one, a fraction of a hertz apart."""
    k = np.arange(1.0, _partials(strike) + 1)
    hertz = strike.hz * k * np.sqrt((1 + _stiffness(strike.pitch) * k**2) / (1 + _stiffness(strike.pitch)))
    character = strike.of_pitch("strings")
    octaves = np.log2(k)
    fallen = _slope(strike, hammer) * (np.minimum(octaves, 2) + hammer.shine * np.maximum(octaves - 2, 0))
    level = 10 ** ((fallen + character.normal(0, 1.6, k.size)) / 20)
    level *= np.sqrt(np.abs(np.sin(np.pi * k / 8.3)) + 0.05) * strike.tone.gain(hertz)
    early = _early_decay(strike.pitch, hertz) / (1 + (hertz / hammer.damping_hz) ** 1.5)
    beat = character.uniform(0.12, 0.25, k.size) * character.choice([-1, 1], k.size)
    apart = np.minimum(1.0, (hertz / 700) ** 1.5)
    turn = apart * character.uniform(-0.75, 0.75, k.size)
    touch = 1 + 0.06 * strike.of_variant("touch").standard_normal(k.size)
    lean = _lean(strike.pitch)[:, None]
    prompt = modes(hertz, early, 0.75 * level * touch, spread=turn)
    late = modes(hertz + beat, 3.4 * early, 0.25 * level * touch, spread=0.5 * apart - turn)
    whole = both(prompt, late)
    return replace(whole, amplitude=whole.amplitude * lean)


def _partials(strike: Strike) -> int:
    return int(np.clip(min(11_000, 1.2 * strike.tone.high_cut) / strike.hz, 3, 48))


def _stiffness(pitch: int) -> float:
    """Inharmonicity of the string (Rigaud, David, Daudet 2011)."""
    return float(np.exp(0.0926 * pitch - 13.64) + np.exp(-0.0847 * pitch - 5.82))


def _slope(strike: Strike, hammer: Hammer) -> float:
    loud, soft = np.interp(strike.pitch, _KEYS, _LOUD), np.interp(strike.pitch, _KEYS, _SOFT)
    share = np.clip((strike.velocity - 0.3) / 0.65, -0.2, 1.0) * hammer.reach
    return float(soft + (loud - soft) * share + hammer.slope)


def _early_decay(pitch: int, hertz: Floats) -> Floats:
    """Time constants of the early decay; the low strings ring longest, high partials shortest."""
    t60 = 3.3 * (hertz / 261) ** -0.22 * 2 ** (-0.29 * (pitch - 60) / 12)
    return np.asarray(t60 / 6.91)


def _lean(pitch: int) -> Floats:
    """Gains of left and right: low keys sit left, high ones right, as the player hears them."""
    angle = np.pi / 4 * (1 + 0.2 * np.clip((pitch - 62) / 24, -0.5, 1))
    return np.asarray(np.sqrt(2) * np.array([np.cos(angle), np.sin(angle)]))


@lru_cache(maxsize=64)
def _mechanics(velocity: float, take: int, tone: Tone, hammer: Hammer) -> Samples:
    """All that is not string: the knock of key bed and soundboard, felt on wire, wood and hinge (do not write to it)."""
    hand, frames = np.random.default_rng((0xFE17, take)), DELIVERY_RATE // 12
    hertz = np.array([88.0, 141.0, 197.0, 276.0, 410.0, 640.0]) * hand.uniform(0.97, 1.03, 6)
    level = hammer.case * np.array([1.0, 0.8, 0.5, 0.4, 0.25, 0.15]) * (0.5 + 0.5 * velocity)
    out = ring(modes(hertz, 0.018 + 2.2 / hertz, level, spread=np.linspace(0, 0.7, 6)), DELIVERY_RATE // 3)
    upper = band(2_200, 11_000, order=1.2)
    soft = noise(frames, band(120, 1_100 + 1_500 * velocity, order=1.5), hand, channels=2) * decay(frames, 0.009)
    hard = noise(frames, lambda hertz: upper(hertz) * tone.gain(hertz), hand, channels=2) * decay(frames, 0.016)
    share = hammer.noise * (0.35 + 0.65 * velocity)
    out[:, :frames] += soften(np.float32(share) * soft + np.float32(0.75 * share) * hard, 0.0008, 0.02)
    return out


def e_piano(strike: Strike) -> Samples:
    """Tines before a pickup: bell-like when soft, growling when hit, since the pickup hears how fast its bent field changes."""
    f, v = strike.hz, strike.velocity
    shorten = 2 ** (-(strike.pitch - 60) / 20)
    hertz = np.array([1.0, 1.0007, 2.0, 6.27, 17.0]) * f
    level = np.array([0.7, 0.3, 0.06, 0.10 * v**2, 0.018 * v**2]) * np.where(hertz < 14_000, 1.0, 0.0)
    time = np.array([1.6, 2.6, 1.2, 0.22, 0.05]) * shorten
    turn = np.array([0.0, 0.9, 0.3, 0.8, -0.8]) * min(1.0, f / 220)
    swing = ring(modes(hertz, time, level * strike.tone.gain(hertz), spread=turn), strike.frames)
    bent = np.float32(0.5 + 1.7 * v) * swing + np.float32(0.36)
    out = np.diff(bent / (1 + bent * bent), axis=1, prepend=np.float32(0.36 / (1 + 0.36**2)))
    out = at_unit_power(out, 0.4)
    out[:, : DELIVERY_RATE // 20] += _tine_knock(strike)[:, : out.shape[1]]
    out *= np.float32(0.3 + 0.7 * v)
    return soften(out, 0.0015, 0.03)


def _tine_knock(strike: Strike) -> Samples:
    frames = DELIVERY_RATE // 20
    burst = noise(frames, band(300, 2_600), strike.of_variant("tine"), channels=2)
    return burst[:, :frames] * decay(frames, 0.006) * np.float32(0.10 * strike.velocity)


def reversed_piano(strike: Strike) -> Samples:
    """A felt piano chord played backwards: it swells for the whole length and stops at its end."""
    forward = felt_piano(replace(strike, velocity=0.75 * strike.velocity + 0.15))
    out = np.ascontiguousarray(forward[:, ::-1])
    out *= np.linspace(0.1, 1, out.shape[1], dtype=np.float32) ** 2
    return soften(out, 0.05, 0.06)

"""Bars, tines and bells: a handful of modes with the ratios of the real thing."""

from __future__ import annotations

import numpy as np

from sottovoce.audio import DELIVERY_RATE, Samples
from sottovoce.synth.envelope import at_unit_power, decay, soften
from sottovoce.synth.modal import modes, ring
from sottovoce.synth.spectral import band, noise
from sottovoce.synth.strike import Strike


def vibes(strike: Strike) -> Samples:
    """Vibraphone with soft mallets (its fans are the mix's tremolo)."""
    hard = 0.25 + 0.75 * strike.velocity
    return _struck(strike, (1, 1.0006, 3.99, 10.1), (1.8, 1.7, 0.45, 0.10), (0.7, 0.35, 0.16 * hard, 0.05 * hard**2))


def kalimba(strike: Strike) -> Samples:
    """Thumb piano: a plucked steel tongue on a small box."""
    hard = 0.3 + 0.7 * strike.velocity
    return _struck(strike, (1, 1.0009, 5.9, 13.2), (0.75, 0.55, 0.10, 0.03), (0.8, 0.3, 0.14 * hard, 0.05 * hard))


def bell(strike: Strike) -> Samples:
    """A small tuned bell with hum, prime, tierce, quint and nominal."""
    ratio = np.array([0.5, 1.0, 1.0015, 1.19, 1.56, 2.0, 2.51, 2.66, 3.01, 4.1])
    level = 0.9 / (1 + np.arange(10.0)) ** 0.9 * np.exp(-0.16 * np.arange(10) * (1 - strike.velocity))
    level[3] *= 0.3
    level[4] *= 0.3
    return _struck(strike, ratio, 2.5 / (1 + np.arange(10.0)) ** 0.7, level)


def _struck(strike: Strike, ratios: object, times: object, levels: object) -> Samples:
    hertz = strike.hz * np.asarray(ratios, np.float64)
    shorten = 2 ** (-(strike.pitch - 60) / 24)
    level = np.asarray(levels, np.float64) * strike.tone.gain(hertz) * np.where(hertz < 15_000, 1, 0)
    turn = np.minimum(1, hertz / 800) * strike.of_pitch("bar").uniform(-0.8, 0.8, hertz.size)
    out = at_unit_power(ring(modes(hertz, np.asarray(times) * shorten, level, spread=turn), strike.frames), 0.3)
    frames = min(out.shape[1], DELIVERY_RATE // 40)
    stick = noise(DELIVERY_RATE // 40, band(400, 3_500), strike.of_variant("stick"), channels=2)[:, :frames]
    out[:, :frames] += stick * decay(frames, 0.003) * np.float32(0.16 * strike.velocity)
    out *= np.float32(0.28 + 0.72 * strike.velocity)
    return soften(out, 0.001, 0.03)

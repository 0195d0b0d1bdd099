"""Winds: a flute with breath and a vibrato that comes late."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sottovoce.audio import DELIVERY_RATE, Samples
from sottovoce.synth.envelope import at_unit_power, decay, rise, seconds, soften
from sottovoce.synth.spectral import band, loop, noise
from sottovoce.synth.strike import Strike

Wave = NDArray[np.float32]


def flute(strike: Strike) -> Samples:
    """A wooden flute close to the microphone."""
    hand = strike.of_variant("flute")
    time = seconds(strike.frames)
    late = np.clip((time - np.float32(0.22)) / np.float32(0.5), 0, 1)
    rate = hand.uniform(4.7, 5.4)
    wobble = np.sin(np.float32(2 * np.pi * rate) * time + np.float32(hand.uniform(0, 6))) * late
    tone = _harmonics(_phase(strike, wobble), _levels(strike))
    tone *= 1 + np.float32(0.10) * wobble
    tone /= np.float32(np.sqrt(np.mean(tone * tone)) + 1e-9)
    out = np.stack([tone, tone]) + _breath(strike) * (1 + np.float32(0.25) * wobble)
    out *= _onset(strike)
    out = at_unit_power(out, 0.6)
    return soften(out * np.float32(0.35 + 0.65 * strike.velocity), 0.004, 0.03)


def _phase(strike: Strike, wobble: Wave) -> Wave:
    """Running phase in radians with ±8 cents of vibrato and a scoop of 18 cents into the note."""
    step = 32
    coarse = wobble[::step].astype(np.float64)
    cents = 8 * coarse - 18 * np.exp(-np.arange(coarse.size) * step / (0.035 * DELIVERY_RATE))
    turns = np.concatenate([[0.0], np.cumsum(step * strike.hz / DELIVERY_RATE * 2 ** (cents / 1200))])
    slope = np.diff(turns)[:, None] / step
    lines = np.mod(turns[:-1, None], 1) + slope * np.arange(step)
    return np.asarray(2 * np.pi * lines.ravel()[: wobble.size], np.float32)


def _levels(strike: Strike) -> NDArray[np.float64]:
    k = np.arange(1.0, 7)
    soft = np.array([1, 0.34, 0.13, 0.045, 0.02, 0.008])
    bright = soft ** (1.1 - 0.35 * strike.velocity)
    return bright * np.where(strike.hz * k < 12_000, 1, 0) * strike.tone.gain(strike.hz * k)


def _harmonics(phase: Wave, levels: NDArray[np.float64]) -> Wave:
    """Sum of a_k sin(k phase), each sine from the two before it."""
    twice = 2 * np.cos(phase)
    before, now = np.zeros_like(phase), np.sin(phase)
    out = np.float32(levels[0]) * now
    for level in levels[1:]:
        before, now = now, twice * now - before
        out += np.float32(level) * now
    return out


def _breath(strike: Strike) -> Samples:
    """Air: a band around the tone, louder while the note starts."""
    frames = strike.frames
    start = int(strike.of_variant("air").integers(_AIR))
    air = np.stack([loop(row, start, frames) for row in _air(strike.pitch)])
    chiff = np.float32(0.045) + np.float32(0.13 * strike.velocity) * decay(frames, 0.045)
    return air * chiff


_AIR = 1 << 16


@lru_cache(maxsize=32)
def _air(pitch: int) -> Samples:
    """A seamless second of breath for a note."""
    hertz = Strike(pitch, 1.0, 1.0).hz
    return noise(_AIR, band(0.9 * hertz, min(6 * hertz, 6_000), order=2.0), np.random.default_rng(pitch), channels=2)


def _onset(strike: Strike) -> Wave:
    curve = np.ones(strike.frames, np.float32)
    span = min(strike.frames, round((0.075 - 0.035 * strike.velocity) * DELIVERY_RATE))
    curve[:span] = rise(span)
    swell = np.minimum(seconds(strike.frames) / np.float32(0.35), 1)
    curve *= np.float32(0.8) + np.float32(0.2) * swell
    return curve

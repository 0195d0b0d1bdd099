"""Guitars: plucked strings as modes with the comb of the plucking point, a body and the finger's noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sottovoce.audio import DELIVERY_RATE, Samples
from sottovoce.synth.envelope import at_unit_power, decay, soften
from sottovoce.synth.modal import both, modes, ring
from sottovoce.synth.spectral import band, noise
from sottovoce.synth.strike import Strike


@dataclass(frozen=True)
class Pluck:
    """How a string is plucked: where (share of its length), time constant at E3 in seconds, its brightness, the body."""

    point: float
    sustain: float
    bright_hz: float
    slope: float
    body: float
    finger: float


NYLON = Pluck(point=0.19, sustain=1.15, bright_hz=3_400.0, slope=1.2, body=0.30, finger=0.10)
MUTED = Pluck(point=0.12, sustain=0.16, bright_hz=1_900.0, slope=1.15, body=0.40, finger=0.16)


def nylon_guitar(strike: Strike) -> Samples:
    """A classical guitar, played with the flesh of the thumb when soft and the nail when loud."""
    return _plucked(strike, NYLON)


def muted_guitar(strike: Strike) -> Samples:
    """The palm on the bridge: short, woody notes."""
    return _plucked(strike, MUTED)


def _plucked(strike: Strike, pluck: Pluck) -> Samples:
    f, v = strike.hz, strike.velocity
    k = np.arange(1.0, np.clip(9_000 / f, 4, 45))
    hertz = f * k * np.sqrt(1 + 4e-5 * k**2)
    hand = strike.of_variant("hand")
    point = pluck.point * hand.uniform(0.9, 1.1)
    level = np.abs(np.sin(np.pi * k * point)) / k ** (pluck.slope - 0.35 * v) + 0.004 / k
    level *= np.exp(-hertz / (pluck.bright_hz * (0.7 + 1.5 * v))) * strike.tone.gain(hertz)
    level *= 10 ** (strike.of_pitch("wood").normal(0, 1.5, k.size) / 20)
    time = pluck.sustain * 2 ** (-(strike.pitch - 52) / 16) / (1 + 0.0011 * hertz)
    turn = np.minimum(1.0, hertz / 900) * strike.of_pitch("width").uniform(-0.8, 0.8, k.size)
    across = modes(hertz * 1.0007, 0.45 * time, 0.7 * level, spread=-turn)
    out = at_unit_power(ring(both(modes(hertz, time, level, spread=turn), across), strike.frames), 0.2)
    _add_attack(out, strike, pluck)
    out *= np.float32(0.25 + 0.75 * v)
    return soften(out, 0.001, 0.03)


def _add_attack(out: Samples, strike: Strike, pluck: Pluck) -> None:
    body = modes(
        [98.0, 204.0, 392.0], [0.07, 0.05, 0.03], pluck.body * np.array([1.0, 0.8, 0.4]), spread=np.full(3, 0.3)
    )
    knock = ring(body, min(out.shape[1], DELIVERY_RATE // 4))
    out[:, : knock.shape[1]] += knock * np.float32(0.4 + 0.6 * strike.velocity)
    frames = min(out.shape[1], DELIVERY_RATE // 25)
    scrape = noise(DELIVERY_RATE // 25, band(900, 4_500), strike.of_variant("nail"), channels=2)[:, :frames]
    out[:, :frames] += soften(scrape * decay(frames, 0.005), 0.0005, 0.005) * np.float32(pluck.finger * strike.velocity)

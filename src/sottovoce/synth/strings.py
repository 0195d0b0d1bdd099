"""Sustained sound from spectral tables: string sections, pads, a choir; never still, always wide."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sottovoce.audio import Samples
from sottovoce.synth.envelope import seconds, soften
from sottovoce.synth.spectral import TABLE, Response, band, loop, noise, peaks, table
from sottovoce.synth.strike import Strike, Tone

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ensemble:
    """A section of players: slope of the harmonics (power of k), their number, band in cents, body, and where it ends."""

    name: str
    slope: float
    harmonics: int
    cents: float
    cut_hz: float
    body: tuple[tuple[float, float, float], ...] = ()
    #: Share of the octave below.
    under: float = 0.0
    #: How far apart the first harmonics stand, 0-1; the others always fill the room.
    width: float = 0.45
    #: Level of bow, breath or circuit beside the tone.
    air: float = 0.018

    @property
    def response(self) -> Response:
        """The body as a filter."""
        return peaks(*self.body)


STRINGS = Ensemble("strings", 1.0, 30, 36.0, 5_600.0, ((300, 0.8, 2.0), (550, 0.9, 4.0), (1_500, 0.9, 3.0)))
WARM = Ensemble("warm", 1.1, 28, 16.0, 4_200.0, ((500, 1.2, 2.0),), under=0.2)
DARK = Ensemble("dark", 1.3, 24, 14.0, 2_300.0, under=0.35)
OOH = Ensemble(
    "choir", 0.9, 30, 26.0, 4_200.0, ((380, 0.7, 8.0), (870, 0.6, 5.0), (2_600, 0.5, 7.0), (1_600, 0.8, -6.0)), air=0.03
)


def string_ensemble(strike: Strike) -> Samples:
    """A section of strings, bowed softly."""
    return _held(strike, STRINGS)


def pad_warm(strike: Strike) -> Samples:
    """An old analogue pad whose brightness opens slowly."""
    return _held(strike, WARM)


def pad_dark(strike: Strike) -> Samples:
    """A low, veiled pad."""
    return _held(strike, DARK)


def choir(strike: Strike) -> Samples:
    """Wordless voices between ooh and aah."""
    return _held(strike, OOH)


def _held(strike: Strike, ensemble: Ensemble) -> Samples:
    """Two tables, the body and what lies above it; the second swells and ebbs over the note."""
    frames = strike.frames
    low, high = _tables(ensemble, strike.pitch, strike.tone)
    hand = strike.of_variant(ensemble.name)
    sheen = _breathing(frames, hand, strike.velocity)
    start = int(hand.integers(TABLE))
    air = _air(ensemble, strike.tone)
    apart = ensemble.width * float(np.clip(np.log2(strike.hz / 130) / 1.2, 0, 1))
    middle = loop(low, start, frames)
    out = np.empty((2, frames), np.float32)
    for channel in (0, 1):
        at = start + (1 + channel) * (TABLE // 3 + 4_801)
        np.multiply(loop(low, at, frames), np.float32(apart), out=out[channel])
        out[channel] += np.float32(np.sqrt(1 - apart**2)) * middle
        out[channel] += sheen * (loop(high, at + 9_973, frames) + loop(air, at + 31_337, frames))
    out *= np.float32(0.35 + 0.65 * strike.velocity)
    return soften(out, 0.003, 0.03)


def _breathing(frames: int, hand: np.random.Generator, velocity: float) -> NDArray[np.float32]:
    rate = np.float32(2 * np.pi * hand.uniform(0.09, 0.16))
    wave = np.sin(rate * seconds(frames) + np.float32(hand.uniform(-2.5, -1.0)))
    return np.asarray(np.float32(0.55 + 0.9 * velocity) * (np.float32(0.75) + np.float32(0.45) * wave))


@lru_cache(maxsize=16)
def _air(ensemble: Ensemble, tone: Tone) -> NDArray[np.float32]:
    """A seamless loop of what sounds besides the tone."""
    bright = band(1_400, 8_000, order=1.0)
    rng = np.random.default_rng(len(ensemble.name))
    made = noise(TABLE, lambda hertz: bright(hertz) * tone.gain(hertz), rng)[0]
    return np.asarray(made * np.float32(ensemble.air))


@lru_cache(maxsize=40)
def _tables(ensemble: Ensemble, pitch: int, tone: Tone) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Body (the first two harmonics) and sheen (the others) of one pitch at their natural levels."""
    strike = Strike(pitch, 1.0, 1.0, tone=tone)
    hz = strike.hz / 2 if ensemble.under else strike.hz
    level = _harmonics(ensemble, hz, tone)
    split = 4 if ensemble.under else 2
    rng = strike.of_pitch(ensemble.name)
    parts = (np.where(np.arange(level.size) < split, level, 0), np.where(np.arange(level.size) >= split, level, 0))
    whole = np.sqrt(np.sum(level**2))
    low, high = (
        table(hz, part, cents=ensemble.cents, rng=rng) * np.float32(np.sqrt(np.sum(part**2)) / whole) for part in parts
    )
    return low, high


def _harmonics(ensemble: Ensemble, hz: float, tone: Tone) -> Floats:
    """Level of each harmonic of `hz`; with an octave below, only every other one is at its full level."""
    count = int(np.clip(min(12_000, 3.5 * ensemble.cut_hz) / hz, 4, ensemble.harmonics * (2 if ensemble.under else 1)))
    k = np.arange(1.0, count + 1)
    number = k / 2 if ensemble.under else k
    level = np.maximum(number, 0.5) ** -ensemble.slope / np.sqrt(1 + (k * hz / ensemble.cut_hz) ** 4)
    if ensemble.under:
        level *= np.where(k % 2 == 1, ensemble.under, 1.0)
    return np.asarray(level * ensemble.response(k * hz) * tone.gain(k * hz))

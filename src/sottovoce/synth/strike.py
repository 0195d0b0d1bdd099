"""What is asked of an instrument: one note or hit, and the tone it is to have."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sottovoce.audio import DELIVERY_RATE

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Tone:
    """A gentle equaliser made part of the sound: highs end at `high_cut` Hz, `tilt_db` per octave above 1 kHz."""

    high_cut: float = 18_000.0
    tilt_db: float = 0.0

    def gain(self, frequency: Floats) -> Floats:
        """Linear gain at each frequency in Hz."""
        octaves = np.log2(np.maximum(frequency, 1_000.0) / 1_000.0)
        tilt: Floats = 10 ** (self.tilt_db * octaves / 20)
        return tilt / np.sqrt(1 + (frequency / self.high_cut) ** 8)


#: Nothing changed but what lies above hearing.
NEUTRAL = Tone()


@dataclass(frozen=True)
class Strike:
    """One sound: MIDI pitch, seconds it must be able to last, velocity 0-1, which variant of it, its tone."""

    pitch: int
    seconds: float
    velocity: float
    variant: int = 0
    tone: Tone = NEUTRAL

    @property
    def hz(self) -> float:
        """The fundamental, A4 = 440."""
        return float(440 * 2 ** ((self.pitch - 69) / 12))

    @property
    def frames(self) -> int:
        """Length in samples at 48 kHz."""
        return round(self.seconds * DELIVERY_RATE)

    def of_pitch(self, salt: str) -> np.random.Generator:
        """Randomness that is the character of this key: the same whatever velocity and variant."""
        return np.random.default_rng((zlib.crc32(salt.encode()), self.pitch))

    def of_variant(self, salt: str) -> np.random.Generator:
        """Randomness that tells this variant from the others of the same key."""
        return np.random.default_rng((zlib.crc32(salt.encode()), self.pitch, self.variant))

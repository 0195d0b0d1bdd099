"""Levels: decibels and amplitudes, and what a signal reaches in blocks of a few samples."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sottovoce.audio import Samples


def decibels(amplitude: float) -> float:
    """20 log10 of an amplitude; -inf for 0."""
    return 20 * math.log10(amplitude) if amplitude > 0 else -math.inf


def power_decibels(power: float) -> float:
    """10 log10 of a power; -inf for 0."""
    return 10 * math.log10(power) if power > 0 else -math.inf


def amplitude(level: float) -> float:
    """The amplitude of a level in dB; 0 for -inf."""
    return math.pow(10, level / 20)


def block_peaks(samples: Samples, size: int) -> NDArray[np.float32]:
    """Highest absolute sample of each block of `size` (a power of two) frames, per channel: [channels, blocks].

    The last block may reach beyond the end.
    """
    missing = -samples.shape[1] % size
    tops = np.abs(samples)
    if missing:
        tops = np.pad(tops, ((0, 0), (0, missing)))
    # Halving keeps the loops long: a maximum over a last axis of 16 is four times slower.
    while size > 1:
        tops = np.maximum(tops[:, ::2], tops[:, 1::2])
        size //= 2
    return tops

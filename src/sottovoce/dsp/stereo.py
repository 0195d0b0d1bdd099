"""The stereo image in numbers: how alike the sides are, on the whole and in the bass, how they balance, and their offset."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sottovoce.audio import Samples
from sottovoce.dsp.filters import StreamFilter, low_pass
from sottovoce.dsp.levels import power_decibels

#: The bass lies below this, in Hz; it is filtered at about the second number, after averages over a few samples.
_BASS, _BASS_RATE = 150.0, 3000
#: A bass this far below the whole, in dB, has no image worth telling.
_NO_BASS_DB = -50.0


@dataclass(frozen=True)
class Image:
    """Correlation of the first two channels (-1 to 1), the same below 150 Hz, side against mid and left against right in dB.

    None where there is one channel, or silence, or no bass. `dc` is the largest mean of any channel, `rms` over all.
    """

    correlation: float | None = None
    low_correlation: float | None = None
    side_mid_db: float | None = None
    balance_db: float | None = None
    dc: float = 0.0
    rms: float = 0.0


class ImageMeter:
    """The image of a stream of blocks [channels, frames]; keeps a few sums."""

    def __init__(self, rate: int, channels: int) -> None:
        self._step = max(1, rate // _BASS_RATE)
        self._rest = np.zeros((min(channels, 2), 0), np.float32)
        slow = rate // self._step
        self._bass = StreamFilter(np.concatenate([low_pass(_BASS, slow)] * 2), min(channels, 2))
        self._frames = 0
        self._sums = np.zeros(channels)
        self._powers = np.zeros((channels, channels))
        self._bass_powers = np.zeros((min(channels, 2),) * 2)

    def push(self, block: Samples) -> None:
        """Take the next block."""
        self._frames += block.shape[1]
        self._sums += block.sum(axis=1)
        self._powers += block @ block.T
        joined = np.concatenate([self._rest, block[:2]], axis=1)
        whole = joined.shape[1] // self._step * self._step
        means = joined[:, :whole].reshape(len(joined), -1, self._step) @ np.full(self._step, 1 / self._step, np.float32)
        bass = self._bass.push(means)
        self._bass_powers += bass @ bass.T
        self._rest = joined[:, whole:]

    def image(self) -> Image:
        """The image so far."""
        if self._frames == 0:
            return Image()
        dc = float(np.abs(self._sums).max()) / self._frames
        rms = math.sqrt(float(np.trace(self._powers)) / self._frames / len(self._sums))
        if len(self._sums) == 1 or rms == 0:
            return Image(dc=dc, rms=rms)
        bass_db = power_decibels(float(np.trace(self._bass_powers)) * self._step) - power_decibels(
            float(np.trace(self._powers))
        )
        return Image(
            correlation=_correlation(self._powers),
            low_correlation=_correlation(self._bass_powers) if bass_db > _NO_BASS_DB else None,
            side_mid_db=_side_mid_db(self._powers),
            balance_db=_ratio_db(self._powers[0, 0], self._powers[1, 1]),
            dc=dc,
            rms=rms,
        )


def _correlation(powers: NDArray[np.float64]) -> float | None:
    both = math.sqrt(powers[0, 0]) * math.sqrt(powers[1, 1])
    return float(np.clip(powers[0, 1] / both, -1, 1)) if both > 0 else None


def _side_mid_db(powers: NDArray[np.float64]) -> float | None:
    total, common = float(powers[0, 0] + powers[1, 1]), 2 * float(powers[0, 1])
    return _ratio_db(max(0.0, total - common), max(0.0, total + common))


def _ratio_db(power: float, reference: float) -> float | None:
    """Decibels of a ratio of powers; None where one of them is nothing."""
    return power_decibels(power / reference) if power > 0 and reference > 0 else None

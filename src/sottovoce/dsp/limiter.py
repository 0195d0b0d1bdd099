"""A look-ahead limiter that keeps true peaks under a ceiling by one gain curve for all channels.

The curve is all it does to the sound, so stems multiplied by it add up to the limited mix, and where nothing near
reaches the ceiling it is exactly 1. In decibels the curve is the reduction that the loudest moments need, held for the
look-ahead on both sides of them, let go along a straight line, and averaged over the look-ahead, so that it comes on
and goes off as smoothly as the look-ahead allows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sottovoce.audio import Samples
from sottovoce.dsp.levels import amplitude
from sottovoce.dsp.peaks import BLOCK, true_peaks
from sottovoce.errors import InvalidParameter

#: Reduction of each block of `BLOCK` frames, in nepers (8.7 dB).
_Reduction = NDArray[np.float64]

#: Kept in hand where the limiter acts, in nepers (0.065 dB): a crest may lie between the points of the interpolation.
_IN_HAND = 0.0075

#: The gain moves while the interpolator looks, so a peak may slip through by a little; what is left after one look is
#: taken at the next, and shrinks tenfold or more each time.
_LOOKS = 10

_INAUDIBLE = 1e-7


def limit(
    samples: Samples, rate: int, *, ceiling_db: float = -1.0, look_ahead: float = 0.008, release: float = 0.12
) -> tuple[Samples, Samples]:
    """Samples [channels, frames] with no true peak above `ceiling_db` dBTP, and the linear gain [frames] that did it.

    Samples that need no gain are given back as they are. `look_ahead` and `release` (the time for 8.7 dB) are in seconds. The samples must be finite.
    """
    shape = _Shape.of(rate, ceiling_db, look_ahead, release)
    need = shape.excess(samples)
    limited, gain = samples, np.ones(samples.shape[1], np.float32)
    slipped = need
    for _ in range(_LOOKS):
        if not slipped.any():
            break
        reduction = shape.smoothed(need)
        gain = _interpolated(np.exp(-reduction).astype(np.float32))[: samples.shape[1]]
        limited = samples * gain
        slipped = shape.excess(limited)
        need = np.where(slipped > 0, reduction + slipped, need)
    return limited, gain


class StreamLimiter:
    """`limit` for a stream of blocks [channels, frames]: the same result, with a few seconds in memory.

    What comes back lags behind what went in, and may be empty; `flush` gives the rest, so that all of it together is as
    long as the input.
    """

    def __init__(
        self,
        rate: int,
        channels: int,
        *,
        ceiling_db: float = -1.0,
        look_ahead: float = 0.008,
        release: float = 0.12,
    ) -> None:
        self._rate = rate
        self._options = {"ceiling_db": ceiling_db, "look_ahead": look_ahead, "release": release}
        # The curve has forgotten a reduction of 60 dB after seven releases; the future matters for two look-aheads,
        # and the cut at the end of what is known rings for less than another.
        self._past = _blocks_in(7 * release + 3 * look_ahead, rate) * BLOCK
        self._ahead = _blocks_in(4 * look_ahead, rate) * BLOCK
        self._least = _blocks_in(4.0, rate) * BLOCK
        self._held: list[Samples] = [np.zeros((channels, 0), np.float32)]
        self._frames = 0
        self._done = 0

    def push(self, block: Samples) -> tuple[Samples, Samples]:
        """Limited samples [channels, n] and their gain [n], as far as they are settled."""
        self._held.append(block.copy())
        self._frames += block.shape[1]
        settled = (self._frames - self._ahead) // BLOCK * BLOCK
        if settled - self._done < self._least:
            return block[:, :0], block[0, :0]
        return self._take(settled)

    def flush(self) -> tuple[Samples, Samples]:
        """The rest; the stream ends here."""
        return self._take(self._frames)

    def _take(self, end: int) -> tuple[Samples, Samples]:
        held = np.concatenate(self._held, axis=1)
        limited, gain = limit(held, self._rate, **self._options)
        fresh = slice(self._done, end)
        forgotten = max(0, end - self._past)
        self._held, self._done = [held[:, forgotten:].copy()], end - forgotten
        self._frames -= forgotten
        return limited[:, fresh], gain[fresh]


@dataclass(frozen=True)
class _Shape:
    """The limiter's settings in its own terms: an amplitude, blocks, and nepers a block."""

    ceiling: float
    reach: int
    slope: float

    @classmethod
    def of(cls, rate: int, ceiling_db: float, look_ahead: float, release: float) -> _Shape:
        if look_ahead <= 0 or release <= 0:
            raise InvalidParameter("a limiter's look-ahead and release must be longer than 0 seconds")
        return cls(amplitude(ceiling_db), _blocks_in(look_ahead, rate), BLOCK / (rate * release))

    def excess(self, samples: Samples) -> _Reduction:
        """By how much each block exceeds the ceiling, in nepers; 0 where it does not."""
        peaks = true_peaks(samples, above=self.ceiling).astype(np.float64)
        over = peaks > self.ceiling
        return np.where(over, np.log(np.maximum(peaks, self.ceiling) / self.ceiling) + _IN_HAND, 0.0)

    def smoothed(self, need: _Reduction) -> _Reduction:
        """A smooth curve that is nowhere below the need, nor is it half-way to the next block."""
        held = ndimage.maximum_filter1d(need, 2 * self.reach + 3, mode="nearest")
        fall = self.slope * np.arange(len(need))
        released = np.maximum.accumulate(held + fall) - fall
        smooth = ndimage.uniform_filter1d(released, 2 * self.reach + 1, mode="nearest")
        return np.where(smooth > _INAUDIBLE, smooth, 0.0)


def _blocks_in(seconds: float, rate: int) -> int:
    return math.ceil(seconds * rate / BLOCK)


def _interpolated(gains: Samples) -> Samples:
    """Gains at the centres of blocks, made into straight lines over all their frames: [blocks * BLOCK]."""
    around = np.pad(gains, 1, mode="edge")
    half = BLOCK // 2
    toward = ((np.arange(half) + 0.5) / BLOCK).astype(np.float32)
    lines = np.empty((len(gains), BLOCK), np.float32)
    middle = around[1:-1, None]
    lines[:, :half] = middle + (around[:-2, None] - middle) * toward[::-1]
    lines[:, half:] = middle + (around[2:, None] - middle) * toward
    return lines.reshape(-1)

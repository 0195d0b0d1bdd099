"""True peaks: what the analogue signal reaches between the samples, by fourfold interpolation.

ITU-R BS.1770-4 annex 2 asks for four times 48 kHz; the interpolator here is a 24-tap Kaiser-windowed sinc, flat within
0.01 dB to 20 kHz at 48 kHz. Only blocks that could matter are interpolated, so the cost is that of reading the samples.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from sottovoce.audio import Samples
from sottovoce.dsp.levels import block_peaks

#: Frames that share one peak value.
BLOCK = 16

_TAPS = 24
_KAISER = 6.0
_BATCH = 8192
_CHUNK = 1 << 16


def true_peaks(samples: Samples, *, above: float = 0.0) -> NDArray[np.float32]:
    """Highest true peak of all channels in each block of `BLOCK` frames: [blocks], as an amplitude.

    Blocks that cannot reach `above` are given their highest sample instead. Beyond both ends there is silence.
    """
    frames = samples.shape[1]
    made = np.empty(-(-frames // BLOCK), np.float32)
    for start in range(0, frames, _CHUNK):
        end = min(start + _CHUNK, frames)
        part = samples[:, max(0, start - BLOCK) : end + BLOCK]
        after = BLOCK + -end % BLOCK - (min(end + BLOCK, frames) - end)
        padded = np.pad(part, ((0, 0), (0 if start else BLOCK, after)))
        made[start // BLOCK : -(-end // BLOCK)] = _interpolated(padded, block_peaks(padded, BLOCK), above)
    return made


class TruePeakMeter:
    """The highest true peak of a stream of blocks [channels, frames]."""

    def __init__(self, channels: int) -> None:
        self._held = np.zeros((channels, BLOCK), np.float32)
        self._highest = 0.0

    def push(self, block: Samples) -> None:
        """Take the next block."""
        joined = np.concatenate([self._held, block], axis=1)
        whole = joined.shape[1] // BLOCK * BLOCK
        if whole >= 3 * BLOCK:
            self._take(joined[:, :whole])
            joined = joined[:, whole - 2 * BLOCK :]
        self._held = joined

    def peak(self) -> float:
        """The highest true peak so far, as an amplitude, as if silence followed."""
        rest = self._held.shape[1] - BLOCK
        ended = np.pad(self._held, ((0, 0), (0, BLOCK + -rest % BLOCK)))
        return max(
            self._highest, float(_interpolated(ended, block_peaks(ended, BLOCK), self._highest).max(initial=0.0))
        )

    def _take(self, padded: Samples) -> None:
        tops = block_peaks(padded, BLOCK)
        # The highest sample is known at once, and spares most blocks the interpolation.
        self._highest = max(self._highest, float(tops.max()))
        self._highest = max(self._highest, float(_interpolated(padded, tops, self._highest).max()))


def _interpolated(padded: Samples, tops: Samples, above: float) -> NDArray[np.float32]:
    """True peak of every block but the first and the last, which are context; `tops` are the highest samples of each."""
    around = np.maximum(np.maximum(tops[:, :-2], tops[:, 1:-1]), tops[:, 2:])
    made: NDArray[np.float32] = tops[:, 1:-1].max(axis=0)
    for channel, reached in zip(padded, around * _REACH, strict=True):
        wanted = np.flatnonzero(reached > above)
        windows = sliding_window_view(channel, 3 * BLOCK)[::BLOCK] if len(wanted) else channel
        for start in range(0, len(wanted), _BATCH):
            chosen = wanted[start : start + _BATCH]
            between = _INTERPOLATOR @ windows[chosen].T
            made[chosen] = np.maximum(made[chosen], np.maximum(between.max(axis=0), -between.min(axis=0)))
    return made


def _fractional_delay(offset: float) -> NDArray[np.float64]:
    """Taps that read a signal at `offset` (0-1) past the tap in the middle (index _TAPS // 2 - 1)."""
    distance = offset - np.arange(1 - _TAPS // 2, _TAPS // 2 + 1)
    window = np.i0(_KAISER * np.sqrt(np.maximum(0, 1 - (2 * distance / _TAPS) ** 2))) / np.i0(_KAISER)
    taps = np.sinc(distance) * window
    return np.asarray(taps / taps.sum())


def _interpolator() -> NDArray[np.float32]:
    """Three points after each frame of the middle one of three blocks: [3 * BLOCK, 3 * BLOCK]."""
    rows = np.zeros((3 * BLOCK, 3 * BLOCK), np.float32)
    for phase in range(3):
        taps = _fractional_delay((phase + 1) / 4)
        for frame in range(BLOCK):
            first = BLOCK + frame + 1 - _TAPS // 2
            rows[phase * BLOCK + frame, first : first + _TAPS] = taps
    return rows


_INTERPOLATOR = _interpolator()

#: No interpolated value exceeds the samples around it by more than this factor.
_REACH = float(np.abs(_INTERPOLATOR).sum(axis=1).max())

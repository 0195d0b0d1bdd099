"""The source at a network's rate and in pairs of channels, and how loud it is as a whole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sottovoce.audio import AudioReader, Samples
from sottovoce.dsp.resample import StreamResampler, resampled_frames
from sottovoce.engines.demucs.channels import groups, paired

_BLOCK = 1 << 18


def stream(source: AudioReader, rate: int) -> Iterator[Samples]:
    """The source in stereo groups [2 * groups, frames] at another rate."""
    resampler = StreamResampler(source.rate, rate, source.channels)
    for block in source.blocks(_BLOCK):
        yield paired(resampler.push(block))
    yield paired(resampler.flush())


def stream_frames(source: AudioReader, rate: int) -> int:
    """How many frames that is."""
    return resampled_frames(source.frames, source.rate, rate)


def levels(source: AudioReader, rate: int) -> NDArray[np.float64]:
    """Mean and standard deviation of each group's left and right together: float64 [groups, 2]. Reads the whole source once."""
    count, sums, squares = 0, np.zeros(len(groups(source.channels))), np.zeros(len(groups(source.channels)))
    for block in stream(source, rate):
        middle = block.reshape(len(block) // 2, 2, block.shape[1]).mean(axis=1, dtype=np.float64)
        count += block.shape[1]
        sums += middle.sum(axis=1)
        squares += np.square(middle).sum(axis=1)
    mean = sums / max(1, count)
    variance = (squares - count * mean**2) / max(1, count - 1)
    # What rounding leaves of a constant is no movement.
    still = variance <= 1e-12 * squares / max(1, count)
    return np.stack([mean, np.where(still, 0, np.sqrt(np.maximum(variance, 0)))], axis=1)

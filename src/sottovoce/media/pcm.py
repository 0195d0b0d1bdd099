"""Samples as numbers: FFmpeg's frames to floats, floats to the integers that files and hashes hold."""

from __future__ import annotations

import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from sottovoce.audio import Samples

#: Seed of the dither, so that the same sound gives the same file.
DITHER_SEED = 16
_FULL_SCALE = {"u8": 2.0**7, "s16": 2.0**15, "s32": 2.0**31}


def floats(frame: AudioFrame) -> Samples:
    """A decoded frame as float32 [channels, frames]; ValueError for a sample format that numpy has no type for."""
    array = frame.to_ndarray()
    planar = array if frame.format.is_planar else array.reshape(-1, frame.layout.nb_channels).T
    kind = frame.format.name.removesuffix("p")
    if kind == "u8":
        planar = planar.astype(np.float32) - 128
    samples = np.ascontiguousarray(planar, np.float32)
    return samples / np.float32(_FULL_SCALE[kind]) if kind in _FULL_SCALE else samples


def int24(samples: Samples) -> NDArray[np.int32]:
    """Samples rounded to 24 bits, as int32 within ±2^23, clipped at full scale."""
    scaled = np.rint(samples.astype(np.float64) * 2**23)
    return np.clip(scaled, -(2**23), 2**23 - 1).astype(np.int32)


def packed24(samples: Samples) -> bytes:
    """Samples [channels, frames] as interleaved little-endian 24-bit integers."""
    interleaved = np.ascontiguousarray(int24(samples).T, "<i4")
    return interleaved.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


class Dither:
    """Rounds a stream to 16 bits with triangular noise of ±1 step, whatever the size of its blocks.

    Samples that are 16-bit numbers already are kept as they are, so silence stays silent and a 16-bit source stays bit-identical.
    """

    def __init__(self) -> None:
        self._generator = np.random.PCG64(DITHER_SEED)
        self._random = np.random.Generator(self._generator)

    def int16(self, samples: Samples) -> NDArray[np.int16]:
        """The next block [channels, frames], clipped at full scale."""
        scaled = samples.astype(np.float64) * 2**15
        rounded = np.rint(scaled)
        exact = scaled == rounded
        if exact.all():
            # Two draws a sample, as below, so that the noise does not depend on how the stream is cut.
            self._generator.advance(2 * samples.size)
        else:
            draws = self._random.random((samples.shape[1], samples.shape[0], 2))
            noise = (draws[..., 0] - draws[..., 1]).T
            rounded = np.where(exact, rounded, np.rint(scaled + noise))
        return np.clip(rounded, -(2**15), 2**15 - 1).astype(np.int16)

"""The mix of a clip's sound and its music, made block by block while it is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sottovoce.audio import DELIVERY_RATE, AudioReader, Samples
from sottovoce.dsp.ducking import Beside, GainCurve
from sottovoce.dsp.levels import amplitude
from sottovoce.dsp.limiter import StreamLimiter
from sottovoce.engines.base import Run

_BLOCK = 1 << 17


_LEVEL = GainCurve()


@dataclass(frozen=True)
class Fades:
    """Seconds of fade at the beginning and the end of the music; longer than the music, they are cut to it."""

    into: float
    out: float

    def gain_at(self, seconds: NDArray[np.float64], whole: float) -> NDArray[np.float64]:
        """The linear gain at times in seconds, of music that lasts `whole` seconds: half cosines."""
        into, out = (max(min(fade, whole), 1e-6) for fade in (self.into, self.out))
        rise = 0.5 - 0.5 * np.cos(np.pi * np.clip(seconds / into, 0, 1))
        fall = 0.5 - 0.5 * np.cos(np.pi * np.clip((whole - seconds) / out, 0, 1))
        return np.asarray(rise * fall)


_UNFADED = Fades(0, 0)


@dataclass(frozen=True, eq=False)
class Layer:
    """One sound of the mix: 48 kHz stereo, moved by `gain_db`, under a gain curve and fades if it is music."""

    reader: AudioReader
    gain_db: float
    curve: GainCurve | Beside = _LEVEL
    fades: Fades = _UNFADED


@dataclass(frozen=True, eq=False)
class Mixture:
    """An `AudioReader` over the sum of layers, limited to `ceiling_db` dBTP: 48 kHz stereo, exactly `frames` long.

    A layer that is shorter ends in silence, a longer one is cut. Each pass mixes anew; progress goes to `run`.
    """

    layers: tuple[Layer, ...]
    frames: int
    run: Run
    ceiling_db: float = -1.0
    rate: int = DELIVERY_RATE
    channels: int = 2

    def blocks(self, frames: int) -> Iterator[Samples]:
        """Consecutive blocks of `frames` samples from the start; the last one may be shorter, none is empty."""
        return rechunked(self._limited(), frames)

    def _limited(self) -> Iterator[Samples]:
        limiter = StreamLimiter(self.rate, self.channels, ceiling_db=self.ceiling_db)
        for block in self._mixed():
            yield limiter.push(block)[0]
        yield limiter.flush()[0]

    def _mixed(self) -> Iterator[Samples]:
        sources = [layer.reader.blocks(_BLOCK) for layer in self.layers]
        for first in range(0, self.frames, _BLOCK):
            self.run.report("mix", 100 * first / self.frames)
            total = np.zeros((self.channels, min(_BLOCK, self.frames - first)), np.float32)
            for layer, source in zip(self.layers, sources, strict=True):
                block = next(source, total[:, :0])[:, : total.shape[1]]
                total[:, : block.shape[1]] += block * self._gain(layer, first, block.shape[1])
            yield total

    def _gain(self, layer: Layer, first: int, frames: int) -> NDArray[np.float32]:
        gain = layer.curve.block(first, frames, self.rate) * np.float32(amplitude(layer.gain_db))
        fades, whole = layer.fades, self.frames / self.rate
        if first < fades.into * self.rate or first + frames > (whole - fades.out) * self.rate:
            # The middle of each sample, so that the first and the last are not lost.
            gain *= fades.gain_at((np.arange(first, first + frames) + 0.5) / self.rate, whole).astype(np.float32)
        return gain


def rechunked(pieces: Iterable[Samples], frames: int) -> Iterator[Samples]:
    """Pieces [channels, any] as blocks of exactly `frames`, the last one what is left; none is empty."""
    held: list[Samples] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += piece.shape[1]
        if size < frames:
            continue
        joined = np.concatenate(held, axis=1)
        for first in range(0, size - frames + 1, frames):
            yield joined[:, first : first + frames]
        held = [joined[:, size - size % frames :]]
        size %= frames
    if size:
        yield np.concatenate(held, axis=1)

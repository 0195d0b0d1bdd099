"""Stems on their way out: at the source's rate and exact length, and where it is asked for with what they leave of the source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from sottovoce.audio import RESIDUAL, AudioReader, Pieces, Samples, Stem, StemWriter
from sottovoce.dsp.resample import StreamResampler

#: What becomes of the source less all stems: nothing, a stem of its own, or an equal part in every stem.
Rest = Literal["drop", "residual", "spread"]
_BLOCK = 1 << 16


class Delivery:
    """Takes stems [stems, channels, frames] of `rate` Hz in pieces, and writes those wanted as long as the source is."""

    def __init__(
        self,
        source: AudioReader,
        sink: StemWriter,
        stems: Sequence[Stem],
        *,
        wanted: Sequence[Stem],
        rate: int,
        rest: Rest,
    ) -> None:
        self._sink, self._stems, self._wanted, self._rest = sink, tuple(stems), frozenset(wanted), rest
        self._shape = len(stems), source.channels
        self._resampler = StreamResampler(rate, source.rate, len(stems) * source.channels)
        self._left = source.frames
        self._mix = Pieces(source.blocks(_BLOCK), source.channels)

    def push(self, block: Samples) -> None:
        """The next piece of all stems."""
        self._write(self._resampler.push(block.reshape(self._shape[0] * self._shape[1], block.shape[-1])))

    def close(self) -> None:
        """The end of all stems."""
        self._write(self._resampler.flush())
        if self._left:
            self._write(np.zeros((self._shape[0] * self._shape[1], self._left), np.float32))

    def _write(self, flat: Samples) -> None:
        """Cut at the source's length: there and back again, resampling may gain a frame or lose one."""
        flat = flat[:, : self._left]
        if not flat.shape[1]:
            return
        self._left -= flat.shape[1]
        block = flat.reshape(*self._shape, -1)
        if self._rest != "drop":
            block = self._completed(block)
        for stem, part in zip(self._stems, block, strict=True):
            if stem in self._wanted:
                self._sink.write(stem, part)

    def _completed(self, block: Samples) -> Samples:
        rest = self._mix.take(block.shape[-1]) - block.sum(axis=0)
        if self._rest == "residual":
            self._sink.write(RESIDUAL, rest)
            return block
        return np.asarray(block + rest / np.float32(len(block)), np.float32)

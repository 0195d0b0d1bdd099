"""EnCodec's decoder, piece by piece: memory does not grow with the length, and a cancel is heard between pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

#: Frames of a piece (5 s), and how many on each side are decoded and dropped: more than its convolutions see.
_PIECE, _MARGIN = 250, 8


class Codec:
    """The decoder of a transformers EnCodec model; its encoder is given up."""

    def __init__(self, module: Any, device: str) -> None:
        module.encoder = None
        self._quantizer, self._decoder = module.quantizer.to(device), module.decoder.to(device)
        self._device = device
        self.rate = int(module.config.sampling_rate)
        self.hop = int(np.prod(module.config.upsampling_ratios))

    def decode(self, codes: Tensor, sides: int, done: Callable[[float], None]) -> NDArray[np.float32]:
        """Sound [sides, frames * hop] of codes [codebooks, frames], channels interleaved; `done` hears the share of it, and may raise."""
        channels = torch.stack([codes[side::sides] for side in range(sides)], dim=1).to(self._device)
        heard = self._recurrent(self._quantizer.decode(channels), done)
        pieces, frames = [], codes.shape[1]
        for start in range(0, frames, _PIECE):
            first, last = max(0, start - _MARGIN), min(frames, start + _PIECE + _MARGIN)
            sound = heard[..., first:last]
            for layer in self._decoder.layers[2:]:
                sound = layer(sound)
            wanted = slice((start - first) * self.hop, (min(start + _PIECE, frames) - first) * self.hop)
            pieces.append(sound[:, 0, wanted].float().cpu())
            done(min(1.0, 0.2 + 0.8 * (start + _PIECE) / frames))
        return np.asarray(torch.cat(pieces, dim=1).numpy(), np.float32)

    def _recurrent(self, embedded: Tensor, done: Callable[[float], None]) -> Tensor:
        """The first two layers, at the rate of the frames: a convolution, and an LSTM that goes on from piece to piece."""
        first, recurrent = self._decoder.layers[0], self._decoder.layers[1].lstm
        sound, state, parts = first(embedded).permute(2, 0, 1), None, []
        for start in range(0, len(sound), _PIECE):
            piece = sound[start : start + _PIECE]
            out, state = recurrent(piece, state)
            parts.append(out + piece)
            done(0.2 * min(1.0, (start + _PIECE) / len(sound)))
        return torch.cat(parts).permute(1, 2, 0)

"""The part of HTDemucs between the Fourier transform and its inverse, as a module of its own that can be compiled.

What it computes is `demucs.htdemucs.HTDemucs.forward` of demucs 4.1.0; that the parts put together are the whole is tested.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from demucs.htdemucs import HTDemucs
from einops import rearrange
from torch import Tensor, nn


class Prepared(NamedTuple):
    """A chunk as the core takes it: spectrum and waveform, each at mean 0 and deviation 1, and what they had before."""

    spectrum: Tensor
    waveform: Tensor
    spectrum_level: tuple[Tensor, Tensor]
    waveform_level: tuple[Tensor, Tensor]


class Core(nn.Module):
    """Encoders, transformer and decoders: spectrum [b, 4, bins, t] and waveform [b, 2, n] in, the same of all stems out."""

    def __init__(self, network: HTDemucs) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        """Stems one after the other: [b, stems * 4, bins, t] and [b, stems * 2, n]."""
        net = self.network
        skips, skips_t, lengths, lengths_t = [], [], [], []
        for index, encode in enumerate(net.encoder):
            lengths.append(x.shape[-1])
            inject = None
            if index < len(net.tencoder):
                lengths_t.append(xt.shape[-1])
                encode_t = net.tencoder[index]
                xt = encode_t(xt)
                if encode_t.empty:
                    inject = xt
                else:
                    skips_t.append(xt)
            x = encode(x, inject)
            if index == 0 and net.freq_emb is not None:
                rows = torch.arange(x.shape[-2], device=x.device)
                x = x + net.freq_emb_scale * net.freq_emb(rows).t()[None, :, :, None]
            skips.append(x)
        x, xt = self._attended(x, xt)
        first_t = net.depth - len(net.tdecoder)
        for index, decode in enumerate(net.decoder):
            x, before = decode(x, skips.pop(), lengths.pop())
            if index >= first_t:
                decode_t = net.tdecoder[index - first_t]
                skip_t = None if decode_t.empty else skips_t.pop()
                xt, _ = decode_t(before[:, :, 0] if decode_t.empty else xt, skip_t, lengths_t.pop())
        return x, xt

    def _attended(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        """Through the transformer, in its own number of channels."""
        net = self.network
        if not net.crosstransformer:
            return x, xt
        bins = x.shape[2]
        if net.bottom_channels:
            x = _over_flat(net.channel_upsampler, x, bins)
            xt = net.channel_upsampler_t(xt)
        x, xt = net.crosstransformer(x, xt)
        if net.bottom_channels:
            x = _over_flat(net.channel_downsampler, x, bins)
            xt = net.channel_downsampler_t(xt)
        return x, xt


def _over_flat(convolution: nn.Module, x: Tensor, bins: int) -> Tensor:
    flat: Tensor = rearrange(convolution(rearrange(x, "b c f t -> b c (f t)")), "b c (f t) -> b c f t", f=bins)
    return flat


def prepared(network: HTDemucs, mix: Tensor) -> Prepared:
    """What goes into the core of a mix [b, 2, n] as long as the network's segment."""
    spectrum, *spectrum_level = _levelled(network._magnitude(network._spec(mix)), (1, 2, 3))
    waveform, *waveform_level = _levelled(mix, (1, 2))
    return Prepared(spectrum, waveform, (spectrum_level[0], spectrum_level[1]), (waveform_level[0], waveform_level[1]))


def finished(network: HTDemucs, chunk: Prepared, x: Tensor, xt: Tensor) -> Tensor:
    """The stems [b, stems, 2, n] of what comes out of the core."""
    batch, stems, frames = len(x), len(network.sources), chunk.waveform.shape[-1]
    (mean, deviation), (mean_t, deviation_t) = chunk.spectrum_level, chunk.waveform_level
    x = x.view(batch, stems, -1, *chunk.spectrum.shape[2:]) * deviation[:, None] + mean[:, None]
    xt = xt.view(batch, stems, -1, frames) * deviation_t[:, None] + mean_t[:, None]
    spectral: Tensor = network._ispec(network._mask(x, x), frames)
    return xt + spectral


def _levelled(x: Tensor, dim: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    mean, deviation = x.mean(dim=dim, keepdim=True), x.std(dim=dim, keepdim=True)
    return (x - mean) / (1e-5 + deviation), mean, deviation

"""Short-time spectra: a transform that gives back the samples exactly, whole or block by block, and what is read off its magnitudes.

Frames are centred on multiples of the hop, with silence before and after the signal. Analysis and synthesis both use a periodic Hann
window; the sum of its squares is divided out (Griffin and Lim 1984), so any size that is a multiple of twice the hop reconstructs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from sottovoce.audio import Samples

#: complex64, shape [channels, bins, frames].
Spectra = NDArray[np.complex64]
Floats = NDArray[np.float32]

_AT_ONCE = 256
_TINY = 1e-12
#: MIDI pitch (E3) below which a note counts as bass.
_BASS_BELOW = 52


@dataclass(frozen=True, eq=False)
class Chroma:
    """Strength of the pitch classes from C upwards over time, float32 [12, frames] `hop` seconds apart, and the tuning in cents from A = 440 Hz.

    `classes` are of all notes, most of those around middle C; `bass` only of the low ones.
    """

    classes: Floats
    bass: Floats
    tuning: float
    hop: float


def stft(samples: Samples, size: int = 2048, hop: int = 512) -> Spectra:
    """Spectra of samples [channels, frames]: complex64 [channels, size / 2 + 1, ceil(frames / hop) + 1]."""
    stream = StreamStft(samples.shape[0], size, hop)
    return np.concatenate([stream.push(samples), stream.flush()], axis=2)


def istft(spectra: Spectra, length: int, size: int = 2048, hop: int = 512) -> Samples:
    """The samples of `stft`'s spectra, or of changed ones: float32 [channels, length]."""
    stream = StreamIstft(spectra.shape[0], size, hop)
    return np.concatenate([stream.push(spectra), stream.flush()], axis=1)[:, :length]


class StreamStft:
    """`stft` block by block: all spectra of all pushes and the flush together are those of the whole, whatever the blocks."""

    def __init__(self, channels: int, size: int = 2048, hop: int = 512) -> None:
        _check_sizes(size, hop)
        self._size, self._hop = size, hop
        self._pending = np.zeros((channels, size // 2), np.float32)
        self._seen = self._made = 0

    def push(self, block: Samples) -> Spectra:
        """The spectra that `block` completes; possibly none."""
        self._seen += block.shape[1]
        self._pending = np.concatenate([self._pending, block.astype(np.float32, copy=False)], axis=1)
        return self._advance(max(0, (self._pending.shape[1] - self._size) // self._hop + 1))

    def flush(self) -> Spectra:
        """The spectra that reach past the end."""
        left = -(-self._seen // self._hop) + 1 - self._made
        missing = (left - 1) * self._hop + self._size - self._pending.shape[1]
        self._pending = np.pad(self._pending, ((0, 0), (0, max(0, missing))))
        return self._advance(left)

    def _advance(self, count: int) -> Spectra:
        spectra = framed_spectra(self._pending[:, : (count - 1) * self._hop + self._size], self._size, self._hop)
        self._pending = self._pending[:, count * self._hop :]
        self._made += count
        return spectra


class StreamIstft:
    """`istft` block by block; `flush` gives what is left, which may reach up to one hop past the original end."""

    def __init__(self, channels: int, size: int = 2048, hop: int = 512) -> None:
        _check_sizes(size, hop)
        self._size, self._hop = size, hop
        self._window = hann(size)
        self._tail = np.zeros((channels, size - hop), np.float32)
        self._weight = np.zeros(size - hop, np.float32)
        self._lead = size // 2

    def push(self, spectra: Spectra) -> Samples:
        """The samples that no later spectrum will touch."""
        count = spectra.shape[2]
        total, weight = self._overlap_add(spectra), self._weights(count)
        ready = count * self._hop
        self._tail, self._weight = total[:, ready:], weight[ready:]
        return self._take(total[:, :ready], weight[:ready])

    def flush(self) -> Samples:
        """The samples still held back."""
        left = self._size // 2
        return self._take(self._tail[:, :left], self._weight[:left])

    def _overlap_add(self, spectra: Spectra) -> Samples:
        channels, _, count = spectra.shape
        steps = self._size // self._hop
        total = np.zeros((channels, count + steps - 1, self._hop), np.float32)
        total[:, : steps - 1] = self._tail.reshape(channels, steps - 1, self._hop)
        for start in range(0, count, _AT_ONCE):
            stop = min(count, start + _AT_ONCE)
            part = fft.irfft(spectra[:, :, start:stop].transpose(0, 2, 1), self._size, axis=2) * self._window
            part = part.reshape(channels, stop - start, steps, self._hop)
            for step in range(steps):
                total[:, start + step : stop + step] += part[:, :, step]
        return total.reshape(channels, -1)

    def _weights(self, count: int) -> Floats:
        steps = self._size // self._hop
        total = np.zeros((count + steps - 1, self._hop), np.float32)
        total[: steps - 1] = self._weight.reshape(steps - 1, self._hop)
        for step, part in enumerate((self._window**2).reshape(steps, self._hop)):
            total[step : step + count] += part
        return total.reshape(-1)

    def _take(self, total: Samples, weight: Floats) -> Samples:
        skip = min(self._lead, total.shape[1])
        self._lead -= skip
        return np.divide(total[:, skip:], np.maximum(weight[skip:], _TINY), dtype=np.float32)


def framed_spectra(samples: Samples, size: int, hop: int) -> Spectra:
    """Spectra of the frames that lie wholly within the samples, the first at their start, with nothing added around them."""
    count = max(0, (samples.shape[1] - size) // hop + 1)
    spectra = np.empty((samples.shape[0], count, size // 2 + 1), np.complex64)
    if count:
        frames = np.lib.stride_tricks.sliding_window_view(samples, size, axis=1)[:, ::hop]
        for start in range(0, count, _AT_ONCE):
            part = slice(start, min(count, start + _AT_ONCE))
            spectra[:, part] = fft.rfft(frames[:, part] * hann(size), axis=2)
    return spectra.transpose(0, 2, 1)


@lru_cache(maxsize=8)
def hann(size: int) -> Floats:
    """The periodic Hann window."""
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size), np.float32)


def frequencies(rate: int, size: int) -> NDArray[np.float64]:
    """The centre of each bin in Hz."""
    return np.arange(size // 2 + 1, dtype=np.float64) * (rate / size)


def size_for(rate: int, seconds: float) -> int:
    """The power of two nearest to `seconds` at `rate`, at least 16."""
    return max(16, 1 << round(math.log2(rate * seconds)))


@lru_cache(maxsize=16)
def mel_filters(rate: int, size: int, count: int = 60, low: float = 40.0, high: float = 16_000.0) -> Floats:
    """Triangles evenly spaced in mel (O'Shaughnessy 1987), peak 1: [count, bins]; those above half the rate are empty."""
    mel = np.linspace(np.log1p(low / 700), np.log1p(high / 700), count + 2)
    return _triangles(frequencies(rate, size), 700 * np.expm1(mel))


@lru_cache(maxsize=16)
def octave_filters(rate: int, size: int, per_octave: int = 1, low: float = 31.25, high: float = 16_000.0) -> Floats:
    """Rectangular bands of 1 / per_octave octave from the one centred on `low` to the one on `high`: [bands, bins]."""
    count = round(np.log2(high / low) * per_octave) + 1
    edges = low * 2.0 ** ((np.arange(count + 1) - 0.5) / per_octave)
    at = frequencies(rate, size)
    return ((at >= edges[:-1, None]) & (at < edges[1:, None])).astype(np.float32)


def band_levels(samples: Samples, filters: Floats, size: int, hop: int) -> Floats:
    """Power of the mean of all channels in each band over time: float32 [bands, frames]; memory grows only with the result."""
    mono = samples.mean(axis=0, keepdims=True, dtype=np.float32)
    parts: list[Floats] = [filters @ (np.abs(spectra[0]) ** 2) for spectra in _spectra_of(mono, size, hop)]
    return np.concatenate(parts, axis=1)


def onset_envelope(samples: Samples, rate: int) -> tuple[Floats, float]:
    """How much new sound each 10 ms bring, and the exact hop in seconds; value i belongs to i hops.

    Logarithmic mel flux against the frame 20 ms before, widened by one band so that vibrato is no onset (Böck and Widmer 2013).
    """
    hop = max(1, round(rate / 100))
    size = hop * 4
    levels = band_levels(samples, mel_filters(rate, size), size, hop)
    loud = np.log10(1 + 1000 * levels / max(float(levels.max(initial=0.0)), _TINY))
    past = ndimage.maximum_filter1d(loud, 3, axis=0)
    flux = np.maximum(0, loud[:, 2:] - past[:, :-2]).mean(axis=0)
    return np.pad(flux, (2, 0))[: loud.shape[1]].astype(np.float32), hop / rate


def chroma(samples: Samples, rate: int) -> Chroma:
    """The pitch classes of samples [channels, frames].

    Only spectral peaks count, each at its interpolated frequency, with the root of its magnitude, as far as it is in tune with the rest.
    """
    size = size_for(rate, 0.34)
    mono = samples.mean(axis=0, keepdims=True, dtype=np.float32)
    top = int(2200 * size / rate) + 2
    magnitudes = np.concatenate([np.abs(spectra[0, :top]) for spectra in _spectra_of(mono, size, size // 2)], axis=1)
    frame, pitch, weight = _peaks(magnitudes, rate / size)
    tuning = _tuning(pitch, weight)
    nearest = np.round(pitch - tuning).astype(int)
    weight *= np.exp(-0.5 * ((pitch - tuning - nearest) / 0.2) ** 2)
    classes, bass = np.zeros((2, 12, magnitudes.shape[1]))
    np.add.at(classes, (nearest % 12, frame), weight * _around_middle(pitch))
    low = nearest < _BASS_BELOW
    np.add.at(bass, (nearest[low] % 12, frame[low]), weight[low])
    return Chroma(classes.astype(np.float32), bass.astype(np.float32), 100 * tuning, size / 2 / rate)


def _peaks(magnitudes: Floats, spacing: float) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Frame, MIDI pitch and weight of every spectral peak between 55 and 2100 Hz that stands out of its surroundings."""
    level = np.log(magnitudes.astype(np.float64) + _TINY)
    below, here, above = level[:-2], level[1:-1], level[2:]
    rise = below - 2 * here + above
    shift = np.clip(0.5 * (below - above) / np.where(rise < -_TINY, rise, -1.0), -0.5, 0.5)
    hertz = (np.arange(1, len(magnitudes) - 1)[:, None] + shift) * spacing
    floor = ndimage.median_filter(magnitudes[1:-1], size=(41, 1))
    keep = (here > below) & (here >= above) & (hertz > 55) & (hertz < 2100) & (magnitudes[1:-1] > 3 * floor + 1e-6)
    pitch = 69 + 12 * np.log2(hertz[keep] / 440)
    return np.nonzero(keep)[1], pitch, np.sqrt(magnitudes[1:-1][keep]).astype(np.float64)


def _around_middle(pitch: NDArray[np.float64]) -> NDArray[np.float64]:
    """Most weight around middle C, little two octaves away."""
    return np.exp(-0.5 * ((pitch - 60) / 14) ** 2)


def _tuning(pitch: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    """How many semitones the peaks lie above the nearest notes of A = 440 Hz, on average (-0.5 to 0.5)."""
    if not len(pitch):
        return 0.0
    return float(np.angle((weight * _around_middle(pitch) * np.exp(2j * np.pi * pitch)).sum()) / (2 * np.pi))


def _spectra_of(samples: Samples, size: int, hop: int) -> Iterator[Spectra]:
    stream = StreamStft(samples.shape[0], size, hop)
    for start in range(0, samples.shape[1], 1 << 19):
        yield stream.push(samples[:, start : start + (1 << 19)])
    yield stream.flush()


def _triangles(at: NDArray[np.float64], edges: NDArray[np.float64]) -> Floats:
    up = (at - edges[:-2, None]) / np.diff(edges)[:-1, None]
    down = (edges[2:, None] - at) / np.diff(edges)[1:, None]
    return np.maximum(0, np.minimum(up, down)).astype(np.float32)


def _check_sizes(size: int, hop: int) -> None:
    if hop < 1 or size % (2 * hop):
        raise ValueError(f"the size must be a multiple of twice the hop, not {size} and {hop}")

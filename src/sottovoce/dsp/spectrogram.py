"""Spectrogram: how strong each pitch is over time, as rows and columns for a picture of the sound."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from sottovoce.dsp.spectrum import Spectra, StreamStft, frequencies, size_for

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

LOWEST, HIGHEST = 32.0, 16_000.0
#: Long windows tell low notes apart, short ones show when something is struck: seconds, and the pitches in Hz between them.
_WINDOWS = (0.34, 0.085, 0.021)
_BORDERS = (250.0, 2000.0)
#: Music falls off towards the treble; this much an octave is given back.
_TILT_DB = 1.5
#: What is so far below the loudest is not shown; the loudest thousandth is cut.
_RANGE_DB, _LOUDEST = 66.0, 99.9
_SILENCE = 1e-14


def spectrogram(blocks: Iterable[NDArray[np.float32]], rate: int, frames: int, *, width: int, height: int) -> Floats:
    """Levels from 0 to 1 (the loudest) of mono blocks with about `frames` samples in all: [height, width], the lowest pitch first.

    Memory does not grow with the length of the sound.
    """
    pitches = np.geomspace(LOWEST, max(2 * LOWEST, min(HIGHEST, rate / 2)), height)
    layers = [
        (_Layer(rate, frames / width, width, seconds=seconds, pitches=pitches[share > 0]), share)
        for seconds, share in zip(_WINDOWS, _shares(pitches), strict=True)
        if share.any()
    ]
    for block in blocks:
        for layer, _ in layers:
            layer.push(block)
    power = np.zeros((height, width))
    for layer, share in layers:
        power[share > 0] += share[share > 0, None] * layer.power()
    return _levels(power, pitches)


def _shares(pitches: Doubles) -> Doubles:
    """How much of each pitch each window shows: [windows, pitches]; around a border they give way to one another over an octave."""
    later = [np.clip(0.5 + np.log2(pitches / border), 0, 1) for border in _BORDERS]
    begun = np.stack([np.ones(len(pitches)), *later])
    return np.asarray(begun * (1 - np.stack([*later, np.zeros(len(pitches))])))


def _levels(power: Doubles, pitches: Doubles) -> Floats:
    tilt = _TILT_DB * np.log2(pitches / LOWEST)
    decibels = 10 * np.log10(power + _SILENCE)
    if decibels.max() < 10 * np.log10(2 * _SILENCE):
        return np.zeros(power.shape, np.float32)
    decibels += tilt[:, None]
    return np.asarray(np.clip(1 + (decibels - np.percentile(decibels, _LOUDEST)) / _RANGE_DB, 0, 1), np.float32)


class _Layer:
    """The mean power of some pitches in each column, as windows of one length show it."""

    def __init__(self, rate: int, column: float, width: int, *, seconds: float, pitches: Doubles) -> None:
        size = size_for(rate, seconds)
        # At least one spectrum a column, as far as neighbouring ones still differ.
        self._hop = min(size // 2, max(size // 16, 1 << max(0, int(column).bit_length() - 1)))
        self._column = column
        self._stream = StreamStft(1, size, self._hop)
        filters = _filters(frequencies(rate, size), pitches) * np.float32((4 / size) ** 2)
        used = np.flatnonzero(filters.any(axis=0))
        self._bins = slice(int(used.min(initial=0)), int(used.max(initial=0)) + 1)
        self._filters = filters[:, self._bins]
        self._sums = np.zeros((len(pitches), width))
        self._counts = np.zeros(width)
        self._seen = 0

    def push(self, block: NDArray[np.float32]) -> None:
        """Take the next samples."""
        self._take(self._stream.push(block[None]))

    def power(self) -> Doubles:
        """The power of each pitch in each column, 1 for a tone of full scale; a column between two spectra is like the one before."""
        self._take(self._stream.flush())
        filled = np.maximum.accumulate(np.where(self._counts > 0, np.arange(len(self._counts)), 0))
        return (self._sums / np.maximum(self._counts, 1))[:, filled]

    def _take(self, spectra: Spectra) -> None:
        count = spectra.shape[2]
        if not count:
            return
        at = (self._seen + np.arange(count)) * self._hop / self._column
        columns = np.minimum(at.astype(int), len(self._counts) - 1)
        self._seen += count
        first = np.flatnonzero(np.diff(columns, prepend=-1))
        heard = spectra[0, self._bins]
        power = np.add.reduceat(heard.real**2 + heard.imag**2, first, axis=1)
        self._sums[:, columns[first]] += self._filters @ power
        self._counts += np.bincount(columns, minlength=len(self._counts))


def _filters(bins: Doubles, pitches: Doubles) -> Floats:
    """Triangles around pitches, as wide as the pitches or the bins lie apart, whichever is more: [pitches, bins], each of sum 1."""
    apart = np.maximum(np.gradient(pitches) if len(pitches) > 1 else 0.0, bins[1])
    triangles = np.maximum(0, 1 - np.abs(bins - pitches[:, None]) / np.reshape(apart, (-1, 1)))
    return np.asarray(triangles / np.maximum(triangles.sum(axis=1, keepdims=True), _SILENCE), np.float32)

"""Soft masks for splitting a sound without a model: shares between 0 and 1 of every bin and frame, which together make the whole.

Magnitudes are float32 [bins, frames].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sottovoce.dsp.spectrum import Floats, Spectra

_TINY = 1e-12
_AT_ONCE = 64


def harmonic_percussive(
    magnitudes: Floats, *, along_time: int = 17, along_frequency: int = 31, low_bins: int = 0, power: float = 2.0
) -> tuple[Floats, Floats]:
    """Shares of what lasts and of what is struck, by medians along time and along frequency (Fitzgerald 2010); they sum to one.

    The lengths of the medians are odd numbers of frames and bins; a higher power decides more sharply. In the lowest `low_bins` bins
    whatever is louder than its median in time is struck: a kick drum is as narrow as a bass note there, but shorter.
    """
    lasting = _median(magnitudes, along_time) ** power
    struck = _median(magnitudes.T, along_frequency).T
    struck[:low_bins] = magnitudes[:low_bins]
    harmonic = np.asarray((lasting + _TINY) / (lasting + struck**power + 2 * _TINY), np.float32)
    return harmonic, 1 - harmonic


def centre(left: Spectra, right: Spectra, *, sharpness: float = 4.0) -> Floats:
    """Share of what both channels have alike in level and phase: 1 for a sound in the middle, 0 for one at a side or out of phase."""
    together = 2 * (left.real * right.real + left.imag * right.imag)
    energy = left.real**2 + left.imag**2 + right.real**2 + right.imag**2
    return np.asarray(np.clip((together + _TINY) / (energy + _TINY), 0, 1) ** sharpness, np.float32)


def repeating(magnitudes: Floats, first: int, count: int, *, alike: int = 20, apart: int = 9) -> Floats:
    """What keeps coming back, never more than is there: magnitudes [bins, count] of the frames from `first` on.

    Each bin is the median over the `alike` frames of the whole window most similar to the frame, taken at least `apart` frames from
    one another as far as there are enough (REPET-SIM: Rafii and Pardo 2012).
    """
    frames = np.ascontiguousarray(magnitudes.T)
    unit = frames / (np.linalg.norm(frames, axis=1, keepdims=True) + _TINY)
    similar = unit[first : first + count] @ unit.T
    peaks = ndimage.maximum_filter1d(similar, 2 * apart + 1, axis=1) == similar
    similar[peaks] += 2
    most = min(alike, len(frames))
    nearest = np.argpartition(-similar, most - 1, axis=1)[:, :most]
    parts = [np.median(frames[nearest[at : at + _AT_ONCE]], axis=1) for at in range(0, count, _AT_ONCE)]
    return np.minimum(np.concatenate(parts).T, magnitudes[:, first : first + count])


def repet_sim(
    magnitudes: Floats, first: int, count: int, *, alike: int = 20, apart: int = 9, power: float = 1.5
) -> tuple[Floats, Floats]:
    """Shares of the repeating background and of the foreground in the frames from `first` on; they sum to one."""
    back = repeating(magnitudes, first, count, alike=alike, apart=apart)
    front = (magnitudes[:, first : first + count] - back) ** power
    foreground = np.asarray(front / (front + back**power + _TINY), np.float32)
    return 1 - foreground, foreground


def low_band(hertz: NDArray[np.floating], edge: float, *, octaves: float = 0.5) -> Floats:
    """Share of each bin below `edge` Hz: float32 [bins], half at the edge, from 1 to 0 over so many octaves."""
    above = np.log2(np.maximum(hertz, _TINY) / edge) / octaves
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * np.clip(above + 0.5, 0, 1)), np.float32)


def _median(values: Floats, length: int) -> Floats:
    """Median along the last axis, edges repeated; one long row, because that is the fast case."""
    half = length // 2
    padded = np.pad(values, ((0, 0), (half, half)), mode="edge")
    smooth: Floats = ndimage.median_filter(padded.ravel(), length).reshape(padded.shape)
    return smooth[:, half : half + values.shape[1]]

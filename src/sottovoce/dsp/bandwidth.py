"""How far up a sound reaches, read off its mean power spectrum [bins], evenly spaced from 0 Hz to half the rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sottovoce.dsp.levels import power_decibels

#: What lies this far below the whole, in each 47 Hz, is taken for rounding or for the skirt of a codec's low pass.
_EDGE_DB, _WIDTH = -95.0, 47.0
_SMOOTH = 9


def upper_edge(power: NDArray[np.float64], rate: int) -> float:
    """The highest frequency in Hz at which there is still sound; 0 for silence."""
    total = float(power.sum())
    if total <= 0:
        return 0.0
    spacing = rate / 2 / (len(power) - 1)
    smooth = ndimage.uniform_filter1d(power, _SMOOTH, mode="nearest") * (_WIDTH / spacing)
    heard = np.flatnonzero(smooth > total * 10 ** (_EDGE_DB / 10))
    return float(heard[-1] * spacing)


def share_above_db(power: NDArray[np.float64], rate: int, hertz: float) -> float | None:
    """Power above a frequency against the whole, in dB; None for silence or where there is none."""
    first = int(np.ceil(hertz / (rate / 2) * (len(power) - 1)))
    above, total = float(power[first:].sum()), float(power.sum())
    return power_decibels(above / total) if above > 0 else None

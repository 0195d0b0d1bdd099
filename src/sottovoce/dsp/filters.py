"""Second-order filters: designs as `sos` rows (scipy's b0 b1 b2 a0 a1 a2), and how to run them over float32 samples.

The designs are Robert Bristow-Johnson's "Audio EQ Cookbook" (W3C note, 2021).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from sottovoce.audio import Samples
from sottovoce.errors import InvalidParameter

#: Cascaded second-order sections, float64 [sections, 6].
Sections = NDArray[np.float64]

#: Q of a second-order Butterworth filter.
BUTTERWORTH = math.sqrt(0.5)

_BLOCK = 1 << 16


def low_pass(hertz: float, rate: int, *, q: float = BUTTERWORTH) -> Sections:
    """12 dB an octave above `hertz`."""
    cos, alpha = _angle(hertz, rate, q)
    return _section((1 - cos) / 2, 1 - cos, (1 - cos) / 2, 1 + alpha, -2 * cos, 1 - alpha)


def high_pass(hertz: float, rate: int, *, q: float = BUTTERWORTH) -> Sections:
    """12 dB an octave below `hertz`."""
    cos, alpha = _angle(hertz, rate, q)
    return _section((1 + cos) / 2, -1 - cos, (1 + cos) / 2, 1 + alpha, -2 * cos, 1 - alpha)


def peak(hertz: float, rate: int, gain_db: float, *, q: float = 1.0) -> Sections:
    """A bell of `gain_db` around `hertz`."""
    cos, alpha = _angle(hertz, rate, q)
    a = _root(gain_db)
    return _section(1 + alpha * a, -2 * cos, 1 - alpha * a, 1 + alpha / a, -2 * cos, 1 - alpha / a)


def high_shelf(hertz: float, rate: int, gain_db: float, *, q: float = BUTTERWORTH) -> Sections:
    """`gain_db` well above `hertz`, half of it there, none below."""
    cos, alpha = _angle(hertz, rate, q)
    a, slope = _root(gain_db), 2 * math.sqrt(_root(gain_db)) * alpha
    up, down = a + 1, a - 1
    return _section(
        a * (up + down * cos + slope),
        -2 * a * (down + up * cos),
        a * (up + down * cos - slope),
        up - down * cos + slope,
        2 * (down - up * cos),
        up - down * cos - slope,
    )


def tilt(rate: int, db_per_octave: float, *, pivot: float = 630.0) -> Sections:
    """A slope of `db_per_octave` around `pivot` Hz between 60 Hz and 8 kHz, within 0.5 dB; level beyond.

    One gentle shelf an octave: their sum is a straight line.
    """
    centres = [pivot * 2.0**octave for octave in range(-4, 5) if pivot * 2.0**octave < 0.45 * rate]
    shelves = [high_shelf(centre, rate, db_per_octave, q=0.6) for centre in centres]
    cascade = np.concatenate(shelves)
    cascade[0, :3] /= abs(response(cascade, pivot, rate))
    return cascade


def response(sections: Sections, hertz: float, rate: int) -> complex:
    """The complex gain of a cascade at one frequency."""
    z = np.exp(-2j * np.pi * hertz / rate * np.arange(3))
    return complex(np.prod((sections[:, :3] @ z) / (sections[:, 3:] @ z)))


def apply(sections: Sections, samples: Samples) -> Samples:
    """Filtered samples, float32 [channels, frames]; computed in float64, from rest, with memory for a block only."""
    stream = StreamFilter(sections, samples.shape[0])
    out = np.empty(samples.shape, np.float32)
    for start in range(0, samples.shape[1], _BLOCK):
        out[:, start : start + _BLOCK] = stream.push(samples[:, start : start + _BLOCK])
    return out


class StreamFilter:
    """A cascade that keeps its state between blocks of [channels, frames]."""

    def __init__(self, sections: Sections, channels: int) -> None:
        self._sections = np.ascontiguousarray(sections, np.float64)
        self._state = np.zeros((len(sections), channels, 2))

    def push(self, block: Samples) -> NDArray[np.float64]:
        """The block filtered, in float64."""
        if block.shape[1] == 0:
            return block.astype(np.float64)
        made, self._state = signal.sosfilt(self._sections, block, axis=-1, zi=self._state)
        return np.asarray(made, np.float64)


def _angle(hertz: float, rate: int, q: float) -> tuple[float, float]:
    """The cosine of the frequency's angle and the cookbook's alpha."""
    if not 0 < hertz < rate / 2:
        raise InvalidParameter(
            f"a filter at {hertz:g} Hz is impossible at {rate} Hz; give more than 0 and less than {rate / 2:g}"
        )
    if q <= 0:
        raise InvalidParameter(f"a filter's q must be positive, not {q:g}")
    angle = 2 * math.pi * hertz / rate
    return math.cos(angle), math.sin(angle) / (2 * q)


def _root(gain_db: float) -> float:
    """The cookbook's A: the square root of the gain."""
    return math.pow(10, gain_db / 40)


def _section(b0: float, b1: float, b2: float, a0: float, a1: float, a2: float) -> Sections:
    return np.array([[b0 / a0, b1 / a0, b2 / a0, 1.0, a1 / a0, a2 / a0]])

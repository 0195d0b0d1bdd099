"""Joins: one piece of music going over into another on a beat, and how well that goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from sottovoce.audio import Samples
from sottovoce.dsp.crossfade import equal_power, zero_crossing
from sottovoce.dsp.spectrum import band_levels, chroma, mel_filters, onset_envelope, size_for
from sottovoce.dsp.tempo import tempo

#: So many seconds on each side of a join are compared, and so many are searched for beats.
_COMPARED, _SEARCHED = 3.0, 12.0
#: A tempo is believed from this confidence on.
_SURE = 0.2
#: A crossfade lasts a beat, within these seconds.
_SHORTEST, _LONGEST = 0.2, 1.0
#: A join moves by so many seconds at most to where the wave passes zero.
_SNAP = 0.004
_COEFFICIENTS = 13
_TINY = 1e-12


@dataclass(frozen=True)
class Join:
    """How well music goes on at a join: likeness of timbre and of harmony (-1 to 1), step in energy (1: none), and jolt.

    `jolt` is the strength of the onset at the join against the strongest beside it.
    """

    timbre: float
    harmony: float
    energy: float
    jolt: float

    @property
    def good(self) -> bool:
        """Whether nobody stumbles over it."""
        return self.timbre > 0.7 and self.harmony > 0.5 and self.energy < 2.0 and self.jolt < 1.5

    @property
    def score(self) -> float:
        """The higher the better, to choose among joins."""
        return self.timbre + self.harmony - float(np.log2(self.energy)) - max(0.0, self.jolt - 1.0)


@dataclass(frozen=True)
class Seam:
    """Where music `b` goes in: its frame `into` meets the frame `at` of what comes before, over `frames` of crossfade."""

    at: int
    into: int
    frames: int

    @property
    def start(self) -> int:
        """The frame of the music before at which `b` would begin."""
        return self.at - self.into


def seam(a: Samples, b: Samples, rate: int, *, start: int, overlap: int) -> Seam:
    """Where `b` [channels, n] joins `a` on a beat of both, so that `b` begins as near to frame `start` of `a` as its beats allow.

    They overlap by about `overlap` frames; without a clear beat in both, the middle of that is the place, with a longer crossfade.
    """
    middle = start + overlap // 2
    left, right = _beats(a, rate, middle), _beats(b, rate, overlap // 2)
    if not (len(left) and len(right)):
        return Seam(middle, middle - start, min(overlap, round(2 * rate)))
    shifts = np.abs(left[:, None] - right[None, :] - start) + 0.1 * np.abs(left[:, None] - middle)
    one, other = np.unravel_index(int(shifts.argmin()), shifts.shape)
    width = round(min(_LONGEST, max(_SHORTEST, _period(left) / rate)) * rate)
    reach = round(_SNAP * rate)
    at, into = zero_crossing(a, int(left[one]), reach), zero_crossing(b, int(right[other]), reach)
    return Seam(at, into, min(width, 2 * (a.shape[1] - at), 2 * into))


def joined(a: Samples, b: Samples, where: Seam) -> Samples:
    """`a` going over into `b` with equal power, the crossfade centred on the seam."""
    half = where.frames // 2
    return equal_power(a[:, : where.at + half], b[:, where.into - half :], 2 * half)


def judged(samples: Samples, rate: int, at: int) -> Join:
    """How well music goes on at a frame, by the seconds before and after it."""
    width = round(_COMPARED * rate)
    before, after = samples[:, max(0, at - width) : at], samples[:, at : at + width]
    return Join(
        timbre=_likeness(_timbre(before, rate), _timbre(after, rate)),
        harmony=_likeness(_pitches(before, rate), _pitches(after, rate)),
        energy=_step(before, after),
        jolt=_jolt(samples[:, max(0, at - width) : at + width], rate, min(at, width)),
    )


def _beats(samples: Samples, rate: int, near: int) -> NDArray[np.int64]:
    """Frames of the beats around a frame; none if there is no clear pulse."""
    half = round(_SEARCHED * rate / 2)
    first = max(0, near - half)
    found = tempo(samples[:, first : near + half], rate)
    if found.confidence < _SURE:
        return np.zeros(0, np.int64)
    beats = first + np.round(np.array(found.beats) * rate).astype(np.int64)
    margin = round(_SHORTEST * rate)
    within = (np.abs(beats - near) <= half // 3) & (beats > margin) & (beats < samples.shape[1] - margin)
    kept: NDArray[np.int64] = beats[within]
    return kept


def _period(beats: NDArray[np.int64]) -> float:
    return float(np.median(np.diff(beats))) if len(beats) > 1 else 0.0


def _timbre(samples: Samples, rate: int) -> NDArray[np.float64]:
    """The mean mel cepstrum without its level (Davis and Mermelstein 1980)."""
    size = size_for(rate, 0.05)
    levels = np.log(band_levels(samples, mel_filters(rate, size), size, size // 2).astype(np.float64) + _TINY)
    cepstrum: NDArray[np.float64] = fft.dct(levels, axis=0, norm="ortho")[1:_COEFFICIENTS].mean(axis=1)
    return cepstrum


def _pitches(samples: Samples, rate: int) -> NDArray[np.float64]:
    return np.asarray(chroma(samples, rate).classes.sum(axis=1), np.float64)


def _likeness(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    both = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / both if both > 0 else 0.0


def _step(before: Samples, after: Samples) -> float:
    powers: Sequence[float] = [float(np.mean(np.square(part), dtype=np.float64)) + _TINY for part in (before, after)]
    return float(np.sqrt(max(powers) / min(powers)))


def _jolt(samples: Samples, rate: int, at: int) -> float:
    envelope, hop = onset_envelope(samples, rate)
    here = round(at / rate / hop)
    near = envelope[max(0, here - 5) : here + 6].max(initial=0.0)
    rest = np.concatenate([envelope[: max(0, here - 10)], envelope[here + 11 :]])
    return float(near / max(float(rest.max(initial=0.0)), _TINY)) if near > 0 else 0.0

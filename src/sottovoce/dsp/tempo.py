"""Tempo and beats: the autocorrelation of the onset envelope proposes, dynamic programming places the beats, a line through them refines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from sottovoce.audio import Samples
from sottovoce.dsp.spectrum import onset_envelope

Doubles = NDArray[np.float64]

SLOWEST, FASTEST = 45.0, 210.0
#: The tempo people tap most readily, and how far around it (octaves) they still do (after Parncutt 1994).
_TAPPED, _SPREAD = 105.0, 0.75
#: Weight of the likeness after so many beats.
_MULTIPLES = {0.5: 0.3, 1: 1.0, 2: 0.7, 4: 0.6}
_TIGHTNESS = 100.0


@dataclass(frozen=True)
class Tempo:
    """The tempo in beats per minute (0 where there is no pulse), how sure it is (0-1), and where the beats are in seconds.

    `downbeat` is the index of the beat that most likely begins the first whole bar of four.
    """

    bpm: float
    confidence: float
    beats: tuple[float, ...] = ()
    downbeat: int = 0


def tempo(samples: Samples, rate: int) -> Tempo:
    """The steady tempo of samples [channels, frames] between 45 and 210 bpm; of twice or half a tempo, the one more readily tapped."""
    envelope, hop = onset_envelope(samples, rate)
    pulse = _without_drift(envelope, hop)
    if len(pulse) * hop < 2 or not pulse.any():
        return Tempo(0.0, 0.0)
    likeness = autocorrelation(pulse)
    rough, clarity = _proposed(likeness, hop)
    bpm = _refined(likeness, hop, rough)
    beats = _beats(pulse, 60 / bpm / hop)
    bpm, steadiness = _straightened(beats * hop, bpm)
    return Tempo(
        bpm=bpm,
        confidence=float(np.clip(clarity, 0, 1) * steadiness),
        beats=tuple(np.round(beats * hop, 4).tolist()),
        downbeat=_downbeat(pulse, beats),
    )


def autocorrelation(values: NDArray[np.floating]) -> Doubles:
    """Likeness of a curve to itself at every lag, 1 at lag 0, corrected for the shorter overlap of long lags (up to fourfold)."""
    count = len(values)
    spread = fft.rfft(values.astype(np.float64), fft.next_fast_len(2 * count, real=True))
    likeness: Doubles = fft.irfft(np.abs(spread) ** 2)[:count]
    if likeness[0] <= 0:
        return np.zeros(count)
    overlap = np.maximum(count - np.arange(count), count / 4)
    likeness *= count / (overlap * likeness[0])
    return likeness


def octave_error(found: float, asked: float) -> float:
    """How far `found` bpm is from `asked`, as a share, with half, double and quadruple tempos taken as the same."""
    if found <= 0:
        return 1.0
    return min(abs(found * factor / asked - 1) for factor in (0.25, 0.5, 1, 2, 4))


def _without_drift(envelope: NDArray[np.float32], hop: float) -> Doubles:
    return (envelope - ndimage.uniform_filter1d(envelope, max(1, round(1 / hop)))).astype(np.float64)


def _at(likeness: Doubles, lags: Doubles) -> Doubles:
    """Likeness at fractional lags; nothing beyond the last."""
    return np.interp(lags, np.arange(len(likeness)), likeness, right=0.0)


def _proposed(likeness: Doubles, hop: float) -> tuple[float, float]:
    """The best tempo on a grid of 0.5 %, and the most likeness after one, two or four of its beats."""
    bpm = SLOWEST * 1.005 ** np.arange(np.log(FASTEST / SLOWEST) / np.log(1.005))
    lags = 60 / bpm / hop
    score = sum(weight * _at(likeness, lags * beats) for beats, weight in _MULTIPLES.items())
    taste = np.exp(-0.5 * (np.log2(bpm / _TAPPED) / _SPREAD) ** 2)
    best = int(np.argmax(score * taste))
    return float(bpm[best]), float(_at(likeness, lags[best] * np.array([1.0, 2, 4])).max())


def _refined(likeness: Doubles, hop: float, bpm: float) -> float:
    """The tempo within 2 % whose multiples up to 16 beats are most alike: the longer the lag, the finer."""
    near = bpm * np.linspace(0.98, 1.02, 401)
    lags = 60 / near / hop
    return float(near[np.argmax(sum(_at(likeness, lags * beats) for beats in (1, 2, 4, 8, 16)))])


def _beats(pulse: Doubles, period: float) -> Doubles:
    """Beat positions in hops (fractional) that lie on onsets at even distances (Ellis 2007)."""
    sharp = ndimage.gaussian_filter1d(pulse / (pulse.std() + 1e-12), max(1.0, period / 32))
    score, before = _chained(sharp, period)
    tail = max(1, round(period))
    at = len(sharp) - tail + int(np.argmax(score[-tail:]))
    chain = [at]
    while before[chain[-1]] >= 0:
        chain.append(int(before[chain[-1]]))
    return _between_hops(sharp, np.array(chain[::-1]))


def _chained(sharp: Doubles, period: float) -> tuple[Doubles, NDArray[np.intp]]:
    """Best score of a chain of beats ending at each hop, and the beat before it (-1: none)."""
    gaps = np.arange(round(period / 2), round(period * 2) + 1)
    cost = -_TIGHTNESS * np.log(gaps / period) ** 2
    score, before = sharp.copy(), np.full(len(sharp), -1, np.intp)
    for now in range(int(gaps[0]), len(sharp)):
        reach = min(len(gaps), now - int(gaps[0]) + 1)
        chances = score[now - gaps[:reach]] + cost[:reach]
        best = int(np.argmax(chances))
        if chances[best] > 0:
            score[now] += chances[best]
            before[now] = now - gaps[best]
    return score, before


def _between_hops(sharp: Doubles, beats: NDArray[np.intp]) -> Doubles:
    """Each beat moved to the top of the parabola through its neighbours."""
    inner = np.clip(beats, 1, len(sharp) - 2)
    left, top, right = sharp[inner - 1], sharp[inner], sharp[inner + 1]
    bend = left - 2 * top + right
    shift = np.where(bend < -1e-9, 0.5 * (left - right) / np.where(bend < -1e-9, bend, 1.0), 0.0)
    moved: Doubles = inner + np.clip(shift, -0.5, 0.5)
    return moved


def _straightened(beats: Doubles, bpm: float) -> tuple[float, float]:
    """The tempo of the line through the beats where they are even, and how even they are (0-1)."""
    if len(beats) < 4:
        return bpm, 0.5
    number = np.concatenate([[0], np.cumsum(np.round(np.diff(beats) * bpm / 60))])
    for _ in range(3):
        slope, start = np.polyfit(number, beats, 1)
        off = np.abs(beats - start - slope * number)
        keep = off <= max(0.01, 2 * float(np.median(off)))
        if keep.sum() < 4:
            break
        number, beats = number[keep], beats[keep]
    spread = float(np.median(off)) * bpm / 60
    even = float(np.exp(-((spread / 0.1) ** 2)))
    found = 60 / slope
    return (float(found), even) if abs(found / bpm - 1) < 0.015 else (bpm, even)


def _downbeat(pulse: Doubles, beats: Doubles) -> int:
    """Which of the first four beats has the strongest onsets on every fourth from it."""
    strength = pulse[np.clip(np.round(beats).astype(int), 0, len(pulse) - 1)]
    return int(np.argmax([strength[start::4].mean() if len(strength[start::4]) else -np.inf for start in range(4)]))

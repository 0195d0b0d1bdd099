"""Where music can jump back without stumbling: pairs of beats before and after which it sounds alike.

Each beat is described by the strength of its semitones and octaves. A jump is good where the beats around its end
resemble those around its start, one by one; J. Foote's self-similarity (ACM Multimedia 1999), summed along a diagonal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from sottovoce.audio import Samples
from sottovoce.dsp.spectrum import band_levels, octave_filters, size_for

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

#: Beats on each side of a jump that are compared.
_CONTEXT = 4
_LEAST_SECONDS = 2.0
#: What a bar's multiple of beats is worth, what a decibel of step costs, and what a loop as long as the whole gains.
_WHOLE_BARS, _STEP, _LENGTH = 0.1, 0.03, 0.1
#: A grid is steady if its beats lie this close to it (s); beats may be moved to match by so much on and off such a grid.
_STEADY, _NEAR, _FAR = 0.015, 0.006, 0.03
#: The jump goes to just before the beat, so that the attack is whole.
_BEFORE_BEAT = 0.015
_MOST = 400
_TINY = 1e-9


@dataclass(frozen=True)
class LoopPoint:
    """At frame `end` the music may go on from frame `start`; `score` (about -1 to 1.2) says how naturally."""

    start: int
    end: int
    score: float


def loop_points(samples: Samples, rate: int, beats: Sequence[float], *, margin: float) -> list[LoopPoint]:
    """Jumps between beats (seconds) of samples [channels, frames], the best first, before their start is matched.

    Both ends keep `margin` seconds away from the ends of the music. Fewer than two contexts of beats give none.
    """
    if len(beats) < 2 * _CONTEXT:
        return []
    at = np.array(beats) - _BEFORE_BEAT
    scores = _scores(*_described(samples, rate, np.array(beats)))
    first, last = np.nonzero(np.isfinite(scores))
    length = at[last] - at[first]
    fits = (length >= _LEAST_SECONDS) & (at[first] >= margin) & (at[last] <= samples.shape[1] / rate)
    first, last = first[fits], last[fits]
    best = np.argsort(-scores[first, last], kind="stable")[:_MOST]
    starts, ends = np.round(at * rate).astype(int)[first[best]], np.round(at * rate).astype(int)[last[best]]
    return [
        LoopPoint(int(a), int(b), float(s)) for a, b, s in zip(starts, ends, scores[first, last][best], strict=True)
    ]


def matched(point: LoopPoint, samples: Samples, rate: int, beats: Sequence[float]) -> LoopPoint:
    """The same jump with its start moved by a few milliseconds so that beats and waves go on in step."""
    period, steady = _grid(np.array(beats))
    start, reach = point.start, _FAR
    if steady:
        count = round((point.end - point.start) / rate / period)
        start, reach = point.end - round(count * period * rate), _NEAR
    mono = samples.mean(axis=0, dtype=np.float32)
    start += _attack_lag(mono, start, point.end, rate, reach)
    start += _wave_lag(mono, start, point.end, rate)
    return LoopPoint(max(0, start), point.end, point.score)


def _described(samples: Samples, rate: int, beats: Doubles) -> tuple[Floats, Doubles]:
    """Each beat as a unit vector [beats, features], and its level in dB [beats]."""
    size = size_for(rate, 0.17)
    hop = size // 4
    pitches = octave_filters(rate, size, 12, low=110.0, high=3520.0)
    filters = np.concatenate([pitches, octave_filters(rate, size, 1, low=62.5)])
    levels = band_levels(samples, filters, size, hop)
    loud = np.log10(1 + 1000 * levels / (levels.max() + _TINY))
    edges = np.append(beats, 2 * beats[-1] - beats[-2])
    cuts = np.clip(np.round(edges * rate / hop).astype(int), 0, levels.shape[1] - 1)
    spans = [slice(first, max(stop, first + 1)) for first, stop in pairwise(cuts)]
    means = np.array([loud[:, span].mean(axis=1) for span in spans])
    power = np.array([levels[len(pitches) :, span].sum(axis=0).mean() for span in spans])
    means -= means.mean(axis=0)
    return means / (np.linalg.norm(means, axis=1, keepdims=True) + _TINY), 10 * np.log10(power + 1e-12)


def _scores(features: Floats, levels: Doubles) -> Doubles:
    """How well beat `last` could be replaced by beat `first`: [first, last], -inf where not first < last."""
    count = len(features)
    alike = (features @ features.T).astype(np.float64)
    scores = np.full((count, count), -np.inf)
    window = np.ones(2 * _CONTEXT) / (2 * _CONTEXT)
    for lag in range(1, count):
        along = np.diagonal(alike, lag)
        if len(along) < 2 * _CONTEXT:
            break
        mean = np.convolve(along, window, "valid")
        first = np.arange(len(mean)) + _CONTEXT
        step = np.abs(levels[first] - levels[first + lag])
        worth = _LENGTH * lag / count + (_WHOLE_BARS if lag % 4 == 0 else 0.0)
        scores[first, first + lag] = mean + worth - _STEP * step
    return scores


def _grid(beats: Doubles) -> tuple[float, bool]:
    """Seconds from beat to beat, and whether all beats keep to it."""
    number = np.arange(len(beats))
    slope, start = np.polyfit(number, beats, 1)
    return float(slope), bool(np.abs(beats - start - slope * number).max() < 2 * _STEADY)


def _attack_lag(mono: Floats, start: int, end: int, rate: int, reach: float) -> int:
    """By how many frames, at most `reach` seconds, the start has to move for its attacks to fall on those of the end."""
    step = max(1, rate // 1000)
    most = round(reach * rate / step)
    half = round(0.4 * rate / step)
    if start - (half + most) * step < 0 or end + half * step > len(mono):
        return 0
    here = _attacks(mono[end - half * step : end + half * step], step)
    there = _attacks(mono[start - (half + most) * step : start + (half + most) * step], step)
    likeness = signal.correlate(there, here, "valid")
    return (int(likeness.argmax()) - most) * step if likeness.max() > 0 else 0


def _attacks(mono: Floats, step: int) -> Floats:
    """Rises of the envelope, one value each `step` frames."""
    whole = len(mono) // step * step
    envelope = np.sqrt(np.square(mono[:whole]).reshape(-1, step).mean(axis=1))
    rises: Floats = np.maximum(np.float32(0), np.diff(envelope, prepend=envelope[:1]))
    return rises


def _wave_lag(mono: Floats, start: int, end: int, rate: int) -> int:
    """By how many frames, at most 1.5 ms, the start has to move for the waves before it to match those before the end."""
    most, length = round(0.0015 * rate), round(0.1 * rate)
    if start - length - most < 0 or end < length or start + most > len(mono):
        return 0
    here, there = mono[end - length : end], mono[start - length - most : start + most]
    likeness = signal.correlate(there, here, "valid", method="fft")
    return int(likeness.argmax()) - most if likeness.max() > 0 else 0

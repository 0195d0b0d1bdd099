"""Joining sounds: crossfades that keep the level, and looping music to an exact length on its beats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sottovoce.audio import Samples
from sottovoce.dsp.loop_points import LoopPoint, loop_points, matched
from sottovoce.dsp.mixdown import fade
from sottovoce.errors import InvalidParameter

#: Length of a join on a beat (s), as part of a beat, and where there are no beats.
_JOIN, _JOIN_OF_BEAT, _JOIN_FREE = 0.25, 0.5, 1.0
#: Jumps whose score is this close to the best are as good, and the one that ends best is taken.
_AS_GOOD = 0.08
_FREE_STEP = 0.5
_LONGEST_FADE, _BEATS_OF_FADE, _SHORTEST_FADE = 4.0, 8, 0.25


def equal_power(a: Samples, b: Samples, frames: int) -> Samples:
    """`a` [channels, n] going over into `b` during `frames`; for sounds that have nothing to do with each other."""
    return _joined(a, b, frames, 0.0)


def join(a: Samples, b: Samples, frames: int) -> Samples:
    """`a` going over into `b` by the law that keeps the power steady, from how alike they are while they overlap."""
    overlap = min(frames, a.shape[1], b.shape[1])
    return _joined(a, b, overlap, correlation(a[:, a.shape[1] - overlap :], b[:, :overlap]))


def correlation(a: Samples, b: Samples) -> float:
    """Likeness of two sounds of one shape, -1 to 1; 0 if either is silent."""
    both = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    return float(np.clip(np.vdot(a, b) / both, -1, 1)) if both > 0 else 0.0


def zero_crossing(samples: Samples, near: int, within: int) -> int:
    """The frame closest to `near`, at most `within` away, at which the mean of the channels passes zero upwards.

    Where it does not, the frame at which the channels are lowest.
    """
    first, stop = max(1, near - within), min(samples.shape[1], near + within + 1)
    if first >= stop:
        return int(np.clip(near, 0, max(samples.shape[1] - 1, 0)))
    mono = samples[:, first - 1 : stop].mean(axis=0)
    rising = np.flatnonzero((mono[:-1] < 0) & (mono[1:] >= 0)) + first
    if len(rising):
        return min(map(int, rising), key=lambda frame: abs(frame - near))
    return first + int(np.abs(samples[:, first:stop]).max(axis=0).argmin())


def loop_to(samples: Samples, rate: int, frames: int, *, beats: Sequence[float] = ()) -> Samples:
    """Music [channels, n] made exactly `frames` long at its own tempo.

    Longer: it jumps back, as often as needed, from one of its `beats` (seconds) to an earlier one before which it sounds
    alike, the jumps chosen so that it can play to its own end, or near it. Shorter, or where it has to stop earlier: it
    fades out over some beats. Without beats it loops wherever it resembles itself. InvalidParameter for no music.
    """
    if samples.shape[1] == 0:
        raise InvalidParameter("there is no music to loop; give a file with sound in it")
    if frames > samples.shape[1]:
        point, width = _jump(samples, rate, frames, beats)
        samples = _looped(samples, frames, point, width)
    if frames == samples.shape[1]:
        return samples
    return _faded_at(samples, rate, frames, beats)


def _jump(samples: Samples, rate: int, frames: int, beats: Sequence[float]) -> tuple[LoopPoint, int]:
    """The jump to take, and how long the join before it lasts."""
    length = samples.shape[1]
    grid = beats if len(beats) > 1 else np.arange(0, length / rate, _FREE_STEP).tolist()
    width = min(_JOIN, _JOIN_OF_BEAT * (grid[-1] - grid[0]) / (len(grid) - 1)) if len(beats) > 1 else _JOIN_FREE
    overlap = min(round(width * rate), length // 4)
    points = loop_points(samples, rate, grid, margin=2 * overlap / rate)
    if not points:
        return LoopPoint(overlap, length, 0.0), overlap
    good = [point for point in points if point.score >= points[0].score - _AS_GOOD]
    chosen = min(good, key=lambda point: _left_over(length, frames, point))
    if len(beats) > 1:
        chosen = matched(chosen, samples, rate, grid)
    return chosen, min(overlap, chosen.start)


def _left_over(length: int, frames: int, point: LoopPoint) -> int:
    """How much of the music's end is cut off if it jumps back just often enough."""
    return (length - frames) % (point.end - point.start)


def _looped(samples: Samples, frames: int, point: LoopPoint, overlap: int) -> Samples:
    """The music with as many jumps as it takes to reach `frames`, and then to its end: at least `frames` long."""
    start, end = point.start, point.end
    jumps = -(-(frames - samples.shape[1]) // (end - start))
    seam = join(samples[:, end - overlap : end], samples[:, start - overlap : start], overlap)
    again = np.concatenate([seam, samples[:, start : end - overlap]], axis=1)
    return np.concatenate([samples[:, : end - overlap], np.tile(again, jumps - 1), seam, samples[:, start:]], axis=1)


def _faded_at(samples: Samples, rate: int, frames: int, beats: Sequence[float]) -> Samples:
    """Cut to `frames` with a fade of some beats before it; a short one if hardly anything is cut off."""
    beat = (beats[-1] - beats[0]) / (len(beats) - 1) if len(beats) > 1 else _FREE_STEP
    cut_off = (samples.shape[1] - frames) / rate
    seconds = min(_LONGEST_FADE, _BEATS_OF_FADE * beat, max(_SHORTEST_FADE, 4 * cut_off), frames / rate / 3)
    return fade(samples[:, :frames], rate, 0.0, seconds)


def _joined(a: Samples, b: Samples, frames: int, alike: float) -> Samples:
    overlap = min(frames, a.shape[1], b.shape[1])
    if overlap <= 0:
        return np.concatenate([a, b], axis=1)
    down, up = _laws(overlap, alike)
    both = a[:, a.shape[1] - overlap :] * down + b[:, :overlap] * up
    return np.concatenate([a[:, : a.shape[1] - overlap], both, b[:, overlap:]], axis=1)


def _laws(frames: int, alike: float) -> tuple[Samples, Samples]:
    """Gains down and up that keep the power of two sounds with that correlation: equal power at 0, equal gain at 1.

    The power of the sum is down² + up² + 2 r down up; a quarter circle divided by its root is steady for any r.
    """
    angle = np.pi / 2 * (np.arange(frames) + 0.5) / frames
    steady = np.sqrt(1 + max(0.0, alike) * np.sin(2 * angle))
    return (np.cos(angle) / steady).astype(np.float32), (np.sin(angle) / steady).astype(np.float32)

"""Effects on blocks of stereo sound [2, frames]; those that remember are objects fed one block after the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from sottovoce.audio import DELIVERY_RATE, Samples

Curve = NDArray[np.float32]


def saturate(block: Samples, drive_db: float) -> Samples:
    """Soft saturation, in place: quiet sound keeps its level, loud sound is rounded."""
    drive = np.float32(10 ** (drive_db / 20))
    block *= drive
    np.tanh(block, out=block)
    block *= 1 / drive
    return block


def widen(block: Samples, width: float) -> Samples:
    """Scale the side signal, in place: 0 is mono, 1 leaves all as it is."""
    middle, side = (block[0] + block[1]) * np.float32(0.5), (block[0] - block[1]) * np.float32(0.5 * width)
    np.add(middle, side, out=block[0])
    np.subtract(middle, side, out=block[1])
    return block


def tremolo(block: Samples, start: int, *, depth: float, hz: float) -> Samples:
    """Level swings from side to side, in place; `start` is the block's first frame in the piece."""
    wave = _wave(block.shape[1], start, hz=hz, phase=0.0) * np.float32(depth)
    block[0] *= 1 + wave
    block[1] *= 1 - wave
    return block


def duck(block: Samples, start: int, triggers: Sequence[int], *, depth_db: float, seconds: float) -> Samples:
    """Pushed down by each trigger (frames in the piece, ascending), in place; comes back within about `seconds`."""
    shape = _dip(depth_db, seconds)
    lead, end = _LEAD, start + block.shape[1]
    for trigger in triggers:
        first, last = max(trigger - lead, start), min(trigger - lead + shape.size, end)
        if first < last:
            block[:, first - start : last - start] *= shape[first - trigger + lead : last - trigger + lead]
    return block


_LEAD = round(0.006 * DELIVERY_RATE)


def _dip(depth_db: float, seconds: float) -> Curve:
    """The gain around one trigger: down in 6 ms, back exponentially."""
    depth = 1 - 10 ** (-depth_db / 20)
    frames = round(3 * seconds * DELIVERY_RATE)
    back = np.exp(-3 * np.arange(frames) / frames / 1.0) * np.cos(np.linspace(0, np.pi / 2, frames)) ** 0.5
    down = np.sin(np.linspace(0, np.pi / 2, _LEAD)) ** 2
    return (1 - depth * np.concatenate([down, back])).astype(np.float32)


class Chorus:
    """Two slowly moving copies, one for each side; `depth` 0-1 is their level."""

    def __init__(self, depth: float) -> None:
        self.depth = np.float32(depth)
        self._lines = (_Line(0.010, ((0.0022, 0.55, 0.0),)), _Line(0.0112, ((0.0022, 0.62, 1.9),)))

    def feed(self, block: Samples, start: int) -> Samples:
        """The block with the chorus added, in place."""
        for channel, line in enumerate(self._lines):
            copy = line.feed(block[channel], start)
            block[channel] += self.depth * copy
        block *= np.float32(1 / np.sqrt(1 + self.depth**2))
        return block


class Wow:
    """The slow and the quick speed error of a worn tape; peak pitch error in cents, rate of the slow one in Hz."""

    def __init__(self, cents: float, hz: float) -> None:
        error = 2 ** (cents / 1200) - 1
        swings = ((error / (2 * np.pi * hz), hz, 0.4), (0.12 * error / (2 * np.pi * 6.3), 6.3, 0.0))
        self._lines = [_Line(swings[0][0] + swings[1][0] + 0.0001, swings) for _ in range(2)]

    def feed(self, block: Samples, start: int) -> Samples:
        """The block as the tape would play it (a few milliseconds late)."""
        return np.stack([line.feed(row, start) for line, row in zip(self._lines, block, strict=True)])


class _Line:
    """A delay line of one channel whose length swings around `centre` seconds by sines (seconds, Hz, phase)."""

    def __init__(self, centre: float, swings: Sequence[tuple[float, float, float]]) -> None:
        self._centre, self._swings = centre * DELIVERY_RATE, swings
        most = self._centre + sum(swing for swing, _, _ in swings) * DELIVERY_RATE
        self._past = np.zeros(int(most) + 4, np.float32)

    def feed(self, row: Curve, start: int) -> Curve:
        """The delayed samples of one block.

        Within a grain the delay moves along a line, so each grain is one stretch of the past, read between its samples by
        parabolas (three-point Lagrange).
        """
        past, grains = self._past.size, -(-row.size // _STEP)
        line = np.concatenate([self._past, row, np.zeros(_STEP, np.float32)])
        delay = self._delays(start, grains)
        whole = np.ceil(delay[:-1]).astype(np.int64)
        first = past + _STEP * np.arange(grains) - whole
        stretch = sliding_window_view(line, _STEP + 2)[first - 1]
        share = (whole - delay[:-1])[:, None] + (delay[:-1] - delay[1:])[:, None] * (np.arange(_STEP) / _STEP)
        self._past = line[row.size : row.size + past]
        return _between(stretch, share.astype(np.float32)).ravel()[: row.size]

    def _delays(self, start: int, grains: int) -> NDArray[np.float64]:
        """In samples, at the edges of the grains."""
        time = (start + _STEP * np.arange(grains + 1)) / DELIVERY_RATE
        waves = [swing * np.sin(2 * np.pi * hz * time + phase) for swing, hz, phase in self._swings]
        return np.asarray(self._centre + DELIVERY_RATE * np.sum(waves, axis=0))


def _between(stretch: Samples, share: Samples) -> Samples:
    """Values `share` (about 0-1) past the middle of each three neighbours of [grains, step + 2]."""
    before, middle, after = stretch[:, :-2], stretch[:, 1:-1], stretch[:, 2:]
    slope = np.float32(0.5) * (after - before)
    curve = np.float32(0.5) * (after + before) - middle
    return middle + share * (slope + share * curve)


# Frames over which a curve is drawn as a straight line.
_STEP = 64


def _wave(frames: int, start: int, *, hz: float, phase: float) -> Curve:
    """A sine that goes on from block to block, joined by lines."""
    at = (np.arange(0, frames + _STEP, _STEP) + start) / DELIVERY_RATE
    coarse = np.sin(2 * np.pi * hz * at + phase).astype(np.float32)
    ramp = np.arange(_STEP, dtype=np.float32) / np.float32(_STEP)
    lines = coarse[:-1, None] + (coarse[1:] - coarse[:-1])[:, None] * ramp
    return lines.ravel()[:frames]


def bend(samples: Samples, semitones: float, *, seconds: float = 0.09) -> Samples:
    """Glide into the note from `semitones` away; the start is resampled, the rest only moved."""
    frames = samples.shape[1]
    span = min(frames, round(seconds * DELIVERY_RATE))
    offset = semitones * (0.5 + 0.5 * np.cos(np.pi * np.arange(span) / span))
    at = np.cumsum(2 ** (offset / 12)) - 1
    whole = np.minimum(at.astype(np.int64), frames - 2)
    share = (at - whole).astype(np.float32)
    head = samples[:, whole] * (1 - share) + samples[:, whole + 1] * share
    follow = round(at[-1]) + 1
    return np.concatenate([head, samples[:, follow:]], axis=1)

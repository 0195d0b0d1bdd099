"""The block loop: every network over the whole source, chunk by chunk, in one reading and in memory that does not grow with the length."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from sottovoce import errors
from sottovoce.audio import Samples
from sottovoce.dsp.overlap_add import Chunk, Grid, OverlapAdd, Window
from sottovoce.engines.demucs.network import Network, Still

#: With shifts, the source is moved by up to this many seconds before it is cut.
_SHIFT_SECONDS = 0.5
#: How often it is asked whether the work is still wanted.
_BEAT_SECONDS = 0.1


@dataclass(frozen=True, eq=False)
class Pass:
    """One network over the source on one grid; `stems` are those taken of it, and `weights` how much it counts in each of them."""

    network: Network
    grid: Grid
    stems: NDArray[np.intp]
    weights: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Step:
    run: Pass
    chunk: Chunk

    @property
    def input_frames(self) -> int:
        return self.run.network.input_frames(self.chunk.frames)


def grids(network: Network, frames: int, *, segment: int, overlap: float, shifts: Sequence[int]) -> list[Grid]:
    """How a source of `frames` frames is cut: once from its start, or once per shift.

    A shift is a number of frames from 0 to `longest_shift`: the sound begins so much nearer to the first chunk's start than half a second.
    """
    stride = int((1 - overlap) * segment)
    starts = [shift - longest_shift(network.rate) for shift in shifts] or [0]
    return [Grid(start, frames - start, segment, stride) for start in starts]


def longest_shift(rate: int) -> int:
    """The largest shift in frames."""
    return int(_SHIFT_SECONDS * rate)


class Split:
    """The stems of groups of stereo channels by one or more passes that are averaged.

    `levels` are the mean and the deviation of each group (float64 [groups, 2]), which the networks are relieved of; a group that does not
    move at all is no work. `batch` chunks go through a network at once.
    """

    def __init__(self, passes: Sequence[Pass], levels: NDArray[np.float64], *, batch: int = 1) -> None:
        self._passes, self._batch = passes, batch
        self._mean, self._deviation = (part.astype(np.float32)[:, None] for part in levels.T)
        self._live: list[int] = np.flatnonzero(self._deviation).tolist()

    @property
    def chunks(self) -> int:
        """How many chunks there are in all."""
        return sum(one.grid.count for one in self._passes)

    def stems(self, source: Window, frames: int, done: Callable[[int], None]) -> Iterator[Samples]:
        """The stems [groups, stems, 2, n] of a source [2 * groups, frames], in consecutive pieces; `done(chunks)` is called before each work and again and again in it."""
        sums = OverlapAdd((len(self._mean), len(self._passes[0].stems), 2))
        steps = heapq.merge(*(self._steps(one) for one in self._passes), key=lambda step: step.chunk.start)
        width, count = self._batch * len(self._passes), 0
        now = list(islice(steps, width))
        while now:
            done(count)
            source.forget(now[0].chunk.start - max(step.input_frames for step in now))
            self._work(now, source, sums, _now_and_then(partial(done, count)))
            count += len(now)
            now = list(islice(steps, width))
            yield self._levelled(sums.take(now[0].chunk.start if now else frames))
        done(count)

    def _steps(self, one: Pass) -> Iterator[_Step]:
        return (_Step(one, chunk) for chunk in one.grid.chunks())

    def _work(self, steps: list[_Step], source: Window, sums: OverlapAdd, still: Still) -> None:
        """Run the steps, those alike together, and add what comes out."""
        alike = sorted(steps, key=_likeness)
        for _, group in groupby(alike, _likeness):
            rows = [(step, index) for step in group for index in self._live]
            for first in range(0, len(rows), self._batch):
                self._run(rows[first : first + self._batch], source, sums, still)

    def _run(self, rows: list[tuple[_Step, int]], source: Window, sums: OverlapAdd, still: Still) -> None:
        inputs = np.stack([self._input(step, index, source) for step, index in rows])
        network = rows[0][0].run.network
        for (step, index), stems in zip(rows, network.split(inputs, still), strict=True):
            one, chunk = step.run, step.chunk
            margin = (inputs.shape[-1] - chunk.frames) // 2
            part = stems[one.stems, :, margin : margin + chunk.frames]
            if not np.isfinite(part).all():
                raise errors.ModelInferenceFailed("the network's result is not a number", hint="Use precision exact.")
            block = np.zeros((len(self._mean), *part.shape), np.float32)
            block[index] = part * (one.weights[:, None, None] * one.grid.share(chunk))
            sums.add(chunk.start, block)

    def _input(self, step: _Step, index: int, source: Window) -> Samples:
        """The chunk with its true neighbours around it where the network takes more than the chunk."""
        frames = step.input_frames
        start = step.chunk.start - (frames - step.chunk.frames) // 2
        # Outside of the source there is silence before its level is taken off, not after.
        inside = np.zeros(frames, np.float32)
        inside[max(0, -start) : max(0, source.frames - start)] = 1
        sound = source.read(start, frames)[2 * index : 2 * index + 2]
        return np.asarray(
            (sound - self._mean[index] * inside) / (self._deviation[index] + np.float32(1e-8)), np.float32
        )

    def _levelled(self, stems: Samples) -> Samples:
        deviation, mean = self._deviation[:, None, None] + np.float32(1e-8), self._mean[:, None, None]
        return np.asarray(stems * deviation + mean, np.float32)


def _likeness(step: _Step) -> tuple[int, int]:
    return id(step.run.network), step.input_frames


def _now_and_then(call: Still) -> Still:
    """The same, done only when some time has passed since the last one."""
    last = monotonic()

    def asked() -> None:
        nonlocal last
        if monotonic() - last >= _BEAT_SECONDS:
            call()
            last = monotonic()

    return asked

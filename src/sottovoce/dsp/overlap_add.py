"""Long signals in overlapping chunks: where they lie, how much each counts, and their sum, held only as long as more can come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sottovoce.audio import Samples


@dataclass(frozen=True)
class Chunk:
    """The `index`-th chunk of a grid: `frames` frames from `start` on (frames of the source; the first ones may lie before it)."""

    index: int
    start: int
    frames: int


@dataclass(frozen=True)
class Grid:
    """A stretch of `frames` frames from `start` on, cut into chunks of `segment` frames, one every `stride`; the last ones are shorter.

    Chunks count by a triangle that peaks in their middle, divided by the sum of all triangles there, so that a signal cut up and put
    together again is the same.
    """

    start: int
    frames: int
    segment: int
    stride: int

    @property
    def count(self) -> int:
        """How many chunks."""
        return -(-self.frames // self.stride)

    def chunks(self) -> Iterator[Chunk]:
        """The chunks in order."""
        for index in range(self.count):
            offset = index * self.stride
            yield Chunk(index, self.start + offset, min(self.segment, self.frames - offset))

    def share(self, chunk: Chunk) -> NDArray[np.float32]:
        """How much each frame of a chunk counts, 0-1."""
        window, total = triangle(self.segment), np.zeros(chunk.frames, np.float32)
        reach = (self.segment - 1) // self.stride
        for other in range(max(0, chunk.index - reach), min(self.count, chunk.index + reach + 1)):
            ahead = (chunk.index - other) * self.stride
            first, last = max(0, -ahead), min(chunk.frames, self.segment - ahead)
            if first < last:
                total[first:last] += window[first + ahead : last + ahead]
        return np.asarray(window[: chunk.frames] / total, np.float32)


def triangle(frames: int) -> NDArray[np.float32]:
    """Rising to 1 in the middle and falling again, nowhere 0."""
    half = frames // 2
    rising, falling = np.arange(1, half + 1), np.arange(frames - half, 0, -1)
    return (np.concatenate([rising, falling]) / (frames - half)).astype(np.float32)


class OverlapAdd:
    """Sums of overlapping blocks [*shape, frames]; what is taken is forgotten, so that memory is as long as the overlap."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._start = 0
        self._sums = np.zeros((*shape, 0), np.float32)

    def add(self, start: int, block: Samples) -> None:
        """Add a block from frame `start` on; frames already taken, and those before the first, are dropped."""
        first, end = max(start, self._start), start + block.shape[-1]
        if first < end:
            self._reach(end)
            self._sums[..., first - self._start : end - self._start] += block[..., first - start :]

    def take(self, until: int) -> Samples:
        """The sums up to frame `until`, to which nothing more can be added."""
        count = max(0, until - self._start)
        self._reach(until)
        taken = self._sums[..., :count].copy()
        self._sums = self._sums[..., count:].copy()
        self._start += count
        return taken

    def _reach(self, end: int) -> None:
        missing = end - self._start - self._sums.shape[-1]
        if missing > 0:
            silence = np.zeros((*self._sums.shape[:-1], missing), np.float32)
            self._sums = np.concatenate([self._sums, silence], axis=-1)


class Window:
    """A moving view of a stream [channels, frames]: any stretch that is not forgotten, silence outside of the stream."""

    def __init__(self, blocks: Iterable[Samples], channels: int, frames: int) -> None:
        self.frames = frames
        self._blocks = iter(blocks)
        self._start = 0
        self._held = np.zeros((channels, 0), np.float32)

    def read(self, start: int, frames: int) -> Samples:
        """A copy of `frames` frames from `start` on."""
        end = start + frames
        self._pull(min(end, self.frames))
        out = np.zeros((self._held.shape[0], frames), np.float32)
        first, last = max(start, self._start), min(end, self._start + self._held.shape[1])
        if first < last:
            out[:, first - start : last - start] = self._held[:, first - self._start : last - self._start]
        return out

    def forget(self, before: int) -> None:
        """Frames before this one are not asked for any more."""
        count = min(max(0, before - self._start), self._held.shape[1])
        self._held = self._held[:, count:].copy()
        self._start += count

    def _pull(self, until: int) -> None:
        pieces, end = [self._held], self._start + self._held.shape[1]
        while end < until and (block := next(self._blocks, None)) is not None:
            pieces.append(block)
            end += block.shape[1]
        if len(pieces) > 1:
            self._held = np.concatenate(pieces, axis=1)

"""Soft masks on a stream: blocks of spectra, each masked in view of the blocks around it, in memory that does not grow."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from sottovoce.audio import Samples
from sottovoce.dsp.spectrum import Floats, Spectra, StreamIstft, StreamStft, framed_spectra

#: Masks for some spectra [channels, bins, frames], which are the frames from `first` on of the window's magnitudes [bins, frames],
#: the mean of all channels. They broadcast to the spectra.
Masker = Callable[[Spectra, Floats, int], Sequence[Floats]]


class StreamMasking:
    """Parts of a stream: push samples [channels, frames] in order, then flush.

    `masker` gives the masks of the first `parts` parts; a last part is what they leave of the source, so that all add up to it. It sees
    `block` frames of spectra at a time, with up to `around` such blocks on either side. Blocks lie at the same places whatever is pushed.
    """

    def __init__(self, channels: int, size: int, masker: Masker, *, parts: int, block: int, around: int) -> None:
        self._size, self._hop = size, size // 4
        self._masker, self._block, self._around = masker, block, around
        self._ahead = StreamStft(channels, size, self._hop)
        self._synthesis = [StreamIstft(channels, size, self._hop) for _ in range(parts)]
        self._uncut: Floats = np.zeros((size // 2 + 1, 0), np.float32)
        self._window: deque[Floats] = deque()
        self._next = 0
        self._held: Samples = np.zeros((channels, size // 2), np.float32)

    def push(self, block: Samples) -> Iterator[list[Samples]]:
        """Take samples in; gives the parts of every block that is complete with its surroundings."""
        self._held = np.concatenate([self._held, block], axis=1)
        self._hear(self._ahead.push(block))
        while len(self._window) - self._next > self._around:
            yield self._mask_next()

    def flush(self) -> Iterator[list[Samples]]:
        """The parts of what is left."""
        if self._held.shape[1] == self._size // 2 and not self._window:
            return
        self._hear(self._ahead.flush())
        if self._uncut.shape[1]:
            self._window.append(self._uncut)
        while self._next < len(self._window):
            yield self._mask_next()
        yield _with_rest(self._held, [synthesis.flush() for synthesis in self._synthesis])

    def _hear(self, spectra: Spectra) -> None:
        """Note the magnitudes, in whole blocks; the spectra are made again when their turn comes, which saves their memory."""
        self._uncut = np.concatenate([self._uncut, np.abs(spectra).mean(axis=0)], axis=1)
        while self._uncut.shape[1] >= self._block:
            self._window.append(self._uncut[:, : self._block])
            self._uncut = self._uncut[:, self._block :].copy()

    def _mask_next(self) -> list[Samples]:
        """The parts of the oldest block not yet masked; its spectra begin where the samples held begin."""
        blocks = list(self._window)[: self._next + 1 + self._around]
        count = blocks[self._next].shape[1]
        first = sum(part.shape[1] for part in blocks[: self._next])
        spectra = self._spectra(count)
        masks = self._masker(spectra, np.concatenate(blocks, axis=1), first)
        parts = [way.push(spectra * mask) for way, mask in zip(self._synthesis, masks, strict=True)]
        end = count * self._hop
        source, self._held = self._held[:, end - parts[0].shape[1] : end], self._held[:, end:]
        self._slide()
        return _with_rest(source, parts)

    def _spectra(self, count: int) -> Spectra:
        reach = (count - 1) * self._hop + self._size
        samples = self._held[:, :reach]
        padded = np.pad(samples, ((0, 0), (0, reach - samples.shape[1])))
        return framed_spectra(padded, self._size, self._hop)

    def _slide(self) -> None:
        if self._next == self._around:
            self._window.popleft()
        else:
            self._next += 1


def _with_rest(source: Samples, parts: list[Samples]) -> list[Samples]:
    """The parts cut to the length of the source, and what they leave of it."""
    count = min(source.shape[1], parts[0].shape[1])
    cut = [part[:, :count] for part in parts]
    rest = source[:, :count].copy()
    for part in cut:
        rest -= part
    return [*cut, rest]

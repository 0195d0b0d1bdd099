"""Splitting a sound into vocals, drums, bass and the rest with no model, block by block in memory that does not grow.

The voice is what stands in the middle and does not repeat: REPET-SIM over a sliding window, sharpened by the likeness of left and right.
Of the rest, drums are what is struck, bass is what lasts below an edge. The last stem is the source minus the others, so that all add up
to it. Where blocks are cut depends on the rate alone, never on how the samples come in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

import numpy as np

from sottovoce.audio import Samples, Stem
from sottovoce.dsp import masks
from sottovoce.dsp.spectrum import Floats, Spectra, StreamIstft, StreamStft, framed_spectra, frequencies, size_for

VOCALS, DRUMS, BASS, OTHER = Stem("vocals"), Stem("drums"), Stem("bass"), Stem("other")
#: In the order in which each takes its share.
STEMS = (VOCALS, DRUMS, BASS, OTHER)

#: Seconds worked on at a time: a cancel waits no longer than these take.
BLOCK_SECONDS = 4.0
_FRAME_SECONDS = 0.085
_VOICE_HZ = (110.0, 10_000.0)
_CONTEXT_FRAMES = 8
_STRUCK_HZ = 360.0
_APART_SECONDS = 0.2


class StreamSplit:
    """The splitter of one source: push its samples [channels, frames] in order, then flush; what comes out adds up to what went in.

    `window_seconds` is how far around a moment it looks for repetitions, `bass_hz` the upper edge of the bass. Channels are counted as in
    WAV files: L R C LFE Ls Rs; four are two at the front and two behind.
    """

    def __init__(self, rate: int, channels: int, *, window_seconds: float = 40.0, bass_hz: float = 200.0) -> None:
        self._size = size_for(rate, _FRAME_SECONDS)
        self._hop = self._size // 4
        self._block = max(1, round(BLOCK_SECONDS * rate / self._hop))
        self._around = max(1, round((window_seconds / BLOCK_SECONDS - 1) / 2))
        self._shares = _Shares(rate, self._size, bass_hz)
        self._ahead = StreamStft(channels, self._size, self._hop)
        self._synthesis = {stem: StreamIstft(channels, self._size, self._hop) for stem in STEMS[:-1]}
        self._uncut: Floats = np.zeros((self._size // 2 + 1, 0), np.float32)
        self._window: deque[Floats] = deque()
        self._next = 0
        self._held: Samples = np.zeros((channels, self._size // 2), np.float32)

    def push(self, block: Samples) -> Iterator[Mapping[Stem, Samples]]:
        """Take samples in; gives the stems of every block that is complete with its surroundings."""
        self._held = np.concatenate([self._held, block], axis=1)
        self._hear(self._ahead.push(block))
        while len(self._window) - self._next > self._around:
            yield self._split_next()

    def flush(self) -> Iterator[Mapping[Stem, Samples]]:
        """The stems of what is left."""
        if self._held.shape[1] == self._size // 2 and not self._window:
            return
        self._hear(self._ahead.flush())
        if self._uncut.shape[1]:
            self._window.append(self._uncut)
        while self._next < len(self._window):
            yield self._split_next()
        yield _with_rest(self._held, {stem: synthesis.flush() for stem, synthesis in self._synthesis.items()})

    def _hear(self, spectra: Spectra) -> None:
        """Note the magnitudes, in whole blocks; the spectra themselves are made again when their turn comes, which saves their memory."""
        self._uncut = np.concatenate([self._uncut, np.abs(spectra).mean(axis=0)], axis=1)
        while self._uncut.shape[1] >= self._block:
            self._window.append(self._uncut[:, : self._block])
            self._uncut = self._uncut[:, self._block :].copy()

    def _split_next(self) -> Mapping[Stem, Samples]:
        """The stems of the oldest block not yet split, seen in its window; they begin where the samples held begin."""
        blocks = list(self._window)[: self._next + 1 + self._around]
        count = blocks[self._next].shape[1]
        spectra = self._spectra(count)
        first = sum(part.shape[1] for part in blocks[: self._next])
        shares = self._shares.of(spectra, np.concatenate(blocks, axis=1), first)
        parts = {stem: self._synthesis[stem].push(spectra * share) for stem, share in zip(STEMS, shares, strict=False)}
        end = count * self._hop
        source, self._held = self._held[:, end - parts[VOCALS].shape[1] : end], self._held[:, end:]
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


def _with_rest(source: Samples, parts: Mapping[Stem, Samples]) -> Mapping[Stem, Samples]:
    """The stems cut to the length of the source, and what they leave of it as the last."""
    count = min(source.shape[1], parts[VOCALS].shape[1])
    cut = {stem: part[:, :count] for stem, part in parts.items()}
    rest = source[:, :count].copy()
    for part in cut.values():
        rest -= part
    return {**cut, OTHER: rest}


class _Shares:
    """The masks of vocals, drums and bass for spectra of one rate and size."""

    def __init__(self, rate: int, size: int, bass_hz: float) -> None:
        hertz = frequencies(rate, size)
        low, high = (masks.low_band(hertz, edge)[:, None] for edge in _VOICE_HZ)
        self._voiced = (1 - low) * high
        self._reach = int(np.flatnonzero(self._voiced)[-1]) + 1
        self._bass = masks.low_band(hertz, bass_hz)[:, None]
        self._along_frequency = 2 * round(_STRUCK_HZ * size / rate / 2) + 1
        self._apart = max(1, round(_APART_SECONDS * rate * 4 / size))

    def of(self, spectra: Spectra, window: Floats, first: int) -> list[Floats]:
        """Masks that broadcast to `spectra`, which are the frames from `first` on of the window's magnitudes [bins, frames]."""
        count = spectra.shape[2]
        start, stop = max(0, first - _CONTEXT_FRAMES), first + count + _CONTEXT_FRAMES
        near = slice(first - start, first - start + count)
        harmonic, struck = masks.harmonic_percussive(window[:, start:stop], along_frequency=self._along_frequency)
        return masks.layered([self._vocals(spectra, window, first), struck[:, near], harmonic[:, near] * self._bass])[
            :-1
        ]

    def _vocals(self, spectra: Spectra, window: Floats, first: int) -> Floats:
        count, reach = spectra.shape[2], self._reach
        foreground = np.zeros((len(window), count), np.float32)
        _, foreground[:reach] = masks.repet_sim(window[:reach], first, count, apart=self._apart)
        return _middle(spectra) * (foreground * self._voiced)


def _middle(spectra: Spectra) -> Floats:
    """How much of each channel stands in the middle, where voices are: [channels, bins, frames], or [1, 1, 1] for mono."""
    channels = spectra.shape[0]
    if channels == 1:
        return np.ones((1, 1, 1), np.float32)
    middle = np.zeros(spectra.shape, np.float32)
    middle[:2] = masks.centre(spectra[0], spectra[1])
    if channels in (3, 5, 6, 7, 8):
        middle[2] = 1
    return middle

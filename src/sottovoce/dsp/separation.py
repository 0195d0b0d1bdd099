"""Splitting a sound into vocals, drums, bass and the rest with no model, block by block in memory that does not grow.

The voice is what stands in the middle and does not repeat: REPET-SIM over a sliding window, sharpened by the likeness of left and right.
Of the rest, drums are what is struck and bass is what lasts below an edge, seen through a window four times shorter. Each step leaves what
it did not take, so that all stems add up to the source. Where blocks are cut depends on the rate alone, never on how the samples come in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from sottovoce.audio import Samples, Stem
from sottovoce.dsp import masks
from sottovoce.dsp.masking import StreamMasking
from sottovoce.dsp.spectrum import Floats, Spectra, frequencies, size_for

VOCALS, DRUMS, BASS, OTHER = Stem("vocals"), Stem("drums"), Stem("bass"), Stem("other")
STEMS = (VOCALS, DRUMS, BASS, OTHER)

#: Seconds worked on at a time: a cancel waits no longer than these take.
BLOCK_SECONDS = 4.0
_VOICE_HZ = (110.0, 10_000.0)
_VOICE_FRAME, _RHYTHM_FRAME = 0.085, 0.0213
_APART_SECONDS = 0.2
_LASTING_SECONDS, _STRUCK_HZ = 0.6, 1500.0
_KICK_HZ = 200.0


class StreamSplit:
    """The splitter of one source: push its samples [channels, frames] in order, then flush; what comes out adds up to what went in.

    `window_seconds` is how far around a moment it looks for repetitions, `bass_hz` the upper edge of the bass. Channels are counted as in
    WAV files: L R C LFE Ls Rs; four are two at the front and two behind. Stems come out in blocks of their own, each without gaps.
    """

    def __init__(self, rate: int, channels: int, *, window_seconds: float = 40.0, bass_hz: float = 200.0) -> None:
        voice, rhythm = size_for(rate, _VOICE_FRAME), size_for(rate, _RHYTHM_FRAME)
        around = max(1, round((window_seconds / BLOCK_SECONDS - 1) / 2))
        self._voice = StreamMasking(
            channels, voice, _Voice(rate, voice).masks, parts=1, block=_block(rate, voice), around=around
        )
        self._rhythm = StreamMasking(
            channels, rhythm, _Rhythm(rate, rhythm, bass_hz).masks, parts=2, block=_block(rate, rhythm), around=1
        )

    def push(self, block: Samples) -> Iterator[tuple[Stem, Samples]]:
        """Take samples in; gives the next block of every stem that is ready."""
        yield from self._step(self._voice.push(block))

    def flush(self) -> Iterator[tuple[Stem, Samples]]:
        """What is left of every stem."""
        yield from self._step(self._voice.flush())
        yield from _named(self._rhythm.flush())

    def _step(self, voiced: Iterable[list[Samples]]) -> Iterator[tuple[Stem, Samples]]:
        for vocals, music in voiced:
            yield VOCALS, vocals
            yield from _named(self._rhythm.push(music))


def _named(parts: Iterable[list[Samples]]) -> Iterator[tuple[Stem, Samples]]:
    for blocks in parts:
        yield from zip((DRUMS, BASS, OTHER), blocks, strict=True)


def _block(rate: int, size: int) -> int:
    return max(1, round(BLOCK_SECONDS * rate * 4 / size))


class _Voice:
    """The mask of what does not repeat, stands in the middle and lies where voices are."""

    def __init__(self, rate: int, size: int) -> None:
        low, high = (masks.low_band(frequencies(rate, size), edge)[:, None] for edge in _VOICE_HZ)
        self._voiced = (1 - low) * high
        self._reach = int(np.flatnonzero(self._voiced)[-1]) + 1
        self._apart = max(1, round(_APART_SECONDS * rate * 4 / size))

    def masks(self, spectra: Spectra, window: Floats, first: int) -> list[Floats]:
        """As a `Masker`."""
        foreground = np.zeros((len(window), spectra.shape[2]), np.float32)
        reach = self._reach
        _, foreground[:reach] = masks.repet_sim(window[:reach], first, spectra.shape[2], apart=self._apart)
        return [_middle(spectra) * (foreground * self._voiced)]


class _Rhythm:
    """The masks of what is struck, and of what lasts below the edge of the bass."""

    def __init__(self, rate: int, size: int, bass_hz: float) -> None:
        hertz = frequencies(rate, size)
        self._bass = masks.low_band(hertz, bass_hz)[:, None]
        self._lengths = {
            "along_time": _odd(_LASTING_SECONDS * rate * 4 / size),
            "along_frequency": _odd(_STRUCK_HZ * size / rate),
            "low_bins": int(np.searchsorted(hertz, _KICK_HZ)),
        }

    def masks(self, spectra: Spectra, window: Floats, first: int) -> list[Floats]:
        """As a `Masker`."""
        count, context = spectra.shape[2], self._lengths["along_time"] // 2
        start = max(0, first - context)
        near = slice(first - start, first - start + count)
        harmonic, struck = masks.harmonic_percussive(window[:, start : first + count + context], **self._lengths)
        return [struck[:, near], harmonic[:, near] * self._bass]


def _odd(length: float) -> int:
    return 2 * round(length / 2) + 1


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

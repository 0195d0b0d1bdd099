"""Clicks, hard seams and dropouts: moments that no instrument makes.

A click is looked for where the sound cannot hide it. Each short frame is whitened (divided by its own spectral envelope,
as in S. Godsill and P. Rayner, "Digital Audio Restoration", 1998, chapter 5, with a smoothed spectrum in place of the
autoregressive model), so that a jump of one sample stands out as a peak above the sound some milliseconds before and
after. Three things stand out too and are told apart: a drum begins at once, but goes on sounding, so it has to jump
further; the edges of a buzzing wave come again within 40 ms; and the crackle of a record is round where a click is sharp.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import fft, ndimage

from sottovoce.audio import Samples
from sottovoce.dsp.levels import amplitude, block_peaks

Floats = NDArray[np.float32]

#: How far a click stands out of the whitened sound on both sides, in dB; how much further a round pop does, and either
#: where the sound gets louder by so much.
_STANDS_OUT, _MORE_IF_ROUND, _MORE_AT_ATTACK = 23.0, 4.0, 6.0
_ATTACK_DB = 8.0
#: The fourth difference against the second: 3 for a jump between two samples, 1 for a tone at a sixth of the rate.
_SHARP = 2.5
#: How far the wave jumps against the RMS of the 7 ms on its louder side; at an attack; and against full scale.
_LEAST_JUMP, _ATTACK_JUMP, _AUDIBLE_JUMP = 0.15, 0.5, 1e-3

#: In blocks of a third of a millisecond: what is compared, what is left out around a peak, and where an edge repeats.
_SIDE, _GUARD, _NEARBY, _ALONE = 24, 2, 120, 2
#: Frames that are whitened, in the same blocks: their length, and how far neighbours overlap.
_FRAME, _TAPER = 512, 32
_HOP = _FRAME - _TAPER
_BANDS = 64

#: What is looked at together, in hops of the whitening, and what is known of the sound on both sides of it.
_SEGMENT, _CONTEXT = 48, 2

#: Below -100 dB there is nothing.
_NOTHING = 1e-5
_TINY = 1e-12


@dataclass(frozen=True)
class Dropout:
    """A hole in a loud channel: its first frame and its length in frames."""

    start: int
    frames: int


@dataclass(frozen=True)
class Defects:
    """Frames of clicks and hard seams, of round pops such as a record's crackle, and the dropouts, in order of time."""

    clicks: tuple[int, ...] = ()
    pops: tuple[int, ...] = ()
    dropouts: tuple[Dropout, ...] = ()


def find_defects(samples: Samples, rate: int) -> Defects:
    """Every click, seam, pop and dropout of samples [channels, frames]."""
    meter = DefectMeter(rate, samples.shape[0])
    meter.push(samples)
    return meter.defects()


class DefectMeter:
    """`find_defects` for a stream of blocks [channels, frames]; keeps a few seconds, and what it found."""

    def __init__(self, rate: int, channels: int) -> None:
        self._block = max(8, 1 << round(np.log2(rate / 3000)))
        self._hop = _HOP * self._block
        self._rate = rate
        self._held = [np.zeros((channels, 0), np.float32)]
        self._frames = 0
        self._start = 0
        self._done = 0
        self._clicks: list[int] = []
        self._pops: list[int] = []
        self._dropouts: list[Dropout] = []

    def push(self, block: Samples) -> None:
        """Take the next block."""
        self._held.append(block)
        self._frames += block.shape[1]
        segment, context = _SEGMENT * self._hop, _CONTEXT * self._hop
        if self._frames < segment + 2 * context:
            return
        held = np.concatenate(self._held, axis=1)
        while held.shape[1] - (self._done - self._start) >= segment + context:
            self._look(held, self._done + segment)
            forgotten = max(0, self._done - context - self._start)
            held, self._start = held[:, forgotten:], self._start + forgotten
        self._held, self._frames = [held.copy()], held.shape[1]

    def defects(self) -> Defects:
        """What was found, as if the stream ended here; nothing may be pushed afterwards."""
        held = np.concatenate(self._held, axis=1)
        end = self._start + held.shape[1]
        if end > self._done:
            self._look(held, end)
        dropouts = _merged(self._dropouts)
        least = self._rate // 300
        edges = [edge for each in dropouts for edge in (each.start, each.start + each.frames)]
        clicks = _apart(self._clicks, edges, least)
        return Defects(clicks, _apart(self._pops, [*edges, *clicks], least), dropouts)

    def _look(self, held: Samples, end: int) -> None:
        """Look at the frames from the last look to `end`, with what is held around them as context."""
        context = _CONTEXT * self._hop
        stop = min(end - self._start + context, held.shape[1])
        part = held[:, :stop]
        here = (self._done - self._start, end - self._start)
        for channel in part:
            for at, sharp in _pops(channel, self._block):
                if here[0] <= at < here[1]:
                    (self._clicks if sharp else self._pops).append(self._start + at)
            runs = _zeros(channel, self._rate)
            self._dropouts += [Dropout(self._start + at, n) for at, n in runs if here[0] <= at < here[1]]
        self._done = end


def _pops(channel: Floats, block: int) -> list[tuple[int, bool]]:
    """Frames of one channel at which something pops, and whether sharply; not at its ends, where one side is unknown."""
    if len(channel) < 8 * block:
        return []
    white = _whitened(channel, block)
    peaks, levels = _block_levels(white, block)
    around = _around(levels)
    found = []
    for index in np.flatnonzero(peaks - around > _STANDS_OUT):
        first = max(0, int(index) - 1) * block
        at = first + int(np.abs(white[first : first + 3 * block]).argmax())
        inside = 4 * block <= at < len(channel) - 4 * block
        if inside and _alone(peaks, int(index)):
            near = channel[at - 3 * block // 2 : at + 3 * block // 2]
            bend = float(np.abs(np.diff(near, 2)).max())
            sharp = float(np.abs(np.diff(near, 4)).max()) > _SHARP * bend
            if peaks[index] - around[index] > _needed(channel, at, block, bend / 2) + (0 if sharp else _MORE_IF_ROUND):
                found.append((at, sharp))
    return found


def _needed(channel: Floats, at: int, block: int, jump: float) -> float:
    """How far a jump has to stand out there; endlessly if it is small against the sound on its louder side."""
    before = _rms(channel[max(0, at - 20 * block) : at - block])
    after = _rms(channel[at + block : at + 20 * block])
    attack = after > before * amplitude(_ATTACK_DB)
    least = (_ATTACK_JUMP if attack else _LEAST_JUMP) * max(before, after)
    if jump <= max(_AUDIBLE_JUMP, least):
        return float("inf")
    return _STANDS_OUT + (_MORE_AT_ATTACK if attack else 0.0)


def _alone(peaks: Floats, index: int) -> bool:
    """Whether fewer than two peaks nearby are nearly as high."""
    before = peaks[max(0, index - _NEARBY) : max(0, index - _GUARD)]
    after = peaks[index + _GUARD + 1 : index + _NEARBY]
    return int((before > peaks[index] - 6).sum() + (after > peaks[index] - 6).sum()) < _ALONE


def _whitened(channel: Floats, block: int) -> Floats:
    """The channel with a flat spectrum in every frame, in time with itself; neighbouring frames fade into each other."""
    size, taper = _FRAME * block, _TAPER * block
    hop, count = size - taper, len(channel)
    missing = -(count + taper) % hop
    padded = np.pad(channel, (taper, taper + missing), mode="reflect" if count > hop + taper else "edge")
    frames = sliding_window_view(padded, size)[::hop]
    window, shape = _window(size, taper), _band_shape(size // 2)
    mean = np.full(size // 2 // _BANDS, 2 * _BANDS / size, np.float32)
    spectra = fft.rfft(frames * window, axis=1)
    power = spectra.real**2 + spectra.imag**2
    bands = (power[:, :-1].reshape(-1, len(mean)) @ mean).reshape(-1, _BANDS)
    # A drum at the edge of a frame would be sharpened by the quiet in the rest of it, so the neighbours have a say.
    bands = ndimage.uniform_filter1d(bands, 3, axis=0, mode="nearest") + _TINY
    bands += 1e-7 * bands.mean(axis=1, keepdims=True)
    spectra *= (1 / np.sqrt(bands)) @ shape
    made = np.zeros(len(padded), np.float32)
    for index, frame in enumerate(fft.irfft(spectra, size, axis=1)):
        made[index * hop : index * hop + size] += frame
    return made[taper : taper + count]


@cache
def _window(size: int, taper: int) -> Floats:
    """Ones with half a cosine at both ends, so that overlapping windows add up to one."""
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(taper) + 0.5) / taper)
    return np.concatenate([rise, np.ones(size - 2 * taper), rise[::-1]]).astype(np.float32)


@cache
def _band_shape(half: int) -> Floats:
    """Straight lines between the centres of the bands: [bands, half + 1]."""
    centres = (np.arange(_BANDS) + 0.5) * (half / _BANDS)
    rows = [np.interp(np.arange(half + 1), centres, each) for each in np.eye(_BANDS)]
    return np.array(rows, np.float32)


def _block_levels(white: Floats, block: int) -> tuple[Floats, Floats]:
    """Highest and mean power of each block in dB: two arrays [blocks]."""
    whole = white[: len(white) // block * block]
    mean = np.square(whole).reshape(-1, block) @ np.full(block, 1 / block, np.float32)
    top = block_peaks(whole[None], block)[0]
    return 20 * np.log10(top + _TINY), 10 * np.log10(mean + _TINY)


def _around(levels: Floats) -> Floats:
    """The louder of the medians of the blocks on both sides of each block."""
    median = ndimage.median_filter(levels, size=_SIDE, mode="nearest")
    away = _GUARD + _SIDE // 2
    padded = np.pad(median, away, mode="edge")
    return np.maximum(padded[: len(levels)], padded[2 * away :])


def _zeros(channel: Floats, rate: int) -> list[tuple[int, int]]:
    """Start and length of every run of nothing, 1 to 300 ms long, between two moments about equally loud."""
    least, most, side = max(16, rate // 1000), rate * 3 // 10, rate // 200
    size = 1 << (least.bit_length() - 2)
    empty = block_peaks(channel[None], size)[0] < _NOTHING
    if not empty.any():
        return []
    edges = np.flatnonzero(np.diff((np.abs(channel) < _NOTHING).view(np.int8), prepend=0, append=0))
    runs = [(int(start), int(stop - start)) for start, stop in edges.reshape(-1, 2) if least <= stop - start <= most]
    return [(at, n) for at, n in runs if _loud(channel[max(0, at - side) : at], channel[at + n : at + n + side])]


def _loud(before: Floats, after: Floats) -> bool:
    """Whether both sides of a hole are above -45 dB and within 20 dB of each other."""
    quieter, louder = sorted((_rms(before), _rms(after)))
    return quieter > max(amplitude(-45.0), louder * amplitude(-20.0))


def _rms(samples: Floats) -> float:
    return float(np.sqrt(np.mean(np.square(samples)))) if len(samples) else 0.0


def _merged(dropouts: list[Dropout]) -> tuple[Dropout, ...]:
    """Both channels' dropouts in order, each time once."""
    longest: dict[int, Dropout] = {}
    for each in dropouts:
        if each.frames > longest.get(each.start, each).frames or each.start not in longest:
            longest[each.start] = each
    return tuple(longest[start] for start in sorted(longest))


def _apart(found: list[int], edges: Sequence[int], least: int) -> tuple[int, ...]:
    """What was found in order, what is closer than `least` frames as one, without what lies at an edge."""
    known = np.array(edges, np.int64)
    kept: list[int] = []
    for at in sorted(found):
        at_edge = len(known) > 0 and int(np.abs(known - at).min()) < least
        if not at_edge and (not kept or at - kept[-1] >= least):
            kept.append(at)
    return tuple(kept)

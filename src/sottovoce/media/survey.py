"""A quick look over a whole video: small pictures, and the cuts between its shots.

Up to about a minute of 1080p every frame is decoded. Of longer videos only some key pictures are (an intra picture of 1080p costs
16 ms), and a cut between two of them is found by what the encoder left behind: a key picture out of turn, or a packet far larger than its
neighbours; the heaviest of these are then looked at frame by frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sottovoce.media.footage import Footage, open_footage
from sottovoce.media.picture import Keyframe
from sottovoce.media.probe import stream_seconds

#: Pixels that are decoded at most: in all if every frame is, in key pictures if not, and in looking closer at cuts.
_ALL_PIXELS, _KEY_PIXELS, _CLOSE_PIXELS = 1800 * 1920 * 1080, 240 * 1920 * 1080, 200 * 1920 * 1080
#: Frames that are kept in memory at most.
_ALL_FRAMES = 7200
#: Pictures of one shot are less different than this; so are neighbouring frames, unless all around them move as much.
_SAME_SHOT, _NEIGHBOURS, _STANDS_OUT = 0.25, 8, 3.0
#: A packet so many times the median of those around it holds a new picture.
_SPIKE = 3.0
#: Frames: so many pictures that lean on a spike can be shown before it; so many can a flash last.
_LEANING, _FLASH = 4, 2


@dataclass(frozen=True)
class Cut:
    """A change of shot: when the new one begins, how different it looks (0 the same, 1 nothing in common), and how far off the time may be."""

    seconds: float
    weight: float
    within: float = 0.0


@dataclass(frozen=True, eq=False)
class Survey:
    """Small pictures over a whole video, in order, and its cuts, in order."""

    pictures: tuple[Keyframe, ...]
    cuts: tuple[Cut, ...]


def survey(path: Path, *, width: int = 64, most: int = 600) -> Survey:
    """At most `most` pictures `width` wide, and the cuts; InputUnreadable, UnsupportedFormat (no picture) or CorruptMedia."""
    with open_footage(path) as footage:
        length = stream_seconds(footage.container, footage.stream)
        rate = float(footage.stream.average_rate or 30)
        if length is not None and length * rate * footage.pixels <= _ALL_PIXELS and length * rate <= _ALL_FRAMES:
            frames = list(_every_frame(footage, width))
            return Survey(_thinned(frames, most), tuple(_jumps(frames)))
        spacing = max((length or 3600) / most, (length or 3600) * footage.pixels / _KEY_PIXELS)
        pictures, found = _key_pictures(footage, width, spacing)
    # Two guesses can lead to one cut.
    cuts = {cut.seconds: cut for cut in _between(path, pictures, found)}
    return Survey(_thinned(pictures, most), tuple(cuts[seconds] for seconds in sorted(cuts)))


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """How different two small pictures are, 0 to 1: the mean of how much their colours and their places differ.

    Colours are half the L1 distance of 64-bin histograms, which movement leaves alone; places are the mean step of the pixels, a third of
    full scale counting as all.
    """
    if one.shape != other.shape:
        return 1.0
    colours = float(np.abs(_histogram(one) - _histogram(other)).sum()) / 2
    places = float(np.abs(one.astype(np.int16) - other).mean()) / 85
    return (colours + min(1.0, places)) / 2


def _histogram(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    bins = (pixels.astype(np.intp) >> 6) @ np.array([16, 4, 1])
    return np.asarray(np.bincount(bins.ravel(), minlength=64) / bins.size, np.float64)


def _every_frame(footage: Footage, width: int) -> Iterator[Keyframe]:
    for packet in footage.packets():
        for frame in footage.frames(packet):
            yield footage.small(frame, width)


def _key_pictures(footage: Footage, width: int, spacing: float) -> tuple[list[Keyframe], _Packets]:
    """Key pictures about `spacing` seconds apart, and all packets from outside."""
    footage.stream.codec_context.skip_frame = "NONKEY"
    pictures: list[Keyframe] = []
    found: list[tuple[float, int, bool]] = []
    due = 0.0
    for packet in footage.packets():
        if packet.size:
            seconds = footage.seconds(packet.dts if packet.pts is None else packet.pts)
            found.append((seconds, packet.size, packet.is_keyframe))
            if not packet.is_keyframe or seconds < due:
                continue
            due = seconds + 0.99 * spacing
        pictures += [footage.small(frame, width) for frame in footage.frames(packet)]
    columns = list(zip(*sorted(found), strict=True)) or [(), (), ()]
    return pictures, _Packets(
        np.array(columns[0], np.float64), np.array(columns[1], np.int64), np.array(columns[2], np.bool_)
    )


def _thinned(frames: Sequence[Keyframe], most: int) -> tuple[Keyframe, ...]:
    step = max(1, -(-len(frames) // most))
    return tuple(frames[::step])


def _jumps(frames: Sequence[Keyframe]) -> Iterator[Cut]:
    """Frames that differ from the one before far more than their neighbours do; a flash, after which all is as before, is none."""
    steps = np.array([difference(one.pixels, other.pixels) for one, other in pairwise(frames)])
    for index in np.flatnonzero(steps >= _SAME_SHOT / 2).tolist():
        around = np.delete(steps[max(0, index - _NEIGHBOURS) : index + _NEIGHBOURS + 1], min(index, _NEIGHBOURS))
        usual = float(np.median(around)) if around.size else 0.0
        before, after = frames[max(0, index - _FLASH)], frames[min(index + 1 + _FLASH, len(frames) - 1)]
        lasting = difference(before.pixels, after.pixels)
        if steps[index] > _STANDS_OUT * usual and lasting > steps[index] / 2:
            yield Cut(frames[index + 1].seconds, float(steps[index]))


@dataclass(frozen=True, eq=False)
class _Packets:
    """What the packets show from outside, in the order in which they are shown: seconds, bytes, whether they are key pictures."""

    seconds: NDArray[np.float64]
    sizes: NDArray[np.int64]
    keys: NDArray[np.bool_]

    def between(self, start: float, end: float) -> _Packets:
        """Those after `start`, up to `end`."""
        first, last = np.searchsorted(self.seconds, [start, end], side="right")
        return _Packets(self.seconds[first:last], self.sizes[first:last], self.keys[first:last])

    def key_before(self, seconds: float) -> float:
        """The last key picture before a time."""
        earlier = self.seconds[self.keys & (self.seconds < seconds)]
        return float(earlier[-1]) if earlier.size else 0.0

    def out_of_turn(self) -> NDArray[np.float64]:
        """The key pictures that come sooner after the one before than the encoder's habit is: it saw a new shot."""
        times = self.seconds[self.keys]
        gaps = np.diff(times)
        if gaps.size < 2 or np.ptp(gaps[:-1]) < 0.1 * gaps[0]:
            return times[:0]
        return np.asarray(times[1:][gaps < 0.95 * gaps.max()])

    def spikes(self) -> NDArray[np.float64]:
        """The pictures, no key pictures, that took far more bytes than those around them."""
        plain = ~self.keys
        if plain.sum() < _NEIGHBOURS:
            return self.seconds[:0]
        enough = max(_SPIKE * float(np.median(self.sizes[plain])), float(self.sizes[plain].max()) / 2)
        return np.asarray(self.seconds[plain & (self.sizes >= enough)])


@dataclass(frozen=True)
class _Guess:
    """A cut that must lie between `start`, a key picture, and `end`; most likely at `likely`, if that is known."""

    weight: float
    start: float
    end: float
    likely: float | None = None

    @property
    def cut(self) -> Cut:
        """The best that can be said without looking."""
        if self.likely is not None:
            return Cut(self.likely, self.weight, within=self.end - self.likely)
        return Cut((self.start + self.end) / 2, self.weight, within=(self.end - self.start) / 2)


def _between(path: Path, pictures: Sequence[Keyframe], found: _Packets) -> Iterator[Cut]:
    """Cuts between key pictures: where the encoder shows them, and where a closer look at the heaviest changes finds them."""
    changes = [(difference(one.pixels, other.pixels), one.seconds, other.seconds) for one, other in pairwise(pictures)]
    turns = found.out_of_turn()
    guesses: list[_Guess] = []
    for weight, start, end in changes:
        if weight >= _SAME_SHOT:
            seen = turns[(turns > start) & (turns <= end)].tolist()
            yield from (Cut(seconds, weight) for seconds in seen)
            guesses += [] if seen else _guesses(weight, start, end, found)
    yield from _looked_at(path, guesses, found)


def _guesses(weight: float, start: float, end: float, found: _Packets) -> list[_Guess]:
    spikes = found.between(start, end).spikes().tolist()
    if not spikes:
        # Seconds of movement can look like this much; only what is more must be another shot.
        return [_Guess(weight, start, end)] if weight >= 2 * _SAME_SHOT else []
    around = _LEANING * float(np.median(np.diff(found.seconds)))
    return [_Guess(weight, found.key_before(seconds), seconds + around, seconds) for seconds in spikes]


def _looked_at(path: Path, guesses: Sequence[_Guess], found: _Packets) -> Iterator[Cut]:
    """The guesses as cuts: looked at frame by frame, likely and heavy ones first, as long as that is cheap; then as they are."""
    with open_footage(path) as footage:
        left = _CLOSE_PIXELS // footage.pixels
        for guess in sorted(guesses, key=lambda guess: (guess.likely is None, -guess.weight)):
            cost = found.between(guess.start, guess.end).seconds.size
            if cost > left:
                yield guess.cut
                continue
            left -= cost
            yield from _closer(footage, guess)


def _closer(footage: Footage, guess: _Guess) -> Iterator[Cut]:
    """The jumps among the frames of a guess; where it says a likely time, only the heaviest near that."""
    footage.seek(guess.start)
    frames: list[Keyframe] = []
    for packet in footage.packets():
        frames += [footage.small(frame, 64) for frame in footage.frames(packet)]
        if frames and frames[-1].seconds > guess.end:
            break
    jumps = list(_jumps([frame for frame in frames if frame.seconds >= guess.start]))
    if guess.likely is None:
        yield from jumps
        return
    likely, around = guess.likely, 2 * (guess.end - guess.likely)
    near = [cut for cut in jumps if abs(cut.seconds - likely) <= around]
    if near:
        yield max(near, key=lambda cut: cut.weight)

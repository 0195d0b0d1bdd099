"""Where decoded sound belongs in time: gaps between frames filled, overlaps cut, the encoder's padding at the end left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np

from sottovoce.audio import Samples

#: Timestamps of real recordings jitter: less than this, in seconds, is no gap (ITU-R BT.1359 puts the first noticed offset at 45 ms).
JITTER = Fraction(40, 1000)
#: More than this, in seconds, is no gap but a damaged timestamp.
LONGEST_GAP = 600
#: Steps back of more than this, in seconds, are a new beginning of the timestamps, not an overlap.
LONGEST_OVERLAP = 1


@dataclass(frozen=True, eq=False)
class Piece:
    """Samples of one decoded frame, the instant it begins and how long it is said to last (seconds in the container's time, if known)."""

    samples: Samples
    at: Fraction | None = None
    lasts: Fraction | None = None


@dataclass(frozen=True)
class Clock:
    """The time in a container: the instant that counts as zero, the end it declares (None if it does not), the sound's rate in Hz."""

    zero: Fraction
    end: Fraction | None
    rate: int

    def frame_at(self, at: Fraction) -> int:
        """The sample nearest to an instant; of two equally near ones the even one."""
        # Exact like fractions, but without reducing any: this is asked for every frame of a film.
        below = at.denominator * self.zero.denominator
        above = (at.numerator * self.zero.denominator - self.zero.numerator * at.denominator) * self.rate
        whole, rest = divmod(above, below)
        return whole + (2 * rest > below or (2 * rest == below and whole % 2))

    @cached_property
    def last(self) -> int | None:
        """The sample at the declared end."""
        return None if self.end is None else self.frame_at(self.end)


def aligned(pieces: Iterable[Piece], clock: Clock) -> Iterator[Samples]:
    """The samples from the clock's zero on: silence where the container has a gap, nothing twice where it overlaps.

    The first sample is put exactly where it belongs; after that, offsets below `JITTER` are let be (they do not add up).
    """
    written, shift, jitter = 0, 0, int(JITTER * clock.rate)
    for piece in pieces:
        off = 0 if piece.at is None else clock.frame_at(piece.at) + shift - written
        if _is_damage(off, written, clock):
            shift, off = shift - off, 0
        if written and abs(off) <= jitter:
            off = 0
        if off > 0:
            yield from _silence(piece.samples.shape[0], off)
        samples = piece.samples[:, max(0, -off) :]
        if samples.shape[1]:
            yield samples
        written += max(0, off) + samples.shape[1]


def without_padding(pieces: Iterable[Piece], clock: Clock) -> Iterator[Piece]:
    """The pieces, the last one no longer than it is said to last, and with nothing after the declared end.

    MP4 has the true length of the last packet in its table or the end in its edit list, where the decoder gives the whole packet.
    """
    held: Piece | None = None
    for piece in pieces:
        if held is not None:
            yield held
        held = piece
    if held is not None:
        yield replace(held, samples=held.samples[:, : _true_length(held, clock)])


def _is_damage(off: int, written: int, clock: Clock) -> bool:
    """Whether a timestamp cannot be meant: far ahead, beyond the declared end, or far back in the middle."""
    if off < 0:
        return written > 0 and -off > LONGEST_OVERLAP * clock.rate
    return off > LONGEST_GAP * clock.rate or (clock.last is not None and written + off > clock.last + clock.rate)


def _true_length(piece: Piece, clock: Clock) -> int:
    length = int(piece.samples.shape[1])
    if piece.lasts:
        length = min(length, round(piece.lasts * clock.rate))
    if piece.at is None or clock.last is None:
        return length
    over = clock.frame_at(piece.at) + length - clock.last
    # Edit lists often count milliseconds: an end is no sharper than that.
    return max(0, length - over) if over * 1000 > clock.rate else length


def _silence(channels: int, frames: int) -> Iterator[Samples]:
    """So many frames of silence, in blocks."""
    for start in range(0, frames, 1 << 16):
        yield np.zeros((channels, min(1 << 16, frames - start)), np.float32)

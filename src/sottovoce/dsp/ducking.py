"""Ducking: music steps down before a voice begins and comes back after it, as a smooth gain curve.

The curve is known ahead of time, so the music is fully down before the first syllable, stays down over short pauses, and rises and falls as
a raised cosine in decibels, which has no corner to hear. How far it steps down is one number, whatever the level of the music.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sottovoce.dsp import spans as span
from sottovoce.dsp.spans import Span

#: What makes the music step down.
CauseKind = Literal["speech", "sound", "clip music"]


def depth_of(ratio: float) -> float:
    """How far music is lowered by a ducking ratio, in dB: 20*log10(ratio); 1 is none, 3 is 9.5 dB, 6 is 15.6 dB."""
    return 20 * math.log10(ratio)


@dataclass(frozen=True)
class Ducking:
    """How the music steps down: by `depth` dB within `attack` seconds, `look_ahead` seconds before the cause begins.

    It stays down over pauses up to `hold` seconds and comes back within `release` seconds.
    """

    depth: float
    look_ahead: float = 0.08
    attack: float = 0.25
    hold: float = 1.5
    release: float = 1.2


def shared(ducking: Ducking, share: float) -> Ducking:
    """The same movement for a part of the music that takes only a share (0-1) of the ratio; a ratio below 1 is none at all."""
    return replace(ducking, depth=depth_of(max(1.0, share * 10 ** (ducking.depth / 20))))


#: For music that the clip itself has: out of its way, slowly.
STEP_ASIDE = Ducking(depth=26.0, look_ahead=0.0, attack=1.0, hold=4.0, release=2.0)


@dataclass(frozen=True)
class Cause:
    """Why the music steps down, from `start` to `end` in seconds; RMS of a sound as recorded."""

    kind: CauseKind
    start: float
    end: float
    rms: float | None = None


@dataclass(frozen=True)
class Dip:
    """One step down and back: from `start` to `end` the music is `depth` dB lower; before and after it moves."""

    start: float
    end: float
    depth: float
    attack: float
    release: float
    causes: tuple[Cause, ...] = ()

    @property
    def reach(self) -> Span:
        """From the beginning of the fall to the end of the rise."""
        return self.start - self.attack, self.end + self.release


@dataclass(frozen=True)
class GainCurve:
    """The gain of the music over time; where dips overlap, the deeper one counts."""

    dips: tuple[Dip, ...] = ()

    def decibels(self, seconds: NDArray[np.float64]) -> NDArray[np.float32]:
        """The gain in dB (0 or less) at rising times in seconds."""
        gain = np.zeros(len(seconds), np.float32)
        for dip in self.dips:
            first, last = np.searchsorted(seconds, dip.reach)
            if first < last:
                np.minimum(gain[first:last], _shape(dip, seconds[first:last]), out=gain[first:last])
        return gain

    def block(self, first: int, frames: int, rate: int) -> NDArray[np.float32]:
        """The linear gain (0-1) of `frames` samples from sample `first` on."""
        gain = self.decibels(np.arange(first, first + frames) / rate)
        return np.power(np.float32(10), gain / np.float32(20)) if gain.any() else np.ones(frames, np.float32)

    def lowered(self, seconds: float, *, by: float = 1.0) -> float:
        """In how many of the first `seconds` the music is at least `by` dB lower, to a hundredth."""
        return float(np.count_nonzero(self.decibels(np.arange(round(seconds * 100)) / 100) <= -by) / 100)


@dataclass(frozen=True)
class Beside:
    """What a part of a sound adds where the whole already moves by `whole`, so that the part moves by `own`."""

    own: GainCurve
    whole: GainCurve

    def block(self, first: int, frames: int, rate: int) -> NDArray[np.float32]:
        """The linear factor (-1 to 1, 0 where both move alike) of `frames` samples from sample `first` on."""
        return self.own.block(first, frames, rate) - self.whole.block(first, frames, rate)


def dips_of(causes: Iterable[Cause], ducking: Ducking) -> tuple[Dip, ...]:
    """One dip for each stretch of causes, with pauses up to `hold` seconds filled; none if the depth is 0."""
    ordered = sorted(causes, key=lambda cause: (cause.start, cause.end))
    if ducking.depth <= 0:
        return ()
    stretches = span.bridge(((cause.start, cause.end) for cause in ordered), ducking.hold)
    return tuple(
        Dip(
            start - ducking.look_ahead,
            end,
            ducking.depth,
            ducking.attack,
            ducking.release,
            tuple(cause for cause in ordered if start <= cause.start and cause.end <= end),
        )
        for start, end in stretches
    )


def gain_curve(causes: Sequence[Cause], ducking: Ducking) -> GainCurve:
    """The gain of the music: down for speech and sounds as `ducking` says, out of the way of the clip's own music."""
    heard = [cause for cause in causes if cause.kind != "clip music"]
    music = [cause for cause in causes if cause.kind == "clip music"]
    return GainCurve(dips_of(heard, ducking) + dips_of(music, STEP_ASIDE))


def _shape(dip: Dip, seconds: NDArray[np.float64]) -> NDArray[np.float32]:
    falling = _eased((seconds - (dip.start - dip.attack)) / max(dip.attack, 1e-3))
    rising = _eased((seconds - dip.end) / max(dip.release, 1e-3))
    return (-dip.depth * (falling - rising)).astype(np.float32)


def _eased(part: NDArray[np.float64]) -> NDArray[np.float64]:
    """From 0 to 1 as a raised cosine."""
    return 0.5 - 0.5 * np.cos(np.pi * np.clip(part, 0, 1))

"""Tempo maps: steady stretches, phrases that breathe, and the slowing down before the end; in beats and seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sottovoce.composer.notation import TempoMap

_CURVE = 3.0
_STEPS_PER_BEAT = 4
#: How a phrase of four bars breathes: forward in the middle, back at its end.
_BREATH = (-0.2, 0.6, 0.5, -0.9)


@dataclass(frozen=True)
class Stretch:
    """Beats that share one tempo, in beats a minute."""

    beats: float
    bpm: float

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return self.beats * 60 / self.bpm


def slowing(share: float) -> float:
    """How much longer beats take when the tempo sinks to `share` over them.

    v(x) = (1 + (w^q - 1) x)^(1/q) with q = 3 (Friberg & Sundberg 1999), integrated.
    """
    return _slowed_time(share, 0.0, 1.0)


def _slowed_time(share: float, start: float, end: float) -> float:
    """Time of a part of the slowing down, in units of its own length at the old tempo."""
    if share >= 1:
        return end - start
    fall = float(share**_CURVE - 1)
    power = 1 - 1 / _CURVE
    return float((1 + fall * end) ** power - (1 + fall * start) ** power) / (power * fall)


def tempo_map(stretches: Sequence[Stretch], *, ritardando: float, over: float) -> TempoMap:
    """The map of stretches one after another; the last `over` beats slow down to `ritardando` of their tempo."""
    pieces = list(stretches)
    if ritardando < 1 and over > 0:
        pieces = [*_without_end(pieces, over), *_slowed(pieces, ritardando, over)]
    points: list[tuple[float, float, float]] = []
    beat = seconds = 0.0
    for piece in pieces:
        if not points or abs(points[-1][2] - piece.bpm) > 1e-9:
            points.append((beat, seconds, piece.bpm))
        beat += piece.beats
        seconds += piece.seconds
    if abs(points[-1][2] - stretches[-1].bpm) > 1e-9:
        points.append((beat, seconds, stretches[-1].bpm))
    return TempoMap(tuple(points))


def _without_end(pieces: list[Stretch], over: float) -> list[Stretch]:
    kept: list[Stretch] = []
    left = sum(piece.beats for piece in pieces) - over
    for piece in pieces:
        if left > 1e-9:
            kept.append(Stretch(min(piece.beats, left), piece.bpm))
        left -= piece.beats
    return kept


def _slowed(pieces: list[Stretch], share: float, over: float) -> list[Stretch]:
    steps = max(1, round(over * _STEPS_PER_BEAT))
    width = over / steps
    times = [_slowed_time(share, i / steps, (i + 1) / steps) * steps for i in range(steps)]
    return [Stretch(width, pieces[-1].bpm / time) for time in times]


def breathing(stretch: Stretch, bars: Sequence[float], depth: float) -> list[Stretch]:
    """A stretch whose bars (in beats) hurry and wait by `depth` within phrases of four; it takes exactly as long as before."""
    pieces = [Stretch(beats, stretch.bpm * (1 + depth * _BREATH[i % 4])) for i, beats in enumerate(bars)]
    scale = sum(piece.seconds for piece in pieces) / stretch.seconds
    return [Stretch(piece.beats, piece.bpm * scale) for piece in pieces]

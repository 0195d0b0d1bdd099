"""Fitting music to time: how many beats, at which tempo, with how long a ring, fill a length exactly; and sections on cuts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sottovoce.composer.meter import Meter
from sottovoce.composer.tempo import Stretch, slowing

#: Farthest that a tempo which was asked for is moved to meet a cut.
_ASKED_TOLERANCE = 0.009
_CUE_TOLERANCE = 0.06
_SKIPPED = 1.5
_SHORT_SECONDS, _SHORTER_SECONDS = 25.0, 12.0


@dataclass(frozen=True)
class Room:
    """What a fit may choose from: beats a minute, whether they are free, the meter, the ring in seconds and the slowing down."""

    bpm: float
    free: bool
    meter: Meter
    #: Least, usual and most seconds of the last chord.
    ring: tuple[float, float, float]
    ritardando: float = 1.0
    ritardando_beats: float = 0.0

    @property
    def extra(self) -> float:
        """Beats' worth of time that slowing down costs."""
        return self.ritardando_beats * (slowing(self.ritardando) - 1)


@dataclass(frozen=True)
class Fit:
    """Beats and tempo up to the last chord, the seconds it rings, and how far from ideal that is."""

    beats: float
    bpm: float
    ring: float
    cost: float


def fit_length(seconds: float, room: Room) -> Fit:
    """The best fit of a stretch that ends the piece: body and ring together last exactly `seconds`."""
    fits = [fit for beats in _lengths(seconds, room) for fit in _fits(seconds, beats, room)]
    if not fits:
        raise ValueError(f"no form of {room.meter.name} at {room.bpm:g} beats a minute fills {seconds:g} s")
    return min(fits, key=lambda fit: (fit.cost, fit.beats))


def _lengths(seconds: float, room: Room) -> Iterator[float]:
    """Lengths in beats worth trying: whole bars, and where bars are coarse, bars with a shorter one at the end."""
    most = (seconds - room.ring[0] * 0.5) * room.bpm * 1.25 / 60
    bar = room.meter.beats
    bar_seconds = bar * 60 / room.bpm
    remainders: tuple[float, ...] = (0.0, *room.meter.remainders)
    if seconds < _SHORT_SECONDS or bar_seconds > 4 or not room.free:
        remainders = tuple(_beat * room.meter.pulse for _beat in range(round(bar / room.meter.pulse)))
    for bars in range(int(most / bar) + 1):
        for remainder in remainders:
            if 0 < bars * bar + remainder <= most:
                yield bars * bar + remainder


def _fits(seconds: float, beats: float, room: Room) -> Iterator[Fit]:
    least, usual, most = _ring(seconds, room)
    time = (beats + room.extra) * 60
    if not room.free:
        ring = seconds - time / room.bpm
        if least <= ring <= most:
            yield Fit(beats, room.bpm, ring, _cost(beats, room.bpm, ring - usual, room))
        return
    tolerance = 0.06 if seconds >= _SHORT_SECONDS else (0.1 if seconds >= _SHORTER_SECONDS else 0.25)
    for step in range(9):
        ring = least + (most - least) * step / 8
        bpm = time / (seconds - ring)
        if abs(bpm / room.bpm - 1) <= tolerance:
            yield Fit(beats, bpm, ring, _cost(beats, bpm, ring - usual, room))


def _ring(seconds: float, room: Room) -> tuple[float, float, float]:
    """The ring's range for a length: shorter in short pieces, and long enough at the top that some beat always fits."""
    least, usual, most = room.ring
    least, usual, most = min(least, 0.2 * seconds), min(usual, 0.3 * seconds), min(most, 0.45 * seconds)
    if not room.free:
        beat = room.meter.pulse * 60 / room.bpm
        most = max(most, least + beat * 1.01)
    return least, usual, most


def _cost(beats: float, bpm: float, ring_error: float, room: Room) -> float:
    bars = beats / room.meter.beats
    broken = 0.0 if abs(bars - round(bars)) < 1e-6 else (1.0 if (bars * 2) % 1 < 1e-6 else 1.6)
    odd = 0.0 if broken or round(bars) % 2 == 0 else 0.5
    return ((bpm / room.bpm - 1) / 0.03) ** 2 + broken + odd + 0.4 * ring_error**2


@dataclass(frozen=True)
class CueFit:
    """Stretches between the cues that are met, the ring, the cost, and the cues in seconds."""

    stretches: tuple[Stretch, ...]
    ring: float
    cost: float
    met: tuple[float, ...] = ()


def fit_cues(seconds: float, cues: Sequence[float], room: Room) -> CueFit:
    """The fit of a whole piece whose sections begin on as many cues as tempo allows.

    Dynamic programme over the cues, at several base tempi: a skipped one costs 1.5, bent tempo and broken bars cost too.
    """
    bases = [room.bpm * (1 + 0.01 * step) for step in range(-5, 6)] if room.free and cues else [room.bpm]
    return min((_chain(seconds, cues, room, base) for base in bases), key=lambda fit: fit.cost)


def _chain(seconds: float, cues: Sequence[float], room: Room, base: float) -> CueFit:
    apart = max(5.5, 2 * room.meter.beats * 60 / base)
    marks = [0.0, *(cue for cue in sorted(set(cues)) if apart <= cue <= seconds - room.ring[1] - apart)]
    best: list[CueFit | None] = [CueFit((), 0.0, 0.5 * ((base / room.bpm - 1) / 0.03) ** 2)]
    for j in range(1, len(marks)):
        best.append(_best_way(marks, best, j, _Step(room, base, apart)))
    ends = [_ended(marks, best, i, _End(seconds, room, base)) for i in range(len(marks))]
    return min((end for end in ends if end is not None), key=lambda fit: fit.cost)


@dataclass(frozen=True)
class _Step:
    room: Room
    base: float
    apart: float


@dataclass(frozen=True)
class _End:
    seconds: float
    room: Room
    base: float


def _best_way(marks: list[float], best: list[CueFit | None], j: int, step: _Step) -> CueFit | None:
    """The cheapest way to a mark from one before it, at most 45 s back."""
    found: CueFit | None = None
    for i in range(j - 1, -1, -1):
        gap, before = marks[j] - marks[i], best[i]
        if gap > 45 and found is not None:
            break
        if before is None or gap < step.apart:
            continue
        for stretch, cost in _bridges(gap, step):
            total = before.cost + cost + _SKIPPED * (j - i - 1)
            if found is None or total < found.cost:
                found = CueFit((*before.stretches, stretch), 0.0, total, (*before.met, marks[j]))
    return found


def _bridges(gap: float, step: _Step) -> Iterator[tuple[Stretch, float]]:
    """Stretches of whole beats that last exactly as long as the gap, with their costs."""
    unit, bar = step.room.meter.pulse, step.room.meter.beats
    middle = round(gap * step.base / 60 / unit)
    tolerance = _CUE_TOLERANCE if step.room.free else _ASKED_TOLERANCE
    for count in (middle - 2, middle - 1, middle, middle + 1, middle + 2):
        beats = count * unit
        bpm = beats * 60 / gap
        bend = bpm / step.base - 1
        if beats > 0 and abs(bend) <= tolerance:
            rest = beats % bar
            broken = 0.0 if rest < 1e-6 else (0.2 if abs(rest - bar / 2) < 1e-6 else 0.5)
            yield Stretch(beats, bpm), 0.5 * (bend / 0.03) ** 2 + broken


def _ended(marks: list[float], best: list[CueFit | None], i: int, end: _End) -> CueFit | None:
    """The piece brought to its end from a mark on; marks far from the end are only tried when there is no other."""
    before = best[i]
    if before is None or (i and i < len(marks) - 6):
        return None
    room = Room(
        end.base, end.room.free, end.room.meter, end.room.ring, end.room.ritardando, end.room.ritardando_beats
    )  # fmt: skip
    fit = fit_length(end.seconds - marks[i], room)
    cost = before.cost + fit.cost + _SKIPPED * (len(marks) - 1 - i)
    return CueFit((*before.stretches, Stretch(fit.beats, fit.bpm)), fit.ring, cost, before.met)

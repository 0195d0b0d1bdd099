"""Motifs: a rhythm of two bars with a contour in scale steps, and the ways in which it develops."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from sottovoce.composer.cells import Step
from sottovoce.composer.rng import between, chance, pick, weighted, whole

#: Contours: where the line is, 0 lowest to 1 highest, at five places from its beginning to its end.
_CONTOURS: tuple[tuple[tuple[float, ...], float], ...] = (
    ((0.2, 0.6, 1.0, 0.7, 0.3), 0.4),
    ((1.0, 0.8, 0.6, 0.3, 0.1), 0.2),
    ((0.0, 0.3, 0.5, 0.8, 0.9), 0.15),
    ((0.5, 0.9, 0.4, 0.1, 0.5), 0.25),
)
_TRIES = 16


@dataclass(frozen=True)
class Motif:
    """Steps of rhythm over two bars, and for each the place on the scale above (or below) the anchor."""

    rhythm: tuple[Step, ...]
    places: tuple[int, ...]

    def bar(self, place: int, beats: float) -> list[tuple[Step, int]]:
        """What falls in the first (0) or second (1) bar, counted from its bar line."""
        return [
            (Step(step.beat - place * beats, step.length, step.what), height)
            for step, height in zip(self.rhythm, self.places, strict=True)
            if place * beats - 1e-6 <= step.beat < (place + 1) * beats - 1e-6
        ]


def invent(rhythm: Sequence[Step], rng: Random, *, span: int) -> Motif:
    """A new motif on a rhythm: the best of a few lines that follow a contour about `span` scale steps high, mostly by step."""
    contour = weighted(rng, _CONTOURS)
    span = min(span, max(2, round(len(rhythm) * 0.6)))
    lines = [_line(len(rhythm), contour, span, rng) for _ in range(_TRIES)]
    places = min(lines, key=_awkward)
    return Motif(tuple(rhythm), tuple(place - places[0] for place in places))


def _line(count: int, contour: tuple[float, ...], span: int, rng: Random) -> list[int]:
    return [
        round(_height(contour, index / max(1, count - 1)) * span + between(rng, -0.7, 0.7)) for index in range(count)
    ]


def _height(contour: tuple[float, ...], x: float) -> float:
    at = min(len(contour) - 2, int(x * (len(contour) - 1)))
    part = x * (len(contour) - 1) - at
    return contour[at] * (1 - part) + contour[at + 1] * part


def _awkward(places: list[int]) -> float:
    """How far a line is from singable: repeats, many leaps, a top that comes twice, no movement at all."""
    moves = [b - a for a, b in itertools.pairwise(places)]
    cost = 0.6 * sum(move == 0 for move in moves) + 1.0 * sum(abs(move) in (3, 4) for move in moves)
    cost += 0.35 * sum(abs(move) == 2 for move in moves)
    cost += 2.0 * sum(abs(move) > 4 for move in moves) + 0.8 * (places.count(max(places)) - 1)
    return cost + (1.5 if len(places) > 2 and len(set(places)) < 3 else 0.0)


def sequence(motif: Motif, rng: Random) -> Motif:
    """The same a step or two higher or lower."""
    shift = pick(rng, (-2, -1, 1, 2))
    return Motif(motif.rhythm, tuple(place + shift for place in motif.places))


def new_ending(motif: Motif, rng: Random) -> Motif:
    """The same with another last third."""
    keep = max(1, len(motif.places) * 2 // 3)
    tail = [motif.places[keep - 1]]
    for _ in motif.places[keep:]:
        tail.append(tail[-1] + pick(rng, (-2, -1, -1, 1, 1, 2)))
    return Motif(motif.rhythm, (*motif.places[:keep], *tail[1:]))


def fragment(motif: Motif, rng: Random) -> Motif:
    """Its first half twice, the second time moved."""
    middle = (motif.rhythm[-1].beat + motif.rhythm[-1].length) / 2
    bar = 4.0 if middle > 3 else 3.0
    head = [(step, place) for step, place in zip(motif.rhythm, motif.places, strict=True) if step.beat < bar - 1e-6]
    if not head:
        return motif
    shift = pick(rng, (-1, 1, 2))
    again = [(Step(step.beat + bar, step.length, step.what), place + shift) for step, place in head]
    steps, places = zip(*head, *again, strict=True)
    return Motif(tuple(steps), tuple(places))


def inverted(motif: Motif, rng: Random) -> Motif:
    """Upside down, starting where it started or a third above."""
    start = pick(rng, (0, 2))
    return Motif(motif.rhythm, tuple(start - place for place in motif.places))


def ornamented(motif: Motif, rng: Random) -> Motif:
    """One of its longer notes in two, by way of a neighbour."""
    able = [index for index, step in enumerate(motif.rhythm) if step.length >= 1.0]
    if not able:
        return sequence(motif, rng)
    at = pick(rng, able)
    step, place = motif.rhythm[at], motif.places[at]
    half = 0.5 if step.length < 2 else 1.0
    first = Step(step.beat, step.length - half, step.what)
    second = Step(step.beat + step.length - half, half, step.what)
    neighbour = place + pick(rng, (-1, 1))
    rhythm = (*motif.rhythm[:at], first, second, *motif.rhythm[at + 1 :])
    return Motif(rhythm, (*motif.places[: at + 1], neighbour, *motif.places[at + 1 :]))


def thinned(motif: Motif, rng: Random) -> Motif:
    """One inner note less; the one before holds on."""
    if len(motif.rhythm) < 4:
        return new_ending(motif, rng)
    at = whole(rng, 1, len(motif.rhythm) - 2)
    before, gone = motif.rhythm[at - 1], motif.rhythm[at]
    joined = Step(before.beat, gone.beat + gone.length - before.beat, before.what)
    rhythm = (*motif.rhythm[: at - 1], joined, *motif.rhythm[at + 1 :])
    return Motif(rhythm, (*motif.places[:at], *motif.places[at + 1 :]))


_WAYS: tuple[tuple[Callable[[Motif, Random], Motif], float], ...] = (
    (sequence, 0.3),
    (new_ending, 0.28),
    (fragment, 0.12),
    (inverted, 0.06),
    (ornamented, 0.14),
    (thinned, 0.10),
)


def developed(motif: Motif, rng: Random) -> Motif:
    """The motif changed in one way, at times in two."""
    changed = weighted(rng, _WAYS)(motif, rng)
    return weighted(rng, _WAYS[:2])(changed, rng) if chance(rng, 0.25) else changed

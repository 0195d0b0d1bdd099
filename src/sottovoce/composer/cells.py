"""The small languages that styles write their figures in, read into values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from random import Random

from sottovoce.composer.meter import Meter, cells_for
from sottovoce.composer.rng import pick
from sottovoce.composer.style import Cells

#: Rows of a kit's cell -> General MIDI keys.
DRUM_KEYS = {"K": 36, "S": 38, "P": 37, "C": 39, "H": 42, "O": 46, "R": 51, "Y": 49, "B": 40, "X": 70, "L": 41, "T": 45, "U": 48}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """A place in a bar in beats, its length, and what sounds there (a degree, or voices)."""

    beat: float
    length: float
    what: str


@lru_cache(maxsize=1024)
def bass_steps(cell: str) -> tuple[Step, ...]:
    """`0:R:1.5 2.5:5:.5` -> steps with degrees."""
    words = [word.split(":") for word in cell.split()]
    return tuple(Step(float(beat), float(length), degree) for beat, degree, length in words)


@lru_cache(maxsize=1024)
def comp_steps(cell: str) -> tuple[Step, ...]:
    """`0:2:r 2.5:1:t` -> steps with voices."""
    words = [word.split(":") for word in cell.split()]
    return tuple(Step(float(beat), float(length), voices) for beat, length, voices in words)


@lru_cache(maxsize=1024)
def drum_rows(cell: str) -> tuple[tuple[int, str], ...]:
    """`K 9...5...;H 6.3.` -> (key, sixteenths) for each drum."""
    rows = [row.strip().split() for row in cell.split(";")]
    return tuple((DRUM_KEYS[name], places) for name, places in rows)


@lru_cache(maxsize=1024)
def rhythm(cell: str) -> tuple[Step, ...]:
    """`x--.x.` -> steps on sixteenths; `|` is only for the eye."""
    steps: list[Step] = []
    for index, mark in enumerate(cell.replace("|", "").replace(" ", "")):
        if mark == "x":
            steps.append(Step(index / 4, 0.25, "x"))
        elif mark == "-" and steps:
            last = steps[-1]
            steps[-1] = Step(last.beat, last.length + 0.25, "x")
    return tuple(steps)


@lru_cache(maxsize=256)
def loop(cell: str) -> tuple[float, tuple[float, ...]]:
    """`7|0 2.5 5` -> length of the loop and its onsets, in beats."""
    length, onsets = cell.split("|")
    return float(length), tuple(float(onset) for onset in onsets.split())


def within(steps: tuple[Step, ...], bar_beats: float, usual_beats: float) -> list[Step]:
    """The steps that fit a bar; a bar longer than usual goes on from the cell's beginning."""
    fitting = [step for step in steps if step.beat < min(bar_beats, usual_beats) - 1e-6]
    if bar_beats > usual_beats:
        again = [Step(step.beat + usual_beats, step.length, step.what) for step in steps]
        fitting += [step for step in again if step.beat < bar_beats - 1e-6]
    return [Step(step.beat, min(step.length, bar_beats - step.beat), step.what) for step in fitting]


def by_energy(cells: Cells, meter: Meter, energy: float, rng: Random) -> str:
    """One of the cells, which go from sparse to full: around the place that the energy points at."""
    able = cells_for(cells, meter)
    place = min(len(able) - 1, max(0, round(energy * (len(able) - 1) + (rng.random() - 0.5) * 1.2)))
    return able[place]


def rotation(cells: Cells, meter: Meter, energy: float, rng: Random) -> tuple[str, ...]:
    """Four cells for a phrase of four bars: mostly one, with another in the second or last bar, never three alike."""
    able = cells_for(cells, meter)
    main = by_energy(cells, meter, energy, rng)
    others = [cell for cell in able if cell != main]
    if not others:
        return (main,)
    other, third = pick(rng, others), pick(rng, others)
    return (main, other, main, third) if rng.random() < 0.5 else (main, main, other, third)

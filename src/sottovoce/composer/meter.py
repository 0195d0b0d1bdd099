"""Time signatures as the composer counts them, in quarter notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Meter:
    """A time signature: beats of a written bar, of the bar it is thought in, of the felt pulse, and its strong beats.

    2/4 is thought in bars of four, so that grooves and phrases breathe; its bar lines are written every two beats.
    """

    name: str
    written: float
    beats: float
    pulse: float
    strong: tuple[float, ...]
    #: Rests of a bar that a section may end with, to reach an exact length or a cut.
    remainders: tuple[float, ...]


METERS: dict[str, Meter] = {
    "2/4": Meter("2/4", 2.0, 4.0, 1.0, (0.0, 2.0), (2.0,)),
    "3/4": Meter("3/4", 3.0, 3.0, 1.0, (0.0,), (2.0,)),
    "4/4": Meter("4/4", 4.0, 4.0, 1.0, (0.0, 2.0), (2.0,)),
    "6/8": Meter("6/8", 3.0, 3.0, 1.5, (0.0, 1.5), (1.5,)),
}


def cells_for(cells: Mapping[str, tuple[str, ...]], meter: Meter) -> tuple[str, ...]:
    """The cells for a meter; those of 4/4 where a style has none of its own (what lies behind the bar line falls away)."""
    name = "4/4" if meter.name == "2/4" else meter.name
    return cells.get(name) or cells.get("4/4") or ()


def accent(meter: Meter, beat: float) -> float:
    """How strongly a place in the bar is stressed, 0.68-1: the downbeat, other strong beats, beats, off-beats."""
    if abs(beat) < 1e-6:
        return 1.0
    if any(abs(beat - strong) < 1e-6 for strong in meter.strong):
        return 0.92
    offset = beat / meter.pulse
    return 0.82 if abs(offset - round(offset)) < 1e-6 else 0.7


def is_strong(meter: Meter, beat: float) -> bool:
    """Whether a place in the bar is a strong beat."""
    return any(abs(beat - strong) < 1e-6 for strong in meter.strong)

"""Progress of a piece of work, as a value; a callback that raises stops the work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Progress:
    """How far the work is: `percent` of the whole (0-100), the stage by name, its steps, and seconds left if known."""

    stage: str
    percent: float
    step: int | None = None
    total: int | None = None
    eta: float | None = None


#: Called between pieces of work; raising from it (`errors.Cancelled`) stops the work at once.
OnProgress = Callable[[Progress], None]


def ignore(progress: Progress) -> None:
    """The callback of those who do not ask."""


def within(report: OnProgress, start: float, end: float) -> OnProgress:
    """A callback for a part of the work: its 0-100 % become `start`-`end` % of the whole."""

    def scaled(progress: Progress) -> None:
        report(replace(progress, percent=start + (end - start) * progress.percent / 100))

    return scaled


def rising(report: OnProgress) -> OnProgress:
    """A callback whose percent never falls, though work may be begun again."""
    reached = 0.0

    def held(progress: Progress) -> None:
        nonlocal reached
        reached = max(reached, progress.percent)
        report(replace(progress, percent=reached))

    return held

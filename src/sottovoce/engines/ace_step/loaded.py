"""A pipeline that is in memory, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sottovoce.engines.ace_step.expectation import Work, expected
from sottovoce.engines.ace_step.memory import Needs
from sottovoce.engines.ace_step.places import Place

if TYPE_CHECKING:
    from diffusers import AceStepPipeline

    from sottovoce.engines.ace_step.pipeline import Way


@dataclass(frozen=True, eq=False)
class Loaded:
    """A pipeline in memory, where it came from and how it is kept; `learnt` are the seconds a latent frame takes by stage."""

    pipe: AceStepPipeline
    place: Place
    way: Way
    needs: Needs
    learnt: dict[str, float] = field(default_factory=dict)

    def expected(self, work: Work, tracks: int) -> dict[str, float]:
        """Seconds by stage that so many tracks at once are likely to take."""
        return time_of(work, tracks, self.needs, self.way, self.learnt)


def time_of(work: Work, tracks: int, needs: Needs, way: Way, learnt: Mapping[str, float]) -> dict[str, float]:
    """The same of a pipeline that is not in memory yet."""
    numbers = needs.parts["transformer"] // (2 if way.precision == "bfloat16" else 4)
    return expected(work, tracks, numbers, way.device, learnt)

"""Where a planner comes in: a language model that settles what was left open, and sketches the music as codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sottovoce.engines.base import Run
from sottovoce.prompt import Prompt

#: Codes that stand for a second of music.
CODES_A_SECOND = 5


@dataclass(frozen=True)
class Planned:
    """What a planner settled (None: left open), and for each seed its codes (`<|audio_code_N|>` after one another); none: no codes."""

    caption: str
    codes: tuple[str, ...] = ()
    bpm: int | None = None
    key: str | None = None
    meter: str | None = None
    language: str | None = None
    notes: tuple[str, ...] = ()
    #: What was planned and by what, for the recipe.
    echo: Mapping[str, Any] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many codes each track has."""
        return self.codes[0].count("<|") if self.codes else 0


class Planner(Protocol):
    """Plans music before it is made; what the prompt settles stays as it is."""

    def expected(self, seconds: float, tracks: int) -> float:
        """The seconds that a plan, and codes for so many tracks (0: none), are likely to take."""

    def plan(
        self, prompt: Prompt, caption: str, seconds: float, seeds: Sequence[int], run: Run, *, sketch: bool = True
    ) -> Planned:
        """A plan for `seconds` of music, a whole number of codes, and with `sketch` the codes; the same for the same seeds."""

    def close(self) -> None:
        """Give the memory back."""

"""What can be asked for: each task is one frozen request and one function that does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sottovoce.engines.catalog import Catalog
from sottovoce.tasks.generate import Generate, generate
from sottovoce.tasks.mood import ReadMood, read_mood
from sottovoce.tasks.outcome import Outcome, TaskRun
from sottovoce.tasks.pull import Pull, pull
from sottovoce.tasks.request import Request
from sottovoce.tasks.score import Score, score
from sottovoce.tasks.separate import Separate, separate


@dataclass(frozen=True)
class Task:
    """A kind of request and the function that does it."""

    request: type[Request]
    function: Callable[[Any, Catalog, TaskRun], Outcome]


#: Every task by its kind.
TASKS: dict[str, Task] = {
    "generate": Task(Generate, generate),
    "separate": Task(Separate, separate),
    "score": Task(Score, score),
    "mood": Task(ReadMood, read_mood),
    "pull": Task(Pull, pull),
}

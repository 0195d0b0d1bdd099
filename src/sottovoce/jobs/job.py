"""Job: one asking, from the moment it is filed to its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["queued", "running", "done", "failed", "cancelled"]
Lane = Literal["interactive", "batch"]

#: The states in which nothing more happens to a job.
ENDED: tuple[State, ...] = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Job:
    """One asking. Times are ISO 8601 in UTC; `percent` is 100 only when the result is published; `eta` is in seconds.

    `position` counts from 1 while the job waits. `error` is an error's code, message, hint and details; `result` names what was made:
    its report, tracks and files. `owner` is a token's id, empty for this machine's own user.
    """

    id: str
    owner: str
    kind: str
    lane: Lane
    request: Mapping[str, Any]
    state: State
    percent: float
    stage: str | None
    step: int | None
    total: int | None
    eta: float | None
    position: int | None
    attempt: int
    error: Mapping[str, Any] | None
    result: Mapping[str, Any] | None
    created: str
    started: str | None
    ended: str | None

    @property
    def over(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in ENDED

    def as_dict(self) -> dict[str, Any]:
        """What surfaces show, ready for JSON."""
        return dict(vars(self))


def lane_of(kind: str, request: Mapping[str, Any]) -> Lane:
    """Where a job waits if nobody says: one piece that someone is waiting for goes before separations and several versions."""
    several = (request.get("versions") or 1) > 1
    return "batch" if kind == "separate" or several else "interactive"


@dataclass(frozen=True)
class Estimate:
    """What a job would take, as the jobs like it took here lately; in seconds.

    `work` is None where none like it was done here, else from so many `runs`; `engine` is the one that did the last of them. `position` and
    `wait` are those of a job filed now.
    """

    work: float | None
    runs: int
    engine: str | None
    position: int
    wait: float

    def as_dict(self) -> dict[str, Any]:
        """What surfaces show, ready for JSON."""
        return dict(vars(self))

"""Event: one thing that happened to a job; every view of progress is made of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

EventKind = Literal["queued", "running", "progress", "done", "failed", "cancelled"]


@dataclass(frozen=True)
class Event:
    """`seq` rises over the events of all jobs; `data` is what the job's fields became."""

    seq: int
    job: str
    kind: EventKind
    data: Mapping[str, Any]

"""Jobs in the words that several other servers share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sottovoce.jobs.job import Job, State

#: What they call the states of a job; none of them can cancel one.
STATUS: Mapping[State, str] = {
    "queued": "queued",
    "running": "processing",
    "done": "completed",
    "failed": "failed",
    "cancelled": "failed",
}


def reason(job: Job) -> str | None:
    """Why a job made nothing, cause and cure in one text; None if it did, or is not over."""
    if job.state == "cancelled":
        return "cancelled"
    return None if job.error is None else in_one(job.error["message"], job.error["hint"])


def in_one(message: str, hint: str) -> str:
    """Cause and cure, for a wire that has room for one text."""
    return f"{message}. {hint}" if hint else message


def told(job: Job) -> dict[str, Any]:
    """What no such wire has a field for: the engine that separated, who was passed over and why, and what else is to be known."""
    report = (job.result or {}).get("report", {})
    return {name: report[name] for name in ("engine", "skipped", "notes") if name in report}

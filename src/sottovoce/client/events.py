"""Server-sent events of a job, put together from the pieces they come in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

import httpx

from sottovoce.client.wire import TIMEOUT, Deadline, error_of
from sottovoce.errors import Cancelled
from sottovoce.jobs.events import Event, EventKind
from sottovoce.jobs.job import ENDED, Job
from sottovoce.progress import Progress

#: The server says something every 15 seconds; one that is silent for longer than this has gone.
SILENCE_SECONDS = 45.0
#: Pauses before a stream that broke is taken up again: a server that is started anew takes a while.
PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)


class Feed:
    """What happened to a job after the event `last`, each once and in order, over however many connections."""

    def __init__(self, last: int = 0) -> None:
        self.last, self.over = last, False
        self._rest = b""
        self._fields: dict[str, str] = {}

    def begin(self) -> dict[str, str]:
        """The headers that ask for what is missing; half an event that came before is forgotten."""
        self._rest, self._fields = b"", {}
        return {"Accept": "text/event-stream", **({"Last-Event-ID": str(self.last)} if self.last else {})}

    def opens(self, answer: httpx.Response) -> bool:
        """Whether an answer brings events; 204 says that there are no more."""
        self.over = answer.status_code == 204
        return answer.status_code == 200 and answer.headers.get("content-type", "").startswith("text/event-stream")

    def check_over(self) -> None:
        """A stream that ends before the job does has broken off, however politely."""
        if not self.over:
            raise httpx.RemoteProtocolError("the stream ended before the job did")

    def take(self, piece: bytes) -> Iterator[Event]:
        """The events that a piece of the stream completes."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            event = self._line(line.rstrip(b"\r").decode("utf-8", "replace"))
            if event is not None and event.seq > self.last:
                self.last, self.over = event.seq, event.kind in ENDED
                yield event

    def _line(self, line: str) -> Event | None:
        if line:
            name, _, value = line.partition(":")
            self._fields[name] = value.removeprefix(" ")
            return None
        fields, self._fields = self._fields, {}
        return _event(fields)


def _event(fields: dict[str, str]) -> Event | None:
    """An event from its lines; None for what a newer server may tell beside those we know."""
    try:
        told: dict[str, Any] = json.loads(fields["data"])
        seq, kind, job = int(fields["id"]), fields["event"], str(told.pop("job"))
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
    told.pop("kind", None)
    kinds: tuple[EventKind, ...] = get_args(EventKind)
    return next((Event(seq, job, known, told) for known in kinds if known == kind), None)


def patience(deadline: Deadline) -> httpx.Timeout:
    """How long a stream may be silent."""
    return httpx.Timeout(deadline.within(SILENCE_SECONDS), connect=TIMEOUT.connect)


def progress_of(event: Event) -> Progress:
    """How far a job is after an event."""
    data = event.data
    stage, percent = data.get("stage") or event.kind, float(data.get("percent") or 0.0)
    return Progress(stage, percent, data.get("step"), data.get("total"), data.get("eta"))


def ended(job: Job) -> Job:
    """A job that is over and done; the error of one that is not is raised."""
    if job.state == "cancelled":
        raise Cancelled(f"job {job.id} was cancelled")
    if job.error is not None:
        raise error_of(job.error)
    return job

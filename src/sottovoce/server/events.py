"""Progress as a stream of server-sent events: one task reads what is new of all jobs and hands it to whoever listens to one of them."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from anyio.to_thread import run_sync

from sottovoce import errors
from sottovoce.jobs.events import Event
from sottovoce.jobs.job import ENDED, Job
from sottovoce.jobs.queue import Queue
from sottovoce.plain import plain

_LOG = logging.getLogger(__name__)

POLL_SECONDS = 0.25
#: Something is said at least this often, so that proxies and browsers do not take the stream for dead.
COMMENT_SECONDS = 15.0
#: Listeners at once; a browser takes one for each job it shows.
MOST_LISTENERS = 200
_PAGE = 1000
#: How long a browser waits before it comes back, in milliseconds.
_RETRY = 2000


@dataclass(frozen=True, eq=False)
class Listener:
    """Someone who listens to a job; None in the mailbox means that the stream is torn."""

    job: str
    mailbox: asyncio.Queue[Event | None] = field(default_factory=lambda: asyncio.Queue(_PAGE))


class Hub:
    """Hands new events to the listeners of a server. It reads only while someone listens, and belongs to one event loop."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self._listeners: set[Listener] = set()
        self._watch: asyncio.Task[None] | None = None
        self._seen = 0

    def check_room(self) -> None:
        """RateLimited if too many listen already."""
        if len(self._listeners) >= MOST_LISTENERS:
            raise errors.RateLimited(
                f"{MOST_LISTENERS} streams are open, which is the most", hint="Close some.", details={"retry_after": 5}
            )

    @contextmanager
    def listening(self, job: str, after: int) -> Iterator[Listener]:
        """A listener for what happens to a job from now on; `after` is what the caller has seen, where reading starts if nobody listened."""
        listener = Listener(job)
        if self._watch is None or self._watch.done():
            self._seen = after
            self._watch = asyncio.create_task(self._watching())
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    async def _watching(self) -> None:
        try:
            await asyncio.sleep(0)
            while self._listeners:
                for event in await self._new():
                    self._seen = event.seq
                    self._hand_out(event)
                await asyncio.sleep(POLL_SECONDS)
        finally:
            for listener in self._listeners:
                _tear(listener)

    async def _new(self) -> tuple[Event, ...]:
        try:
            return await run_sync(partial(self.queue.events, after=self._seen, limit=_PAGE))
        except errors.StorageError as error:
            _LOG.warning("events cannot be read just now: %s", error.message)
            return ()

    def _hand_out(self, event: Event) -> None:
        for listener in self._listeners:
            if listener.job != event.job:
                continue
            try:
                listener.mailbox.put_nowait(event)
            except asyncio.QueueFull:
                _tear(listener)


async def stream(hub: Hub, job: Job, after: int) -> AsyncIterator[bytes]:
    """A job's events after the one with the number `after`, up to its end; what was missed first, then as they happen."""
    yield f"retry: {_RETRY}\n\n".encode()
    async with aclosing(_events(hub, job, after)) as events:
        async for event in events:
            if event is None:
                yield b": still here\n\n"
                continue
            yield _written(event)
            if event.kind in ENDED:
                return


async def missed(hub: Hub, job: str, after: int) -> tuple[Event, ...]:
    """Everything that happened to a job after an event."""
    found: list[Event] = []
    while True:
        last = found[-1].seq if found else after
        page = await run_sync(partial(hub.queue.events, after=last, job=job, limit=_PAGE))
        found += page
        if len(page) < _PAGE:
            return tuple(found)


async def _events(hub: Hub, job: Job, after: int) -> AsyncGenerator[Event | None]:
    """Events in order and once each; None where nothing happened for a while.

    The past is read again once the listener is there: what happened in between is in one of them.
    """
    for event in await missed(hub, job.id, after):
        after = event.seq
        yield event
    with hub.listening(job.id, after) as listener:
        for event in await missed(hub, job.id, after):
            after = event.seq
            yield event
        while True:
            try:
                new = await asyncio.wait_for(listener.mailbox.get(), COMMENT_SECONDS)
            except TimeoutError:
                yield None
                continue
            if new is None:
                return
            if new.seq > after:
                after = new.seq
                yield new


def _written(event: Event) -> bytes:
    data: Mapping[str, Any] = {"job": event.job, "kind": event.kind, **event.data}
    text = json.dumps(plain(data), allow_nan=False, separators=(",", ":"))
    return f"id: {event.seq}\nevent: {event.kind}\ndata: {text}\n\n".encode()


def _tear(listener: Listener) -> None:
    """End a stream whose reader is too slow, or that nobody feeds any more; the browser comes back and asks for what it missed."""
    while not listener.mailbox.empty():
        listener.mailbox.get_nowait()
    listener.mailbox.put_nowait(None)

"""AsyncClient: a studio elsewhere, asked over HTTP without blocking."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
from anyio import sleep
from anyio.to_thread import run_sync

from sottovoce.client import events as stream
from sottovoce.client import routes, transfer
from sottovoce.client.events import Feed
from sottovoce.client.routes import Wish
from sottovoce.client.values import SentFile, ServedFile, ServedTrack
from sottovoce.client.wire import TIMEOUT, Call, Deadline, Tries, checked_address, checked_token, content_of, refusal
from sottovoce.jobs.events import Event
from sottovoce.jobs.job import Job, Lane, State
from sottovoce.progress import OnProgress, ignore

T = TypeVar("T")


class AsyncClient:
    """The `Client` for asyncio and trio, method by method: `async with AsyncClient(url) as client: await client.health()`."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = checked_address(url)
        self._token = checked_token(token)
        self._http = httpx.AsyncClient(base_url=self.url, timeout=TIMEOUT, follow_redirects=False, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def health(self) -> dict[str, Any]:
        """Whether the server answers, and its version; no token is shown for it."""
        return await self._done(routes.health())

    async def submit(
        self, wish: str | Wish, *, lane: Lane | None = None, idempotency_key: str | None = None, **fields: Any
    ) -> Job:
        """File a job: a kind (`generate`, `separate`, `score`, `mood`) and its fields, or a request. What was uploaded and tracks stand for sources.

        The same `idempotency_key` with the same request is the same job; without one, each call has its own.
        """
        return await self._done(routes.submit(wish, fields, lane=lane, idempotency_key=idempotency_key))

    async def job(self, job: str | Job) -> Job:
        """How far a job is, and what came of it."""
        return await self._done(routes.job(job))

    async def jobs(
        self, *, state: State | None = None, kind: str | None = None, limit: int = 50, after: str | None = None
    ) -> tuple[Job, ...]:
        """The newest jobs first; `after` is the id of the last one seen."""
        found: list[Job] = []
        while len(found) < limit:
            size = min(limit - len(found), routes.JOBS_PAGE)
            page = await self._done(routes.jobs(state=state, kind=kind, limit=size, after=after))
            found += page
            if len(page) < size:
                break
            after = page[-1].id
        return tuple(found)

    async def wait(self, job: str | Job, *, progress: OnProgress = ignore, timeout: float | None = None) -> Job:
        """The job when it is done; what it failed of is raised, Cancelled too, and TimedOut if it is not over after so many seconds."""
        async with aclosing(self._events(job, 0, Deadline(timeout))) as found:
            async for event in found:
                progress(stream.progress_of(event))
        return stream.ended(await self.job(job))

    def events(self, job: str | Job, *, after: int = 0) -> AsyncIterator[Event]:
        """What happens to a job after an event, each once, until it is over; a stream that breaks off is taken up again."""
        return self._events(job, after, Deadline(None))

    async def cancel(self, job: str | Job) -> Job:
        """Stop a job, or take it out of the queue; JobEnded if it is over."""
        return await self._done(routes.cancel(job))

    async def retry(self, job: str | Job) -> Job:
        """A new job with the same request and seed."""
        return await self._done(routes.retry(job))

    async def files(self, job: str | Job) -> tuple[ServedFile, ...]:
        """The files that a job made and that are no tracks: stems, a scored video, its plot."""
        return await self._done(routes.files(job))

    async def upload(
        self, path: str | os.PathLike[str], *, name: str | None = None, progress: OnProgress = ignore
    ) -> SentFile:
        """Send a file for jobs to work on; unless one waits for it, the server keeps it for an hour."""
        with transfer.outgoing(Path(path), progress) as file:
            return await self._done(routes.upload(name or Path(path).name, file))

    async def tracks(self, q: str = "", *, limit: int = 50, **query: Any) -> tuple[ServedTrack, ...]:
        """Tracks that have all the words; also by `tag`, `engine`, `kind`, `min_rating`, in the order `sort`."""
        found: list[ServedTrack] = []
        after: str | None = None
        while len(found) < limit:
            size = min(limit - len(found), routes.TRACKS_PAGE)
            page, after = await self._done(routes.tracks({"q": q, **query}, limit=size, after=after))
            found += page
            if after is None:
                break
        return tuple(found)

    async def track(self, track: str) -> ServedTrack:
        """One track with all that is known of it."""
        return await self._done(routes.track(track))

    async def recipe(self, track: str | ServedTrack) -> dict[str, Any]:
        """How a track was made."""
        return await self._done(routes.recipe(track))

    async def stems(self, track: str | ServedTrack, *, engine: str | None = None) -> tuple[ServedFile, ...]:
        """The stems of a track, by one engine."""
        return await self._done(routes.stems(track, engine))

    async def engines(self) -> dict[str, Any]:
        """What is there, what it can do, and what the rest needs."""
        return await self._done(routes.engines())

    async def download(
        self,
        what: ServedTrack | ServedFile | str,
        *,
        to: str | os.PathLike[str],
        format: str | None = None,  # noqa: A002 - as the route calls it
        progress: OnProgress = ignore,
    ) -> Path:
        """A track (in another `format` if one is named), a file, or an address such as `track.midi`, written to the file `to`.

        It has that name only when it is whole; what breaks off is gone on with.
        """
        call, target = routes.download(what, format), Path(to)
        with transfer.incoming(target, progress) as file:
            tries = Tries(self.url, call, transfer.PAUSES)
            while not file.whole:
                await sleep(await self._received(call, file, tries))
        return target

    async def _done(self, call: Call[T]) -> T:
        tries = Tries(self.url, call)
        while True:
            try:
                answer = await self._http.request(call.method, call.path, **call.sent(self._token))
            except httpx.RequestError as error:
                pause: float | None = tries.after(error)
            else:
                pause = tries.told(answer)
                if pause is None:
                    return content_of(call, answer, self.url)
            await sleep(pause or 0.0)

    async def _events(self, job: str | Job, after: int, deadline: Deadline) -> AsyncGenerator[Event]:
        call, feed = routes.events(job), Feed(after)
        tries = Tries(self.url, call, stream.PAUSES)
        while not feed.over:
            try:
                async with aclosing(self._pieces(call, feed, tries, deadline)) as pieces:
                    async for piece in pieces:
                        for event in feed.take(piece):
                            yield event
            except httpx.RequestError as error:
                deadline.check()
                await sleep(deadline.within(tries.after(error)))

    async def _pieces(self, call: Call[None], feed: Feed, tries: Tries, deadline: Deadline) -> AsyncGenerator[bytes]:
        """What one connection brings of a stream of events."""
        patience, sent = stream.patience(deadline), call.sent(self._token, **feed.begin())
        async with self._http.stream(call.method, call.path, timeout=patience, **sent) as answer:
            pause = tries.told(answer)
            if pause is not None:
                await sleep(deadline.within(pause))
            elif feed.opens(answer):
                async for piece in answer.aiter_bytes():
                    deadline.check()
                    tries.went_well()
                    yield piece
                feed.check_over()
            elif not feed.over:
                await answer.aread()
                raise refusal(answer, self.url)

    async def _received(self, call: Call[None], file: transfer.Incoming, tries: Tries) -> float:
        """One try at a download; the pause before the next."""
        before = file.there
        try:
            async with self._http.stream(call.method, call.path, **call.sent(self._token, **file.headers())) as answer:
                pause = tries.told(answer)
                if pause is not None:
                    return pause
                if not answer.is_success:
                    await answer.aread()
                    raise refusal(answer, self.url)
                file.begin(answer)
                async for piece in answer.aiter_bytes():
                    await run_sync(file.take, piece)
                file.end()
        except httpx.RequestError as error:
            if file.there > before:
                tries.went_well()
            return tries.after(error)
        return 0.0

"""Client: a studio elsewhere, asked over HTTP."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

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


class Client:
    """A studio that `sotto serve` serves at `url`. Use it as a context, or call `close`.

    Every method raises the SottovoceError that the server raised, and RemoteFailed where no server of ours answers. A call that breaks off is
    sent again where that does no harm, and reading waits where the server asks for it.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = checked_address(url)
        self._token = checked_token(token)
        self._http = httpx.Client(base_url=self.url, timeout=TIMEOUT, follow_redirects=False, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def health(self) -> dict[str, Any]:
        """Whether the server answers, and its version; no token is shown for it."""
        return self._done(routes.health())

    def submit(
        self, wish: str | Wish, *, lane: Lane | None = None, idempotency_key: str | None = None, **fields: Any
    ) -> Job:
        """File a job: a kind (`generate`, `separate`, `score`, `mood`) and its fields, or a request. What was uploaded and tracks stand for sources.

        The same `idempotency_key` with the same request is the same job; without one, each call has its own.
        """
        return self._done(routes.submit(wish, fields, lane=lane, idempotency_key=idempotency_key))

    def job(self, job: str | Job) -> Job:
        """How far a job is, and what came of it."""
        return self._done(routes.job(job))

    def jobs(
        self, *, state: State | None = None, kind: str | None = None, limit: int = 50, after: str | None = None
    ) -> tuple[Job, ...]:
        """The newest jobs first; `after` is the id of the last one seen."""
        found: list[Job] = []
        while len(found) < limit:
            size = min(limit - len(found), routes.JOBS_PAGE)
            page = self._done(routes.jobs(state=state, kind=kind, limit=size, after=after))
            found += page
            if len(page) < size:
                break
            after = page[-1].id
        return tuple(found)

    def wait(self, job: str | Job, *, progress: OnProgress = ignore, timeout: float | None = None) -> Job:
        """The job when it is done; what it failed of is raised, Cancelled too, and TimedOut if it is not over after so many seconds."""
        for event in self._events(job, 0, Deadline(timeout)):
            progress(stream.progress_of(event))
        return stream.ended(self.job(job))

    def events(self, job: str | Job, *, after: int = 0) -> Iterator[Event]:
        """What happens to a job after an event, each once, until it is over; a stream that breaks off is taken up again."""
        return self._events(job, after, Deadline(None))

    def cancel(self, job: str | Job) -> Job:
        """Stop a job, or take it out of the queue; JobEnded if it is over."""
        return self._done(routes.cancel(job))

    def retry(self, job: str | Job) -> Job:
        """A new job with the same request and seed."""
        return self._done(routes.retry(job))

    def files(self, job: str | Job) -> tuple[ServedFile, ...]:
        """The files that a job made and that are no tracks: stems, a scored video, its plot."""
        return self._done(routes.files(job))

    def upload(
        self, path: str | os.PathLike[str], *, name: str | None = None, progress: OnProgress = ignore
    ) -> SentFile:
        """Send a file for jobs to work on; unless one waits for it, the server keeps it for an hour."""
        with transfer.outgoing(Path(path), progress) as file:
            return self._done(routes.upload(name or Path(path).name, file))

    def tracks(self, q: str = "", *, limit: int = 50, **query: Any) -> tuple[ServedTrack, ...]:
        """Tracks that have all the words; also by `tag`, `engine`, `kind`, `min_rating`, in the order `sort`."""
        found: list[ServedTrack] = []
        after: str | None = None
        while len(found) < limit:
            size = min(limit - len(found), routes.TRACKS_PAGE)
            page, after = self._done(routes.tracks({"q": q, **query}, limit=size, after=after))
            found += page
            if after is None:
                break
        return tuple(found)

    def track(self, track: str) -> ServedTrack:
        """One track with all that is known of it."""
        return self._done(routes.track(track))

    def recipe(self, track: str | ServedTrack) -> dict[str, Any]:
        """How a track was made."""
        return self._done(routes.recipe(track))

    def stems(self, track: str | ServedTrack, *, engine: str | None = None) -> tuple[ServedFile, ...]:
        """The stems of a track, by one engine."""
        return self._done(routes.stems(track, engine))

    def engines(self) -> dict[str, Any]:
        """What is there, what it can do, and what the rest needs."""
        return self._done(routes.engines())

    def download(
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
                time.sleep(self._received(call, file, tries))
        return target

    def _done(self, call: Call[T]) -> T:
        tries = Tries(self.url, call)
        while True:
            try:
                answer = self._http.request(call.method, call.path, **call.sent(self._token))
            except httpx.RequestError as error:
                pause: float | None = tries.after(error)
            else:
                pause = tries.told(answer)
                if pause is None:
                    return content_of(call, answer, self.url)
            time.sleep(pause or 0.0)

    def _events(self, job: str | Job, after: int, deadline: Deadline) -> Iterator[Event]:
        call, feed = routes.events(job), Feed(after)
        tries = Tries(self.url, call, stream.PAUSES)
        while not feed.over:
            try:
                for piece in self._pieces(call, feed, tries, deadline):
                    yield from feed.take(piece)
            except httpx.RequestError as error:
                deadline.check()
                time.sleep(deadline.within(tries.after(error)))

    def _pieces(self, call: Call[None], feed: Feed, tries: Tries, deadline: Deadline) -> Iterator[bytes]:
        """What one connection brings of a stream of events."""
        patience, sent = stream.patience(deadline), call.sent(self._token, **feed.begin())
        with self._http.stream(call.method, call.path, timeout=patience, **sent) as answer:
            pause = tries.told(answer)
            if pause is not None:
                time.sleep(deadline.within(pause))
            elif feed.opens(answer):
                for piece in answer.iter_bytes():
                    deadline.check()
                    tries.went_well()
                    yield piece
                feed.check_over()
            elif not feed.over:
                answer.read()
                raise refusal(answer, self.url)

    def _received(self, call: Call[None], file: transfer.Incoming, tries: Tries) -> float:
        """One try at a download; the pause before the next."""
        before = file.there
        try:
            with self._http.stream(call.method, call.path, **call.sent(self._token, **file.headers())) as answer:
                pause = tries.told(answer)
                if pause is not None:
                    return pause
                if not answer.is_success:
                    answer.read()
                    raise refusal(answer, self.url)
                file.begin(answer)
                for piece in answer.iter_bytes():
                    file.take(piece)
                file.end()
        except httpx.RequestError as error:
            if file.there > before:
                tries.went_well()
            return tries.after(error)
        return 0.0

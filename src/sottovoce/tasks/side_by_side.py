"""Sound worked on in two threads at once: NumPy, the codecs and the speech detector let each other run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import Full, Queue
from threading import Event
from types import TracebackType
from typing import Generic, Self, TypeVar

from sottovoce.audio import AudioReader, Samples
from sottovoce.errors import Cancelled
from sottovoce.progress import OnProgress, Progress
from sottovoce.tasks.mixture import rechunked

ResultT = TypeVar("ResultT")

#: So many blocks wait between two threads.
_DEPTH = 8
#: How often, in seconds, a thread that cannot go on looks whether it is still wanted.
_PATIENCE = 0.1


class Ahead:
    """An `AudioReader` whose blocks are made in a thread of their own, a few ahead of those that are read."""

    def __init__(self, reader: AudioReader) -> None:
        self._reader = reader
        self.rate, self.channels = reader.rate, reader.channels

    @property
    def frames(self) -> int:
        """Exact length in samples per channel."""
        return self._reader.frames

    def blocks(self, frames: int) -> Iterator[Samples]:
        """The blocks of the reader; what it raises is raised here."""
        pipe = _Pipe()
        with ThreadPoolExecutor(1) as threads:
            done = threads.submit(pipe.fill, self._reader.blocks(frames))
            try:
                yield from pipe.blocks()
            finally:
                pipe.abandon()
        done.result()


class Overheard(Generic[ResultT]):
    """An `AudioReader` whose blocks are also given to `listener`, another reader's user, in a thread of its own."""

    def __init__(self, reader: AudioReader, listener: Callable[[AudioReader], ResultT]) -> None:
        self._reader, self._listener = reader, listener
        self.rate, self.channels = reader.rate, reader.channels
        self._heard: Future[ResultT] | None = None
        self._pipe = _Pipe()

    @property
    def frames(self) -> int:
        """Exact length in samples per channel."""
        return self._reader.frames

    def blocks(self, frames: int) -> Iterator[Samples]:
        """The blocks of the reader; who stops early lets the listener hear as much."""
        self._pipe = pipe = _Pipe()
        with ThreadPoolExecutor(1) as threads:
            self._heard = threads.submit(self._listen, pipe)
            try:
                for block in self._reader.blocks(frames):
                    pipe.put(block)
                    yield block
            finally:
                pipe.end()

    def result(self) -> ResultT:
        """What the listener made of the last pass, as far as it was read; ValueError before the first."""
        if self._heard is None:
            raise ValueError("nothing was read yet, so nothing was overheard")
        self._pipe.end()
        return self._heard.result()

    def _listen(self, pipe: _Pipe) -> ResultT:
        try:
            return self._listener(_Passing(self._reader, pipe))
        finally:
            pipe.abandon()


class Aside(Generic[ResultT]):
    """A call made in a thread of its own while its `with` block goes on.

    `work` is given a callback to call between pieces of its work: it raises when the block was left by an error, so that nothing is left
    running.
    """

    def __init__(self, work: Callable[[OnProgress], ResultT]) -> None:
        self._work = work
        self._given_up = Event()
        self._threads = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        self._made = self._threads.submit(self._work, self._check)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._given_up.set()
        self._threads.shutdown()

    def watched(self, report: OnProgress) -> OnProgress:
        """A callback for the block's own work that raises at once what the call has raised."""

        def both(progress: Progress) -> None:
            if self._made.done():
                self._made.result()
            report(progress)

        return both

    def result(self) -> ResultT:
        """What the call made, waited for; what it raised is raised here."""
        return self._made.result()

    def _check(self, _: Progress) -> None:
        if self._given_up.is_set():
            raise Cancelled("nobody waits for this any more")


class _Passing:
    """An `AudioReader` that can be read once, while another reads it too."""

    def __init__(self, reader: AudioReader, pipe: _Pipe) -> None:
        self.rate, self.channels, self.frames = reader.rate, reader.channels, reader.frames
        self._pipe = pipe

    def blocks(self, frames: int) -> Iterator[Samples]:
        return rechunked(self._pipe.blocks(), frames)


class _Pipe:
    """Blocks on their way from one thread to another; who puts never waits for a reader that has gone."""

    def __init__(self) -> None:
        self._queue: Queue[Samples | None] = Queue(_DEPTH)
        self._abandoned = Event()

    def put(self, block: Samples | None) -> None:
        while not self._abandoned.is_set():
            with suppress(Full):
                self._queue.put(block, timeout=_PATIENCE)
                return

    def end(self) -> None:
        self.put(None)

    def abandon(self) -> None:
        self._abandoned.set()

    def fill(self, blocks: Iterator[Samples]) -> None:
        try:
            for block in blocks:
                self.put(block)
                if self._abandoned.is_set():
                    return
        finally:
            self.end()

    def blocks(self) -> Iterator[Samples]:
        while (block := self._queue.get()) is not None:
            yield block

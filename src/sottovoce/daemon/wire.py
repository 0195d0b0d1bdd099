"""The two ends of the connection: lines that come in, however they are cut, and messages that go out, whoever sends them."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Mapping
from queue import SimpleQueue
from typing import Any

from sottovoce.daemon.protocol import LONGEST_LINE, Message, encode, notification

_PIECE = 1 << 16
#: With so many messages unread, news of progress is left out, and with so many nobody reads at all.
_MANY, _TOO_MANY = 200, 20_000


class Lines:
    """The lines of a descriptor. Of one longer than `LONGEST_LINE` only so much is kept that its length shows."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._held = bytearray()
        self._ended = False

    def next(self, seconds: float) -> bytes | None:
        """The next line, or None if none came in that time; EOFError at the end."""
        while (end := self._held.find(b"\n")) < 0:
            if self._ended and not self._held:
                raise EOFError
            if self._ended:
                return self._taken(len(self._held))
            if not select.select([self._descriptor], [], [], seconds)[0]:
                return None
            self._fill()
        return self._taken(end + 1)

    def _taken(self, end: int) -> bytes:
        line = bytes(self._held[:end])
        del self._held[:end]
        return line

    def _fill(self) -> None:
        try:
            piece = os.read(self._descriptor, _PIECE)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        self._ended = not piece
        self._held += piece
        if b"\n" not in piece:
            del self._held[LONGEST_LINE + 1 :]


class Writer:
    """Puts messages on a descriptor, in the order they are given, each by one write; those who send never wait for the reader."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting: SimpleQueue[bytes | None] = SimpleQueue()
        self._broken = threading.Event()
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()

    @property
    def broken(self) -> bool:
        """Whether nobody reads any more."""
        return self._broken.is_set()

    def send(self, message: Message | list[Message]) -> None:
        """Send an answer, or those of a batch."""
        if self._waiting.qsize() > _TOO_MANY:
            self._broken.set()
        if not self.broken:
            self._waiting.put(encode(message))

    def notify(self, method: str, params: Mapping[str, Any], *, passing: bool = False) -> None:
        """Send a notification; one that is `passing` is left out where many wait already."""
        if not (passing and self._waiting.qsize() > _MANY):
            self.send(notification(method, params))

    def close(self, seconds: float = 2.0) -> None:
        """Send what waits, and no more; give up on a reader that takes longer."""
        self._waiting.put(None)
        self._thread.join(seconds)

    def _work(self) -> None:
        while (line := self._waiting.get()) is not None:
            try:
                self._write(line)
            except OSError:
                self._broken.set()
                return

    def _write(self, line: bytes) -> None:
        while line:
            try:
                line = line[os.write(self._descriptor, line) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [])

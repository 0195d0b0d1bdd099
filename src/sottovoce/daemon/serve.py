"""The daemon at work: one thread reads, one answers in order, one makes the tracks, one writes; none of them waits for another.

`ping` and `shutdown` are answered by the reader itself, so that neither waits for a method, nor for the imports of the first one.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Queue as Inbox
from typing import TYPE_CHECKING

from sottovoce import errors
from sottovoce.bugs import bug
from sottovoce.daemon.protocol import (
    Call,
    Incoming,
    Malformed,
    Message,
    Params,
    Reply,
    failure,
    read_line,
    refusal,
    result,
    unknown_method,
)
from sottovoce.daemon.wire import Lines, Writer

if TYPE_CHECKING:
    from sottovoce.daemon.methods import Methods

_POLL_SECONDS = 0.25
#: As many calls wait for their answer; then the client has to.
_MOST_UNANSWERED = 1000
#: How long the calls that were read may take to be answered at the end; the first ones may wait for imports.
_FAREWELL_SECONDS = 60.0


class Clerk:
    """Answers what comes in. `open_methods` is called in its own thread, as it takes seconds; what is asked meanwhile waits for it."""

    def __init__(self, open_methods: Callable[[], Methods], writer: Writer) -> None:
        self._open = open_methods
        self._writer = writer
        self._methods: Methods | None = None
        self._inbox: Inbox[Incoming | None] = Inbox(_MOST_UNANSWERED)
        self._farewell: Call | None = None
        self._left = 0
        self.stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="clerk", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether anything is being answered or done."""
        return self._inbox.qsize() > 0 or (self._methods is not None and self._methods.busy)

    def take(self, line: bytes) -> None:
        """Take a line that came in."""
        incoming = read_line(line)
        if incoming is None:
            return
        only = incoming.calls[0] if not incoming.batch else None
        if isinstance(only, Call) and only.method == "ping":
            self._say([] if only.silent else [result(only, _pong(only.params).result)], batch=False)
        elif isinstance(only, Call) and only.method == "shutdown":
            self._farewell = only
            self.stopped.set()
        else:
            self._inbox.put(incoming)

    def close(self) -> None:
        """End what is being done, answer what was read, and `shutdown` last."""
        methods = self._methods
        if methods is not None:
            methods.stop()
        self._inbox.put(None)
        self._thread.join(_FAREWELL_SECONDS)
        if self._farewell is not None and not self._farewell.silent:
            self._writer.send(result(self._farewell, _goodbye(self._farewell.params).result))

    def _work(self) -> None:
        with _logged():
            self._opened()
        while (incoming := self._inbox.get()) is not None:
            with _logged():
                self._answer(incoming)
        if self._methods is not None:
            self._methods.close()

    def _opened(self) -> Methods:
        if self._methods is None:
            self._methods = self._open()
        return self._methods

    def _answer(self, incoming: Incoming) -> None:
        """Answer, and only then do what follows from it."""
        answers: list[Message] = []
        then: list[Callable[[], object]] = []
        for call in incoming.calls:
            answer, following = self._done(call)
            answers += [] if answer is None else [answer]
            then += following
        self._say(answers, batch=incoming.batch)
        for act in then:
            act()

    def _done(self, call: Call | Malformed) -> tuple[Message | None, tuple[Callable[[], object], ...]]:
        if isinstance(call, Malformed):
            return refusal(call), ()
        try:
            table = {"ping": _pong, "shutdown": self._shut_down, **self._opened().table}
            if call.method not in table:
                return None if call.silent else refusal(unknown_method(call, sorted(table))), ()
            reply = table[call.method](call.params)
        except errors.SottovoceError as error:
            return None if call.silent else failure(call, error), ()
        except Exception as error:  # noqa: BLE001 - the process boundary: logs the trace and reports
            return None if call.silent else failure(call, bug(error)), ()
        return None if call.silent else result(call, reply.result), reply.then

    def _shut_down(self, params: Params) -> Reply:
        self.stopped.set()
        return _goodbye(params)

    def _say(self, answers: list[Message], *, batch: bool) -> None:
        if answers:
            self._writer.send(answers if batch else answers[0])


def serve(reader: int, writer: Writer, open_methods: Callable[[], Methods], *, idle_seconds: float = 0.0) -> None:
    """Answer what comes on a descriptor until it ends, until `shutdown`, or until nothing happened for `idle_seconds` (0: for ever)."""
    clerk, lines = Clerk(open_methods, writer), Lines(reader)
    heard = time.monotonic()
    try:
        while not (writer.broken or clerk.stopped.is_set()):
            line = lines.next(_POLL_SECONDS)
            if line is not None:
                clerk.take(line)
            if line is not None or clerk.busy:
                heard = time.monotonic()
            elif idle_seconds and time.monotonic() - heard > idle_seconds:
                return
    except EOFError:
        return
    finally:
        clerk.close()
        writer.close()


def protocol_output() -> int:
    """A descriptor of its own for standard output's reader; whatever else is printed goes to standard error from here on."""
    ours = os.dup(1)
    os.dup2(2, 1)
    return ours


@contextmanager
def _logged() -> Iterator[None]:
    """What nobody foresaw is logged, and the next call is answered all the same."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the process boundary: logs the trace and reports
        bug(error)


def _pong(_params: Params) -> Reply:
    return Reply({"status": "ok"})


def _goodbye(_params: Params) -> Reply:
    return Reply({"status": "shutting_down"})

"""The runner: a child process that does one request at a time and keeps the model loaded between them.

It reads orders on standard input and answers on standard output (see `messages`); it ends when its standard input does, whatever it is doing.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from contextlib import nullcontext
from queue import SimpleQueue
from typing import IO, Any

from sottovoce import errors
from sottovoce.bugs import bug
from sottovoce.jobs.kept import KeptMemo, logged
from sottovoce.logs import log_to_stderr
from sottovoce.progress import Progress, rising
from sottovoce.settings import Settings, load_settings
from sottovoce.settings.owned import layered
from sottovoce.studio import Studio
from sottovoce.worker.messages import Order, line, order_of, progress_line


class Runner:
    """The work of one runner process; `out` is where its answers go."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._orders: SimpleQueue[Order] = SimpleQueue()
        self._cancelled: set[str] = set()
        self._studio: Studio | None = None

    def listen(self, lines: IO[bytes]) -> None:
        """Take messages until there are no more, and end the process then: nobody is left to work for."""
        for text in lines:
            message: dict[str, Any] = json.loads(text)
            if message["type"] == "run":
                self._orders.put(order_of(message))
            else:
                self._cancelled.add(message["id"])
        os._exit(0)

    def work(self) -> None:
        """Do what is ordered, one after the other, for ever."""
        while True:
            self._do(self._orders.get())

    def _do(self, order: Order) -> None:
        try:
            with logged(order.kept) if order.kept else nullcontext():
                answer = self._answer(order)
        finally:
            self._cancelled.discard(order.id)
        self._say(line(answer))

    def _answer(self, order: Order) -> dict[str, Any]:
        try:
            return {"type": "result", "outcome": self._perform(order)}
        except errors.SottovoceError as error:
            return {"type": "error", "error": error.as_dict()}
        except Exception as error:  # noqa: BLE001 - the process boundary: logs the trace and reports
            return {"type": "error", "error": bug(error).as_dict()}

    def _perform(self, order: Order) -> dict[str, Any]:
        from sottovoce.tasks import TASKS
        from sottovoce.tasks.request import validate

        def report(progress: Progress) -> None:
            if order.id in self._cancelled:
                raise errors.Cancelled("stopped because it was asked for")
            self._say(progress_line(progress))

        studio = self._current(layered(load_settings(), order.settings))
        request = validate(TASKS[order.kind].request, dict(order.request), local=order.local)
        memo = None if order.kept is None else KeptMemo.of(order.kept)
        return studio.perform(request, rising(report), order.folder, memo=memo).as_json()

    def _current(self, settings: Settings) -> Studio:
        """The studio with its loaded models, made anew when the settings have changed."""
        if self._studio is None or self._studio.settings != settings:
            if self._studio is not None:
                self._studio.close()
            self._studio = Studio(settings)
        return self._studio

    def _say(self, text: bytes) -> None:
        self._out.write(text)
        self._out.flush()


def main() -> None:
    """Run as `python -m sottovoce.worker.runner`."""
    # Who asked for the work decides when it ends, not the terminal it was asked at.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    out = os.fdopen(os.dup(1), "wb")
    # Libraries print; only the protocol may go where the host listens.
    os.dup2(2, 1)
    log_to_stderr()
    runner = Runner(out)
    threading.Thread(target=runner.listen, args=(sys.stdin.buffer,), daemon=True).start()
    runner.work()


if __name__ == "__main__":
    main()

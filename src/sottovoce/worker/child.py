"""Child: one runner process as its host sees it; started when it is needed, killed when it does not stop."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any, NoReturn

from sottovoce import errors
from sottovoce.progress import OnProgress
from sottovoce.tasks.outcome import Outcome, outcome_of
from sottovoce.worker.messages import Order, error_of, line, order_line, progress_of

#: How long a runner may take to stop by itself.
PATIENCE_SECONDS = 1.0
_TICK_SECONDS = 0.05
#: In place of a message: the runner's standard output has ended.
_GONE = b""


class Child:
    """A runner process. `run` is for one thread at a time; `cancel` and `close` may come from any.

    The process that says nothing for `stall_seconds` is killed. What it prints goes to the file `log`, or to standard error.
    """

    def __init__(self, *, stall_seconds: float = 300.0, log: Path | None = None) -> None:
        self.stall_seconds = stall_seconds
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._said: SimpleQueue[bytes] = SimpleQueue()
        self._order: str | None = None
        self._cancelled_at: float | None = None
        self._lock = threading.Lock()

    def run(self, order: Order, report: OnProgress, *, budget_seconds: float | None = None) -> Outcome:
        """Do an order and give back what it made, in its folder. What the task raised is raised here.

        Cancelled after `cancel`; TimedOut if nothing was said for too long, or the budget is spent; Internal if the process died.
        """
        with self._lock:
            self._order, self._cancelled_at = order.id, None
            process = self._started()
        try:
            self._tell(process, order_line(order))
            return self._await(report, budget_seconds)
        finally:
            with self._lock:
                self._order = None

    def cancel(self) -> None:
        """Stop what is being done; it ends with Cancelled within about a second. Nothing happens if nothing is being done."""
        with self._lock:
            if self._order is None or self._cancelled_at is not None or self._process is None:
                return
            self._cancelled_at = time.monotonic()
            self._tell(self._process, line({"type": "cancel", "id": self._order}))

    def close(self) -> None:
        """End the process, and give its memory back."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            # What the dead process was still to be told is told nobody.
            with suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()

    def _await(self, report: OnProgress, budget_seconds: float | None) -> Outcome:
        begun = heard = time.monotonic()
        while True:
            try:
                text = self._said.get(timeout=_TICK_SECONDS)
            except Empty:
                self._check(begun, heard, budget_seconds)
                continue
            # A last line that was cut off is no message: the runner died while it wrote.
            if not text.endswith(b"\n"):
                self._died()
            heard, message = time.monotonic(), json.loads(text)
            match message["type"]:
                case "progress":
                    self._pass_on(report, message)
                    self._check(begun, heard, budget_seconds)
                case "result":
                    self._refuse_cancelled()
                    return outcome_of(message["outcome"])
                case "error":
                    raise error_of(message["error"])

    def _pass_on(self, report: OnProgress, message: dict[str, Any]) -> None:
        """Say how far it is; a callback that raises stops the runner too."""
        try:
            report(progress_of(message))
        except BaseException:
            self.close()
            raise

    def _check(self, begun: float, heard: float, budget_seconds: float | None) -> None:
        """Kill the runner if it does not stop, says nothing, or takes too long."""
        now = time.monotonic()
        if self._cancelled_at is not None and now - self._cancelled_at > PATIENCE_SECONDS:
            self.close()
            self._refuse_cancelled()
        if now - heard > self.stall_seconds:
            self.close()
            raise errors.TimedOut(
                f"nothing was heard of the work for {self.stall_seconds:g} s (jobs.stall_seconds), so it was stopped",
                hint="Try again, or choose another engine.",
            )
        if budget_seconds is not None and now - begun > budget_seconds:
            self.close()
            raise errors.TimedOut(
                f"the work took longer than the {budget_seconds:g} s it was given (jobs.max_seconds), so it was stopped",
                hint="Ask for less, choose a faster engine, or raise jobs.max_seconds.",
            )

    def _refuse_cancelled(self) -> None:
        if self._cancelled_at is not None:
            raise errors.Cancelled("stopped because it was asked for")

    def _died(self) -> NoReturn:
        process = self._process
        code = None if process is None else process.wait()
        self.close()
        self._refuse_cancelled()
        raise errors.Internal(
            f"the process that did the work died ({'killed' if code == -9 else f'exit {code}'})",
            hint="Often the memory does not suffice: try a shorter piece, or another engine.",
            details={"died": True},
        )

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        self._said = SimpleQueue()
        stderr = None if self._log is None else self._log.open("ab")
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "sottovoce.worker.runner"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        finally:
            if stderr is not None:
                stderr.close()
        assert process.stdout is not None, "a pipe was asked for"
        threading.Thread(target=_listen, args=(process.stdout, self._said), daemon=True).start()
        self._process = process
        return process

    def _tell(self, process: subprocess.Popen[bytes], text: bytes) -> None:
        """Send a message; if the process is gone, its end is heard where its answers are awaited."""
        assert process.stdin is not None, "a pipe was asked for"
        try:
            process.stdin.write(text)
            process.stdin.flush()
        except (BrokenPipeError, ValueError):
            self._said.put(_GONE)


def _listen(pipe: IO[bytes], said: SimpleQueue[bytes]) -> None:
    """Pass on what a runner says, until it is gone."""
    # ValueError: the host has ended the runner itself, and closed the pipe.
    with suppress(ValueError):
        for text in pipe:
            said.put(text)
    said.put(_GONE)

"""An editor: starts the daemon as a process of its own, and talks to it over pipes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Any

from tests.acceptance.home import Home

#: As `lofi-daemon` starts it.
_START = "import sys; from sottovoce import cli; cli.COMMANDS.setdefault('daemon', ''); from sottovoce.cli.daemon import main; main()"
#: The machine may be slow, and the first generation starts a process.
_PATIENCE = 240.0


@dataclass(frozen=True)
class Heard:
    """A message that came, and how long its line was."""

    bytes: int
    message: dict[str, Any]


class Editor:
    """A daemon in a home folder; `heard` is every message it sent, `batches` those that came together."""

    def __init__(self, home: Home, *options: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START, "--daemon", *options],
            cwd=home.work,
            env=home.environment | {"SOTTO_ENGINES__GENERATORS": '["tone"]'} | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.heard: list[Heard] = []
        self.batches: list[list[dict[str, Any]]] = []
        self._last = 0
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def send(self, line: bytes) -> None:
        """Send bytes as they are."""
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def ask(self, method: str, **params: Any) -> int:
        """Send a request; its id."""
        self._last += 1
        request = {"jsonrpc": "2.0", "id": self._last, "method": method, "params": params or []}
        self.send(json.dumps(request).encode() + b"\n")
        return self._last

    def answer(self, name: int | str) -> dict[str, Any]:
        """The answer to a request."""
        return self._wait(lambda message: "id" in message and message["id"] == name)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a request that must succeed."""
        answer = self.answer(self.ask(method, **params))
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def fails(self, method: str, **params: Any) -> dict[str, Any]:
        """The error of a request that must not."""
        answer = self.answer(self.ask(method, **params))
        assert "result" not in answer, answer
        error: dict[str, Any] = answer["error"]
        return error

    def refusal(self, line: bytes) -> dict[str, Any]:
        """The error that a line without an id is answered with."""
        before = len(self.heard)
        self.send(line)
        found = self._wait(lambda message: "id" in message and message["id"] is None, start=before)
        error: dict[str, Any] = found["error"]
        return error

    def told(self, method: str, track_id: str) -> dict[str, Any]:
        """The first notification of a kind about a track."""
        found = self._wait(
            lambda message: message.get("method") == method and message["params"]["track_id"] == track_id
        )
        params: dict[str, Any] = found["params"]
        return params

    def about(self, track_id: str) -> list[dict[str, Any]]:
        """Every answer and notification that names a track, in order."""
        return [each.message for each in self.heard if track_id in json.dumps(each.message)]

    def end(self) -> int:
        """Close its standard input; its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        code = self.process.wait(_PATIENCE)
        self._thread.join(5)
        return code

    def kill(self) -> None:
        """Whatever it does."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def _wait(self, fits: Any, start: int = 0) -> dict[str, Any]:
        def found() -> list[dict[str, Any]]:
            return [each.message for each in self.heard[start:] if fits(each.message)]

        with self._changed:
            in_time = self._changed.wait_for(lambda: bool(found()), _PATIENCE)
            assert in_time, [each.message for each in self.heard[-10:]]
            return found()[0]

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said = json.loads(line)
            with self._changed:
                self.batches += [said] if isinstance(said, list) else []
                self.heard += [Heard(len(line), each) for each in (said if isinstance(said, list) else [said])]
                self._changed.notify_all()

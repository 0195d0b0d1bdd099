"""lalal.ai's API v1 on loopback: its routes, its charges, and its oddities (all POST, errors inside 200, 403 without key, 429 without Retry-After)."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from tests.servers.loopback import Loopback, serving

from sottovoce.audio import Audio
from sottovoce.media.decode import decode
from sottovoce.media.encode import encode, format_of

KEY = "5ecret-licence-key"
#: drop: done, and then no answer; lose: not even received; html: a proxy's page with status 200.
Fault = Literal["500", "429", "drop", "lose", "html", "internal_error", "cut"]
_STEMS = {"vocals", "drum", "piano", "bass", "electric_guitar", "acoustic_guitar", "synthesizer", "strings", "wind"}
_CHECKS_A_MINUTE = 30


@dataclass
class Task:
    """A task: what is asked for, and what `check` says of it, one entry a call, the last for good."""

    source: str
    presets: dict[str, Any]
    says: deque[dict[str, Any]]
    started: bool = True
    cancelled: bool = False


@dataclass
class LalalaiServer:
    """The service's state; `faults` are used up one a call of the path's last word."""

    folder: Path
    clock: Callable[[], float] = time.monotonic
    port: int = 0
    minutes: float = 100.0
    charged: list[tuple[str, float]] = field(default_factory=list)
    uploads: dict[str, bytes] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    tasks: dict[str, Task] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    faults: dict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    #: What each new task says when it is checked; the default is queued, half, done.
    script: list[dict[str, Any]] | None = None
    starts_at_once: bool = True
    checks: list[float] = field(default_factory=list)
    #: Path and headers of everything that was asked.
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    #: In place of the server's own address in links to results.
    results_at: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def count(self, word: str) -> int:
        """How often a path was asked for."""
        return sum(path.strip("/").endswith(word) for path, _ in self.asked)

    def start(self, name: str) -> None:
        """A task begins, and is charged."""
        task = self.tasks[name]
        task.started = True
        seconds = self.decoded(task.source).seconds
        self.charged.append((task.presets["stem"], seconds / 60))
        self.minutes -= seconds / 60

    def decoded(self, source: str) -> Audio:
        path = self.folder / f"{source}.flac"
        path.write_bytes(self.uploads[source])
        return decode(path)


@contextmanager
def lalalai_server(clock: Callable[[], float] = time.monotonic) -> Iterator[LalalaiServer]:
    """The service while the block runs."""
    with TemporaryDirectory() as folder:
        service = LalalaiServer(Path(folder), clock)

        class Handler(_Handler):
            service_state = service

        with serving(Handler) as port:
            service.port = port
            yield service


class _Handler(Loopback):
    service_state: LalalaiServer

    def do_GET(self) -> None:  # noqa: N802 - http.server calls it so
        """Only results are fetched with GET, and without a key."""
        service = self.service_state
        service.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        words = self.path.strip("/").split("/")
        if words[:2] != ["media", "split"]:
            self.say(405, b'{"detail":"Method Not Allowed"}')
        elif service.deleted and words[2] in service.deleted:
            self.say(404, b"gone")
        else:
            fault = service.faults["media"].popleft() if service.faults["media"] else None
            self.say(503 if fault == "500" else 200, self._stem(words[3], words[4]), cut=fault == "cut")

    def do_POST(self) -> None:  # noqa: N802 - http.server calls it so
        service, body = self.service_state, self.body()
        service.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        word = self.path.strip("/").split("/")[-1]
        fault = service.faults[word].popleft() if service.faults[word] else None
        if self.headers.get("X-License-Key") != KEY:
            self._answer(403, {"detail": "Invalid or missing license key"})
        elif fault in ("500", "429", "html", "internal_error", "lose"):
            self._fail(fault)
        else:
            status, answer = self._done(word, body)
            if fault == "drop":
                self.drop()
            else:
                self._answer(status, answer)

    def _fail(self, fault: Fault) -> None:
        if fault == "lose":
            self.drop()
        elif fault == "html":
            self.say(200, b"<html>maintenance</html>", Content_Type="text/html")
        elif fault == "internal_error":
            self._answer(400, {"detail": "Try again", "code": "internal_error"})
        else:
            self._answer(int(fault), {"detail": f"status {fault}"})

    def _done(self, word: str, body: bytes) -> tuple[int, dict[str, Any]]:
        routes: dict[str, Callable[[Any], tuple[int, dict[str, Any]]]] = {
            "stem_separator": self._split,
            "check": self._check,
            "cancel": self._cancel,
            "delete": self._delete,
            "minutes_left": lambda _asked: (200, {"minutes_left": self.service_state.minutes}),
        }
        if word == "upload":
            return self._upload(body)
        if word not in routes:
            return 404, {"detail": "Not Found"}
        return routes[word](json.loads(body or b"{}"))

    def _upload(self, body: bytes) -> tuple[int, dict[str, Any]]:
        named = re.fullmatch(r'attachment; filename="([^"]+)"', self.headers.get("Content-Disposition", ""))
        if named is None or self.headers.get("Content-Type") != "application/octet-stream":
            return 422, {"detail": [{"msg": "Content-Disposition required"}]}
        service, name = self.service_state, str(uuid.uuid4())
        service.uploads[name] = body
        service.names.append(named[1])
        facts = {"name": named[1], "size": len(body), "duration": int(service.decoded(name).seconds)}
        return 200, {"id": name, **facts, "expires": int(time.time()) + 86_400}

    def _split(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        service, presets, key = self.service_state, asked["presets"], asked.get("idempotency_key")
        if asked["source_id"] not in service.uploads or presets["stem"] not in _STEMS:
            return 422, {"detail": "no such source or stem"}
        if presets["stem"] in ("synthesizer", "strings", "wind") and presets["splitter"] != "phoenix":
            return 422, {"detail": "only phoenix has that stem"}
        if key in service.keys:
            if service.tasks[service.keys[key]].started:
                return 400, {"detail": "Idempotency key is used", "code": "idempotency_key_used"}
            return 200, {"task_id": service.keys[key]}
        name = str(uuid.uuid4())
        says = deque(
            service.script
            or [{"status": "progress", "progress": 0}, {"status": "progress", "progress": 50}, {"status": "success"}]
        )
        service.tasks[name] = Task(asked["source_id"], presets, says, started=False)
        service.keys[str(key)] = name
        if service.starts_at_once:
            service.start(name)
        return 200, {"task_id": name}

    def _check(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        service, now = self.service_state, self.service_state.clock()
        service.checks = [*(at for at in service.checks if now - at < 60), now]
        if len(service.checks) > _CHECKS_A_MINUTE:
            return 429, {"detail": "Too many requests"}
        known = [name for name in asked["task_ids"] if name in service.tasks]
        return 200, {"result": {name: self._state(name) for name in known}}

    def _state(self, name: str) -> dict[str, Any]:
        service, task = self.service_state, self.service_state.tasks[name]
        if not task.started:
            service.start(name)
        said = task.says.popleft() if len(task.says) > 1 else task.says[0]
        state = {"source_id": task.source, "presets": task.presets, **said}
        if task.cancelled:
            return {**state, "status": "cancelled"}
        if said["status"] == "success":
            state["result"] = {"duration": 3, "tracks": [self._track(name, label) for label in self._labels(task)]}
        return state

    def _labels(self, task: Task) -> list[str]:
        stem = task.presets["stem"]
        if task.presets.get("multivocal") == "lead_back":
            return ["vocals@0", "no_vocals", "mix_no_lead"]
        return [stem, f"no_{stem}"]

    def _track(self, name: str, label: str) -> dict[str, Any]:
        service = self.service_state
        link = f"{service.results_at or service.url}/media/split/{service.tasks[name].source}/{name}/{label}"
        kind = "back" if label.startswith("no_") else "stem"
        return {"type": kind, "label": label, "url": link, "size": len(self._stem(name, label))}

    def _stem(self, name: str, label: str) -> bytes:
        """The song at a quarter of its level in the format asked for, at this service's own rate."""
        service = self.service_state
        sound = service.decoded(service.tasks[name].source)
        ending = service.tasks[name].presets["encoder_format"] or "flac"
        quiet = Audio(sound.samples * 0.25, sound.rate)
        path = service.folder / f"{name}-{label.replace('@', '')}.{ending}"
        encode(quiet, path, format_of(path))
        return path.read_bytes()

    def _cancel(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        result: dict[str, Any] = {}
        for name in asked["task_ids"]:
            if name in self.service_state.tasks:
                self.service_state.tasks[name].cancelled = True
                result[name] = {"status": "success"}
            else:
                result[name] = {"status": "server_error", "error": "no such task"}
        return 200, {"result": result}

    def _delete(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.service_state.deleted.append(asked["source_id"])
        return 200, {}

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        self.say(status, json.dumps(body).encode(), Content_Type="application/json", X_Request_Id="req-7")

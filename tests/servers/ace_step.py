"""An ACE-Step 1.5 server on loopback, in its February form, a later one, or its Gradio app, with the oddities of each."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal
from urllib.parse import parse_qs, quote, urlsplit

from tests.servers.forms import form_of
from tests.servers.loopback import Loopback, serving
from tests.servers.tunes import tune

from sottovoce.media.decode import decode
from sottovoce.media.encode import encode, format_of

Revision = Literal["feb", "later", "gradio"]
TRACEBACK = (
    'Traceback (most recent call last):\n  File "inference.py", line 7, in generate\nRuntimeError: CUDA out of memory'
)
#: The seed of a server that draws its own.
DRAWN = 777
_ALIASES: Mapping[str, tuple[str, ...]] = {
    "prompt": ("caption",),
    "model": ("model_name", "dit_model"),
    "key_scale": ("keyscale", "key"),
    "time_signature": ("timesignature",),
    "audio_duration": ("duration",),
    "vocal_language": ("language",),
}


@dataclass
class Task:
    """What was ordered, and how it goes: one entry of `says` a poll, then it is done."""

    fields: dict[str, Any]
    files: dict[str, tuple[str, bytes]]
    says: deque[dict[str, Any]]
    seeds: list[int]


@dataclass
class AceStepServer:
    """The server's state; `faults` (statuses, 0 drops the connection) are used up one a call of the path's last word."""

    folder: Path
    revision: Revision = "later"
    port: int = 0
    mount: str = ""
    key: str | None = None
    models: tuple[str, ...] = ("acestep-v15-turbo", "acestep-v15-base")
    #: `/v1/models` in the envelope its documentation shows, instead of the list it really serves.
    wrapped_models: bool = False
    llm: bool = True
    format_error: str | None = None
    #: How a task fails, if it does.
    error: str | None = None
    #: Orders are answered inside 200 with this error.
    enveloped: str | None = None
    forgets: bool = False
    busy: bool = False
    ignores_seed: bool = False
    #: How many tracks fit into its memory.
    most_at_once: int = 8
    #: In place of its own address in results.
    results_at: str | None = None
    #: Seconds that a track is longer (or shorter) than asked.
    off: float = 0.0
    #: The Gradio app answers an order when this is set.
    finished: threading.Event = field(default_factory=threading.Event)
    faults: dict[str, deque[int]] = field(default_factory=lambda: defaultdict(deque))
    retry_after: str | None = None
    tasks: dict[str, Task] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.mount}"

    def count(self, word: str) -> int:
        """How often a path was asked for."""
        return sum(path.split("?")[0].endswith(word) for path, _ in self.asked)

    @property
    def last(self) -> Task:
        """What was ordered last."""
        return list(self.tasks.values())[-1]


@contextmanager
def ace_step_server(revision: Revision = "later") -> Iterator[AceStepServer]:
    """The server while the block runs."""
    with TemporaryDirectory() as folder:
        state = AceStepServer(Path(folder).resolve(), revision)

        class Handler(_Handler):
            ace_step_state = state

        with serving(Handler) as port:
            state.port = port
            try:
                yield state
            finally:
                state.finished.set()


class _Handler(Loopback):
    ace_step_state: AceStepServer

    def do_POST(self) -> None:  # noqa: N802 - http.server calls it so
        raw = self.body()
        fields, files = self._read(raw)
        route = self._route()
        routes = {"release_task": self._release, "query_result": self._query, "format_input": self._format}
        if self._is_faulty(route) or self._is_refused(fields):
            return
        if route not in routes:
            self._detail(404, "Not Found")
        else:
            routes[route](fields, files)

    def do_GET(self) -> None:  # noqa: N802 - http.server calls it so
        state, route = self.ace_step_state, self._route()
        if self._is_faulty(route):
            return
        if route == "health":
            self._envelope(self._health())
        elif self._is_refused({}):
            return
        elif route == "audio":
            self._audio()
        elif route == "stats":
            jobs = {"total": 1, "queued": 0, "running": int(state.busy), "succeeded": 0, "failed": 0}
            self._envelope({"jobs": jobs, "queue_size": 0, "queue_maxsize": 200, "avg_job_seconds": 5.0})
        elif route == "models":
            self._models()
        elif route == "model_inventory" and state.revision == "later":
            self._envelope({"models": self._inventory(), "default_model": state.models[0], "lm_models": []})
        else:
            self._detail(404, "Not Found")

    def _route(self) -> str:
        return urlsplit(self.path).path.removeprefix(self.ace_step_state.mount).strip("/").split("/")[-1]

    def _read(self, raw: bytes) -> tuple[dict[str, Any], dict[str, tuple[str, bytes]]]:
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/form-data"):
            fields, files = form_of(kind, raw)
            return dict(fields), files
        return json.loads(raw), {}

    def _is_faulty(self, route: str) -> bool:
        state = self.ace_step_state
        state.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        fault = state.faults[route].popleft() if state.faults[route] else None
        if fault == 0:
            self.drop()
        elif fault is not None:
            body = json.dumps({"detail": f"status {fault}"}).encode()
            self.say(fault, body, Content_Type="application/json", Retry_After=state.retry_after or "0")
        return fault is not None

    def _is_refused(self, fields: Mapping[str, Any]) -> bool:
        """The body's key counts first, and a wrong one there is refused even beside a good header."""
        state, header = self.ace_step_state, self.headers.get("Authorization", "").removeprefix("Bearer ")
        given = fields.get("ai_token") or header
        if not state.key or given == state.key:
            return False
        self._detail(401, "Invalid API key" if given else "Missing Authorization header")
        return True

    def _release(self, fields: dict[str, Any], files: dict[str, tuple[str, bytes]]) -> None:
        state = self.ace_step_state
        if state.enveloped:
            self._envelope(None, code=500, error=state.enveloped)
            return
        name, wanted = str(uuid.uuid4()), {key: _field(fields, key) for key in (*fields, *_ALIASES)}
        task = Task(wanted, files, deque(_running()), self._seeds(wanted))
        if state.revision == "gradio":
            state.finished.wait(30)
            if state.error:
                self._detail(500, state.error)
                return
            task.says.clear()
        if not state.forgets:
            state.tasks[name] = task
        if state.revision == "gradio":
            self._envelope({"task_id": name, "status": "succeeded"})
        else:
            self._envelope({"task_id": name, "status": "queued", "queue_position": 1})

    def _seeds(self, fields: Mapping[str, Any]) -> list[int]:
        """One for each track; two tracks if nothing is said of it."""
        state, size = self.ace_step_state, int(fields.get("batch_size") or 2)
        random = str(fields.get("use_random_seed", "true")).lower() not in ("false", "0")
        if state.revision == "gradio" and isinstance(fields.get("use_random_seed"), str):
            random = True
        parts = str(fields.get("seed", -1)).split(",")
        if state.revision == "feb" and len(parts) > 1:
            parts = []
        given = [] if random or state.ignores_seed else [int(part) for part in parts if part.strip() not in ("", "-1")]
        return [*given, *range(DRAWN, DRAWN + size)][: min(size, state.most_at_once)]

    def _query(self, fields: dict[str, Any], _files: object) -> None:
        names = fields.get("task_id_list", [])
        if isinstance(names, str):
            names = json.loads(names)
        self._envelope([self._said(name) for name in names])

    def _said(self, name: str) -> dict[str, Any]:
        state = self.ace_step_state
        task = state.tasks.get(name)
        if task is None:
            return {"task_id": name, "status": 0, "result": "[]"}
        if task.says:
            item = task.says.popleft()
            return {"task_id": name, "status": 0, "result": json.dumps([item]), "progress_text": "step"}
        if state.error:
            item = {"file": "", "status": 2, "progress": 0.0, "stage": "failed", "error": state.error}
            return {"task_id": name, "status": 2, "result": json.dumps([item]), "progress_text": ""}
        items = [self._item(name, index) for index in range(len(task.seeds))]
        return {"task_id": name, "status": 1, "result": json.dumps(items), "progress_text": "done"}

    def _item(self, name: str, index: int) -> dict[str, Any]:
        state, task = self.ace_step_state, self.ace_step_state.tasks[name]
        path = self._made(name, index)
        link = f"/v1/audio?path={quote(str(path), safe='')}"
        if state.revision == "gradio":
            return {"file": str(path), "url": link, "status": 1, "seed": task.seeds[index], "keyscale": "C major"}
        return {
            "file": f"{state.results_at}{link}" if state.results_at is not None else link,
            "wave": "",
            "status": 1,
            "create_time": int(time.time()),
            "env": "development",
            "prompt": task.fields["prompt"],
            "lyrics": task.fields.get("lyrics"),
            "metas": {"bpm": "N/A", "keyscale": task.fields.get("key_scale") or "N/A", "duration": 10},
            "generation_info": "**done**",
            "seed_value": ",".join(map(str, task.seeds)),
            "lm_model": "",
            "dit_model": task.fields.get("model") if task.fields.get("model") in state.models else state.models[0],
            "progress": 1.0,
            "stage": "succeeded",
        }

    def _made(self, name: str, index: int) -> Path:
        """The track, as a file; of a song that was sent, its own length at half its level."""
        state, task = self.ace_step_state, self.ace_step_state.tasks[name]
        path = state.folder / f"{name}-{index}.wav"
        if path.exists():
            return path
        if "src_audio" in task.files:
            sent = state.folder / f"{name}.flac"
            sent.write_bytes(task.files["src_audio"][1])
            encode(decode(sent, rate=48_000, channels=2), path, format_of(path))
        else:
            encode(
                tune(float(task.fields["audio_duration"]) + state.off, 48_000, 2, task.seeds[index]),
                path,
                format_of(path),
            )
        return path

    def _audio(self) -> None:
        state = self.ace_step_state
        path = Path(parse_qs(urlsplit(self.path).query).get("path", [""])[0])
        if state.folder not in path.resolve().parents:
            self._detail(403, "Access denied: path outside allowed directory")
        elif not path.is_file():
            self._detail(404, "Audio file not found")
        else:
            self.say(200, path.read_bytes(), Content_Type="audio/wav")

    def _format(self, fields: dict[str, Any], _files: object) -> None:
        state = self.ace_step_state
        if not state.llm:
            self._detail(503, "LLM not initialized")
        elif state.format_error:
            self._envelope(None, code=500, error=state.format_error)
        else:
            wishes = fields.get("param_obj") or {}
            self._envelope(
                {
                    "caption": f"{fields['prompt']}, warm felt piano",
                    "lyrics": fields.get("lyrics"),
                    "bpm": wishes.get("bpm", 84),
                    "key_scale": wishes.get("key", "A minor"),
                    "time_signature": "4",
                    "duration": wishes.get("duration"),
                    "vocal_language": "unknown",
                }
            )

    def _health(self) -> dict[str, Any]:
        state = self.ace_step_state
        if state.revision == "gradio":
            return {"status": "ok", "service": "ACE-Step Gradio API", "version": "1.0"}
        said: dict[str, Any] = {"status": "ok", "service": "ACE-Step API", "version": "1.0"}
        if state.revision == "later":
            said |= {"models_initialized": True, "llm_initialized": state.llm, "loaded_model": state.models[0]}
        return said

    def _inventory(self) -> list[dict[str, Any]]:
        state = self.ace_step_state
        return [
            {
                "name": name,
                "is_default": index == 0,
                "is_loaded": index == 0,
                "supported_task_types": ["text2music", "cover", "repaint"],
            }
            for index, name in enumerate(state.models)
        ]

    def _models(self) -> None:
        state = self.ace_step_state
        if state.wrapped_models or state.revision == "gradio":
            listed = [{"name": name, "is_default": index == 0} for index, name in enumerate(state.models)]
            self._envelope({"models": listed, "default_model": state.models[0]})
            return
        data = [{"id": f"acestep/{name}", "name": name, "context_length": 4096} for name in state.models]
        self._answer(200, {"object": "list", "data": data})

    def _envelope(self, data: Any, *, code: int = 200, error: str | None = None) -> None:
        self._answer(
            200, {"data": data, "code": code, "error": error, "timestamp": int(time.time() * 1000), "extra": None}
        )

    def _detail(self, status: int, detail: str) -> None:
        self._answer(status, {"detail": detail})

    def _answer(self, status: int, body: Any) -> None:
        self.say(status, json.dumps(body).encode(), Content_Type="application/json")


def _field(fields: Mapping[str, Any], name: str) -> Any:
    """A value by its name or one of its aliases; null and nothing are skipped."""
    return next((fields[each] for each in (name, *_ALIASES.get(name, ())) if fields.get(each) not in (None, "")), None)


def _running() -> list[dict[str, Any]]:
    head = {"file": "", "wave": "", "status": 0, "create_time": 1, "env": "development"}
    return [{**head, "progress": 0.01, "stage": "running"}, {**head, "progress": 0.6, "stage": "diffusion"}]

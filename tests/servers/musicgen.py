"""A MusicGen server on loopback: `/generate`, `/generate/soundtrack`, `/separate`, `/jobs/{id}`, `/files/{name}`, `/health`.

Orders want X-API-Key (401 missing, 403 wrong).
"""

from __future__ import annotations

import json
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.servers.forms import form_of
from tests.servers.loopback import Loopback, serving
from tests.servers.tunes import tune

from sottovoce.audio import Audio
from sottovoce.media.decode import decode
from sottovoce.media.encode import encode, format_of

STEMS = ("drums", "bass", "other", "vocals")


@dataclass
class MusicgenServer:
    """The server's state; `faults` (statuses, 0 drops the connection) are used up one a call."""

    folder: Path
    port: int = 0
    mount: str = ""
    key: str | None = None
    jobs: dict[str, deque[dict[str, Any]]] = field(default_factory=dict)
    uploads: list[tuple[str, bytes]] = field(default_factory=list)
    faults: deque[int] = field(default_factory=deque)
    #: What a job says, one entry a call, the last for good.
    script: list[dict[str, Any]] | None = None
    #: In place of the relative addresses of results.
    results: list[str] | None = None
    #: Seconds that each stem is longer (or shorter) than the song, or music than what was asked for.
    off: float = 0.0
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    #: Music by file name: its seconds and its seed.
    unmade: dict[str, tuple[float, int]] = field(default_factory=dict)
    #: Route and body of each order of music.
    orders: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.mount}"


@contextmanager
def musicgen_server() -> Iterator[MusicgenServer]:
    """The server while the block runs."""
    with TemporaryDirectory() as folder:
        state = MusicgenServer(Path(folder))

        class Handler(_Handler):
            musicgen_state = state

        with serving(Handler) as port:
            state.port = port
            yield state


class _Handler(Loopback):
    musicgen_state: MusicgenServer

    def do_POST(self) -> None:  # noqa: N802 - http.server calls it so
        body = self.body()
        if self._is_refused():
            return
        route, job = self.path.removeprefix(self.musicgen_state.mount), str(uuid.uuid4())
        if route == "/separate":
            _fields, files = form_of(self.headers["Content-Type"], body)
            self._separate(job, *files["file"])
        elif route in ("/generate", "/generate/soundtrack"):
            order = json.loads(body)
            if wrong := _wrong(route, order):
                self._answer(422, {"detail": wrong})
                return
            self._generate(job, route, order)
        else:
            self._answer(404, {"detail": "Not Found"})
            return
        self._answer(200, {"job_id": job, "status": "queued"})

    def do_GET(self) -> None:  # noqa: N802 - http.server calls it so
        state, words = self.musicgen_state, self.path.removeprefix(self.musicgen_state.mount).strip("/").split("/")
        if self._is_refused():
            return
        if words == ["health"]:
            loaded = {"musicgen": True, "demucs": False}
            facts = {"status": "healthy", "device": "cpu", "gpu_available": False, "mps_available": False}
            self._answer(200, {**facts, "models_loaded": loaded})
        elif words[0] == "jobs" and words[1] in state.jobs:
            says = state.jobs[words[1]]
            self._answer(200, says.popleft() if len(says) > 1 else says[0])
        elif words[0] == "files" and self._is_made(words[1]):
            self.say(200, (state.folder / words[1]).read_bytes(), Content_Type="audio/wav")
        else:
            self._answer(404, {"detail": "Job not found"})

    def _is_refused(self) -> bool:
        state = self.musicgen_state
        state.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        given, fault = self.headers.get("X-API-Key"), state.faults.popleft() if state.faults else None
        if fault == 0:
            self.drop()
        elif fault is not None:
            self._answer(fault, {"detail": f"status {fault}"})
        elif state.key and given != state.key and not self.path.endswith("/health"):
            self._answer(403 if given else 401, {"detail": "Invalid API key" if given else "Missing X-API-Key header"})
        else:
            return False
        return True

    def _separate(self, job: str, name: str, song: bytes) -> None:
        """Four quarters of the song at 44.1 kHz, as the server's model has it."""
        state = self.musicgen_state
        state.uploads.append((name, song))
        path = state.folder / f"{job}_upload.flac"
        path.write_bytes(song)
        sound = decode(path, rate=44_100, channels=2)
        kept = sound.samples[:, : sound.frames + min(0, round(44_100 * state.off))]
        for stem in STEMS:
            made = state.folder / f"{job}_{stem}.wav"
            encode(Audio(kept * 0.25, 44_100), made, format_of(made, bit_depth="float"))
        links = state.results or [f"/files/{job}_{stem}.wav" for stem in STEMS]
        done = {"job_id": job, "status": "completed", "result_urls": links, "error": None, "progress": 100.0}
        self._queue(job, done)

    def _generate(self, job: str, route: str, order: dict[str, Any]) -> None:
        """A mono file at 32 kHz; a piece whose last window would be its context fails, as it does there."""
        state = self.musicgen_state
        state.orders.append((route, order))
        whole = route == "/generate"
        seconds = order["duration"] if whole else sum(scene["duration"] for scene in order["scenes"]) + 5
        name = f"{job}_{'generated' if whole else 'soundtrack'}.wav"
        done: dict[str, Any] = {"job_id": job, "status": "completed", "error": None, "progress": 100.0}
        done["result_urls"] = state.results if state.results is not None else [f"/files/{name}"]
        if whole and 0 < _last_window(seconds) <= 8:
            done = {"job_id": job, "status": "failed", "error": "AssertionError", "result_urls": None}
        else:
            state.unmade[name] = (seconds + state.off, len(state.orders))
        self._queue(job, done)

    def _is_made(self, name: str) -> bool:
        """Whether there is such a file; music is made when it is asked for, so that ordering an hour of it costs nothing."""
        state, path = self.musicgen_state, self.musicgen_state.folder / name
        if name in state.unmade:
            seconds, seed = state.unmade.pop(name)
            encode(tune(seconds, 32_000, 1, seed), path, format_of(path))
        return path.is_file()

    def _queue(self, job: str, done: dict[str, Any]) -> None:
        """What the job says, one entry a call: queued, at work, done."""
        state = self.musicgen_state
        waiting = [{"status": "queued", "progress": 0.0}, {"status": "processing", "progress": 20.0}]
        state.jobs[job] = deque(
            state.script or [*({"job_id": job, "result_urls": None, **says} for says in waiting), done]
        )

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        self.say(status, json.dumps(body).encode(), Content_Type="application/json")


def _last_window(seconds: int) -> int:
    """How long the last window of a long piece is: the first has 30 s, each other begins 8 s before the end of the one before."""
    begin = 30
    while begin + 22 < seconds:
        begin += 22
    return max(0, seconds - begin)


def _wrong(route: str, order: dict[str, Any]) -> list[dict[str, Any]]:
    """What is out of range, as FastAPI says it."""
    found = []

    def check(name: str, *, right: bool) -> None:
        if not right:
            found.append({"loc": ["body", name], "msg": "out of range", "type": "value_error"})

    if route == "/generate":
        check("prompt", right=1 <= len(order["prompt"]) <= 500)
        check("duration", right=isinstance(order["duration"], int) and 10 <= order["duration"] <= 120)
        return found
    lengths = [scene["duration"] for scene in order["scenes"]]
    check("base_prompt", right=1 <= len(order["base_prompt"]) <= 500)
    check("scenes", right=1 <= len(lengths) <= 40 and all(isinstance(one, int) and 5 <= one <= 120 for one in lengths))
    check("scenes", right=30 <= sum(lengths) <= 1200)
    check("crossfade_duration", right=0.5 <= order["crossfade_duration"] <= 5)
    return found

"""A MusicGen server on loopback: `/separate` as a form, `/jobs/{id}`, `/files/{name}`, and X-API-Key (401 missing, 403 wrong)."""

from __future__ import annotations

import json
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.servers.loopback import Loopback, serving

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
    #: Seconds that each stem is longer (or shorter) than the song.
    off: float = 0.0
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

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
        if self.path != f"{self.musicgen_state.mount}/separate":
            self._answer(404, {"detail": "Not Found"})
            return
        name, song = self._form(body)
        job = str(uuid.uuid4())
        self._separate(job, name, song)
        self._answer(200, {"job_id": job, "status": "queued"})

    def do_GET(self) -> None:  # noqa: N802 - http.server calls it so
        state, words = self.musicgen_state, self.path.removeprefix(self.musicgen_state.mount).strip("/").split("/")
        if self._is_refused():
            return
        if words[0] == "jobs" and words[1] in state.jobs:
            says = state.jobs[words[1]]
            self._answer(200, says.popleft() if len(says) > 1 else says[0])
        elif words[0] == "files" and (state.folder / words[1]).is_file():
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
        elif state.key and given != state.key:
            self._answer(403 if given else 401, {"detail": "Invalid API key" if given else "Missing X-API-Key header"})
        else:
            return False
        return True

    def _form(self, body: bytes) -> tuple[str, bytes]:
        """The file field of a form."""
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        form = BytesParser(policy=HTTP).parsebytes(head + body)
        assert isinstance(form, EmailMessage)
        part = next(
            part for part in form.iter_parts() if part.get_param("name", header="content-disposition") == "file"
        )
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        return str(part.get_filename()), content

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
        waiting = [{"status": "queued", "progress": 0.0}, {"status": "processing", "progress": 20.0}]
        state.jobs[job] = deque(
            state.script or [*({"job_id": job, "result_urls": None, **says} for says in waiting), done]
        )

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        self.say(status, json.dumps(body).encode(), Content_Type="application/json")

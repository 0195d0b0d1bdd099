"""A real server on a free port, its studio in an empty folder, and callers to ask it."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import httpx
import numpy as np
import pytest
import uvicorn

from sottovoce.audio import Audio, Stem
from sottovoce.jobs.job import Job
from sottovoce.library.track import NewTrack, Track
from sottovoce.library.uploads import Limit, Upload
from sottovoce.media.encode import encode, format_of
from sottovoce.media.probe import probe
from sottovoce.recipe import AudioFacts, EngineUsed, Recipe
from sottovoce.server.app import make_app, uvicorn_config
from sottovoce.settings.sections import LibrarySettings, Settings
from sottovoce.settings.serving import ServerSettings
from sottovoce.studio import Studio

#: Limits that no test meets by the way.
WIDE = {"rate_per_minute": 100_000, "heavy_per_minute": 100_000}


@dataclass
class Server:
    """A server that runs, and its studio."""

    studio: Studio
    url: str
    _open: ExitStack = field(default_factory=ExitStack, repr=False)

    def client(self, secret: str | None = None, **headers: str) -> httpx.Client:
        """A client with a token, or without."""
        carried = {"Authorization": f"Bearer {secret}"} if secret else {}
        made = httpx.Client(base_url=self.url, headers=carried | headers, timeout=60, trust_env=False)
        return self._open.enter_context(made)

    def token(self, name: str, *, admin: bool = False) -> str:
        """The secret of a new token."""
        return self.studio.tokens.create(name, admin=admin)[1]

    def user(self, name: str) -> tuple[httpx.Client, str]:
        """A new user: a client, and the id that is the owner of what the user makes."""
        token, secret = self.studio.tokens.create(name)
        return self.client(secret), token.id

    def job(self, owner: str = "", **request: Any) -> Job:
        """A job of someone's."""
        return self.studio.queue.submit("generate", {"prompt": "rain"} | request, owner=owner, lane="batch")

    def upload(self, owner: str = "", seconds: float = 1.0) -> Upload:
        """An upload of someone's."""
        return self.studio.uploads.add(BytesIO(wav(seconds)), "rain.wav", Limit(10_000_000, 600), owner=owner)

    def close(self) -> None:
        self._open.close()


class Start(Protocol):
    """Starts a server with these settings of the section `server`."""

    def __call__(self, **settings: Any) -> Server: ...


@pytest.fixture(scope="session")
def new_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an empty library whose tables are all there, to be copied: making those of the queue takes seconds."""
    folder = tmp_path_factory.mktemp("new") / "library"
    with Studio(Settings(library=LibrarySettings(directory=folder))) as studio:
        job = studio.queue.submit("generate", {"prompt": "rain"})
        studio.queue.cancel(job.id)
        assert studio.queue.forget(0) == (job.id,)
    return folder


@pytest.fixture
def start(tmp_path: Path, new_library: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """A starter of servers, which all end with the test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    shutil.copytree(new_library, tmp_path / "library")
    with ExitStack() as running:

        def begin(**settings: Any) -> Server:
            return running.enter_context(_running(tmp_path / "library", settings))

        yield begin


@pytest.fixture
def quick_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads are looked at in this process: a child takes seconds, and only matters to files that break it."""
    monkeypatch.setattr("sottovoce.library.uploads.probe_in_child", lambda path, _limits: probe(path))


@pytest.fixture
def server(start: Start) -> Server:
    """A server for this machine alone, without tokens."""
    return start()


@contextmanager
def _running(folder: Path, settings: dict[str, Any]) -> Iterator[Server]:
    said = Settings(library=LibrarySettings(directory=folder), server=ServerSettings(**(WIDE | settings)))
    with Studio(said) as studio, socket.create_server(("127.0.0.1", 0)) as door:
        config = uvicorn_config(make_app(studio), said.server, log_level="critical")
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [door]})
        thread.start()
        until(lambda: running.started)
        server = Server(studio, f"http://127.0.0.1:{door.getsockname()[1]}")
        try:
            yield server
        finally:
            server.close()
            running.should_exit = True
            thread.join()


def until(happened: Callable[[], Any], seconds: float = 30.0) -> None:
    """Wait for something."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def tone(seconds: float = 1.0, rate: int = 8000, hertz: float = 440.0) -> Audio:
    """A tone that swells from silence to half of full scale."""
    time_ = np.arange(round(seconds * rate)) / rate
    wave = 0.5 * (time_ / max(seconds, 1e-9)) * np.sin(2 * np.pi * hertz * time_)
    return Audio(np.stack([wave, wave]).astype(np.float32), rate)


def wav(seconds: float = 1.0) -> bytes:
    """The bytes of a 16-bit WAV file of so many seconds, 8 kHz mono."""
    data: bytes = (tone(seconds).samples[0] * 32767).astype("<i2").tobytes()
    head = b"RIFF" + (36 + len(data)).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    form = b"".join(
        number.to_bytes(size, "little") for number, size in ((1, 2), (1, 2), (8000, 4), (16000, 4), (2, 2), (16, 2))
    )
    return head + form + b"data" + len(data).to_bytes(4, "little") + data


class AddTrack(Protocol):
    """Files a track of one second with two stems and notes in a studio's library."""

    def __call__(self, studio: Studio, title: str = ..., *, hertz: float = ..., bare: bool = ...) -> Track: ...


@pytest.fixture
def add_track(tmp_path: Path) -> AddTrack:
    """A maker of tracks, see `AddTrack`."""
    scratch = tmp_path / "made"
    scratch.mkdir()

    def sound(name: str, hertz: float) -> Path:
        path = scratch / f"{name}.flac"
        encode(tone(hertz=hertz), path, format_of(path))
        return path

    def add(studio: Studio, title: str = "Night", *, hertz: float = 440.0, bare: bool = False) -> Track:
        notes = scratch / "take.mid"
        notes.write_bytes(b"MThd notes")
        new = NewTrack(
            title=title,
            kind="generate",
            audio=sound("take", hertz),
            seconds=1.0,
            rate=8000,
            channels=2,
            engine="tone",
            sound=str(hertz),
            recipe=None if bare else _recipe(),
            stems={} if bare else {Stem(name): sound(name, hertz * 2) for name in ("bass", "drums")},
            midi=None if bare else notes,
        )
        return studio.library.add(new)

    return add


def _recipe() -> Recipe:
    return Recipe.model_validate(
        {
            "sottovoce": "0.3.0",
            "kind": "generate",
            "request": {"prompt": "rain"},
            "engine": EngineUsed(name="tone", version="1").model_dump(),
            "seed": 7,
            "batch": {"seeds": [7]},
            "device": "cpu",
            "cpu": "some",
            "libraries": {},
            "precision": "float32",
            "threads": 1,
            "started": "2026-01-01T00:00:00+00:00",
            "seconds": 1.5,
            "inspection": {},
            "audio": AudioFacts(
                sha256_pcm="ab" * 32, rate=8000, channels=2, frames=8000, lufs=-16.1, true_peak_db=-1.2
            ).model_dump(),
        }
    )


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """The error in an answer, whose form is checked by the way."""
    body = json.loads(answer.text)
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert set(error) == {"code", "message", "hint", "details"}
    return error

"""The studio over HTTP, through the installed command: a real server, its worker, and what happens when that dies."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

SECONDS = 900
TONE = {"kind": "generate", "prompt": "rain", "duration": 5, "engine": "tone"}


@pytest.fixture
def port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        number: int = door.getsockname()[1]
    return number


@pytest.fixture
def server(tmp_path: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server with an empty library."""
    environment = os.environ | {"SOTTO_LIBRARY__DIRECTORY": str(tmp_path / "library"), "HOME": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-m", "sottovoce", "serve", "--port", str(port)], env=environment)
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def client(port: int, server: subprocess.Popen[bytes]) -> Iterator[httpx.Client]:
    """A client of the server, which answers by now."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=120) as client:

        def answers() -> bool:
            assert server.poll() is None, "the server ended"
            try:
                return client.get("/health").status_code == 200
            except httpx.TransportError:
                return False

        until(answers)
        yield client


def until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.2)


def worker_of(server: subprocess.Popen[bytes]) -> int | None:
    """The process id of a server's worker."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rsplit(")", 1)[1].split()[1]
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if parent == str(server.pid) and b"worker" in words:
            return int(folder.name)
    return None


def post(client: httpx.Client, **fields: Any) -> str:
    answer = client.post("/api/jobs", json=TONE | fields)
    assert answer.status_code == 202, answer.text
    job: str = answer.json()["job"]["id"]
    return job


def state(client: httpx.Client, job: str) -> str:
    told: str = client.get(f"/api/jobs/{job}").json()["job"]["state"]
    return told


@pytest.mark.long
def test_a_job_is_made_though_its_worker_is_killed(client: httpx.Client, server: subprocess.Popen[bytes]) -> None:
    until(lambda: worker_of(server))
    first = worker_of(server)
    assert first is not None
    job = post(client, seed=7)
    os.kill(first, signal.SIGKILL)
    until(lambda: state(client, job) == "done")
    assert worker_of(server) != first
    (track,) = client.get("/api/tracks").json()["tracks"]
    assert track["seed"] == 7
    sound = client.get(f"/api/tracks/{track['id']}/audio", headers={"Range": "bytes=0-3"})
    assert (sound.status_code, sound.content) == (206, b"fLaC")
    server.send_signal(signal.SIGTERM)
    assert server.wait(SECONDS) == 0
    assert worker_of(server) is None

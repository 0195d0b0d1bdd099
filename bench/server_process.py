"""A `sotto serve` of the benches' own, in a folder of its own, and what its processes take."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx


@dataclass
class ServerProcess:
    """A server that can be killed and started again at the same place."""

    folder: Path
    arguments: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        if self.port == 0:
            with socket.create_server(("127.0.0.1", 0)) as door:
                self.port = door.getsockname()[1]
        wide = {"SOTTO_SERVER__RATE_PER_MINUTE": "100000", "SOTTO_SERVER__HEAVY_PER_MINUTE": "100000"}
        places = {"SOTTO_LIBRARY__DIRECTORY": str(self.folder / "library"), "HOME": str(self.folder)}
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sottovoce", "serve", "--port", str(self.port), *self.arguments],
                env=os.environ | wide | places | self.settings,
                stderr=log,
            )
        until(self.answers, 300)

    def answers(self) -> bool:
        """Whether it answers by now."""
        try:
            return httpx.get(f"{self.url}/health", trust_env=False, timeout=5).is_success
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        """Stop it as whoever runs it would."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait()

    def client(self) -> httpx.Client:
        """A client of it, to be closed by the caller."""
        return httpx.Client(base_url=self.url, trust_env=False, timeout=120)

    def family(self) -> dict[str, int]:
        """Its processes by what they are: `server`, `worker`, `runner`, as far as they are there."""
        assert self.process is not None
        found, parents = {"server": self.process.pid}, {self.process.pid}
        for _ in range(2):
            for pid, parent, command in processes():
                role = "runner" if "worker.runner" in command else "worker" if " worker " in f"{command} " else ""
                if parent in parents and role:
                    found[role] = pid
                    parents = parents | {pid}
        return found


@contextmanager
def serving(folder: Path, *arguments: str, **settings: str) -> Iterator[ServerProcess]:
    """A server while the block runs."""
    server = ServerProcess(folder, arguments, settings)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def processes() -> Iterator[tuple[int, int, str]]:
    """Every process: its number, its parent's, its command."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        yield int(place.name), parent, command


def memory_mb(pid: int, what: str = "VmRSS") -> float:
    """What a process holds of the memory now; `VmHWM` is the most it ever held."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1000
    return 0.0


def processor_seconds(pid: int) -> float:
    """The processor time a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def until(happened: Callable[[], object], seconds: float) -> None:
    """Wait for something; AssertionError if it does not come."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)

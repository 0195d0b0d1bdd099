"""Servers as the server's own tests start them, and a line to one that breaks off."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pytest
from tests.server.conftest import Server
from tests.server.conftest import add_track as add_track
from tests.server.conftest import new_library as new_library
from tests.server.conftest import quick_probe as quick_probe
from tests.server.conftest import server as server
from tests.server.conftest import start as start


@dataclass
class Line:
    """A way to a server that carries everything; a connection is cut after so many bytes of answers as stand in `cuts`, one entry each."""

    url: str = ""
    cuts: deque[int | None] = field(default_factory=deque)
    #: What was sent over each connection.
    sent: list[bytes] = field(default_factory=list)


@pytest.fixture
def line(server: Server) -> Iterator[Line]:
    """A line to the server."""
    port = int(server.url.rsplit(":", 1)[1])
    with carrying(port) as line:
        yield line


@contextmanager
def carrying(port: int) -> Iterator[Line]:
    """A line to a port of this machine, for as long as the block runs."""
    line = Line()
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as door:
        line.url = f"http://127.0.0.1:{door.getsockname()[1]}"

        def accept() -> None:
            with suppress(OSError):
                while True:
                    caller, _ = door.accept()
                    threads.append(threading.Thread(target=_carry, args=(line, caller, port)))
                    threads[-1].start()

        keeper = threading.Thread(target=accept)
        keeper.start()
        yield line
        door.shutdown(socket.SHUT_RDWR)
        keeper.join()
    for thread in threads:
        thread.join()


def _carry(line: Line, caller: socket.socket, port: int) -> None:
    number, left = len(line.sent), line.cuts.popleft() if line.cuts else None
    line.sent.append(b"")
    with caller, socket.create_connection(("127.0.0.1", port)) as there:

        def ask() -> None:
            with suppress(OSError):
                while piece := caller.recv(1 << 16):
                    line.sent[number] += piece
                    there.sendall(piece)
            _end(there)

        asking = threading.Thread(target=ask)
        asking.start()
        with suppress(OSError):
            while piece := there.recv(1 << 16):
                caller.sendall(piece if left is None else piece[:left])
                left = None if left is None else left - len(piece)
                if left is not None and left <= 0:
                    break
        _end(caller)
        _end(there)
        asking.join()


def _end(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)

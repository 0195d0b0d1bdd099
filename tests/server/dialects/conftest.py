"""The command's own server and worker, for clients of other servers to be pointed at."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.server.conftest import until


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of a server with a worker, whose engines are the test engines."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    home = {"HOME": str(tmp_path), "SOTTO_LIBRARY__DIRECTORY": str(tmp_path / "library")}
    orders = {"GENERATORS": '["tone"]', "SEPARATORS": '["tone"]', "ENHANCERS": '["expander"]'}
    engines = {f"SOTTO_ENGINES__{kind}": order for kind, order in orders.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "sottovoce", "serve", "--port", str(port)], env=os.environ | engines | home
    )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, "the server ended"
        try:
            return httpx.get(f"{url}/health", trust_env=False, timeout=60).status_code == 200
        except httpx.TransportError:
            return False

    try:
        until(answers, 900)
        yield url
    finally:
        process.terminate()
        process.wait()

"""What the servers of the tests share: HTTP on loopback in threads of this process, quiet, and able to break off."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Loopback(BaseHTTPRequestHandler):
    """A handler with one way to answer."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_words: Any) -> None:
        """Say nothing."""

    def handle(self) -> None:
        """A client that goes away is nothing to speak of."""
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def body(self) -> bytes:
        """What was sent."""
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def drop(self) -> None:
        """Close the connection without a word."""
        self.close_connection = True

    def say(self, status: int, body: bytes, *, cut: bool = False, **headers: str) -> None:
        """Answer; a cut one promises all and sends half. `X_Name` becomes `X-Name`."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.wfile.flush()
            self.close_connection = True


@contextmanager
def serving(handler: type[Loopback]) -> Iterator[int]:
    """The port of a server that answers while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

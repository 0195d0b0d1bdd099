"""A call whose answer may take as long as the work behind it, and which a cancel ends at once all the same."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
_BETWEEN = 0.25
#: How long a line that was cut may take to end.
_LAST_SECONDS = 1.0


class Line:
    """The connections a request opens, so that they can be cut: pass `watch` as httpx's extension `trace`."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        self._is_cut = False

    def watch(self, event: str, info: Mapping[str, Any]) -> None:
        """Remember a connection that was made, or end it if it comes too late."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._sockets.append(info["return_value"].get_extra_info("socket"))
            if self._is_cut:
                self.cut()

    def cut(self) -> None:
        """End them, and those still to come, so that whoever waits for an answer stops waiting."""
        self._is_cut = True
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def answered(call: Callable[[], T], line: Line, report: Callable[[], None]) -> T:
    """What `call` gives; `report` is called a few times a second meanwhile, and what it raises cuts the line."""
    future: Future[T] = Future()
    thread = threading.Thread(target=_into, args=(future, call), daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(_BETWEEN)
            report()
    except BaseException:
        line.cut()
        thread.join(_LAST_SECONDS)
        raise
    return future.result()


def _into(future: Future[T], call: Callable[[], T]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 - it is raised again where the result is asked for
        future.set_exception(error)

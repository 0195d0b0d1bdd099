"""`sotto serve`: this studio over HTTP, with a worker beside it."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import typer

from sottovoce.cli.options import given

_LOOK_SECONDS = 0.25
#: A worker that cannot even begin is not started again and again without a pause.
_PAUSE_SECONDS = 5.0


def command(
    host: Annotated[
        str | None, typer.Option(help="The address to listen on.", show_default="the setting server.host")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="The port to listen on.", show_default="the setting server.port"),
    ] = None,
    worker: Annotated[bool, typer.Option(help="Whether a worker runs beside it.")] = True,
) -> None:
    """Serve this studio over HTTP, with a worker, until you are stopped."""
    import uvicorn

    from sottovoce.logs import log_to_stderr
    from sottovoce.server.app import check_open, make_app, uvicorn_config
    from sottovoce.settings import load_settings
    from sottovoce.studio import Studio
    from sottovoce.worker.seat import alone

    log_to_stderr()
    settings = load_settings()
    changed: dict[str, Any] = given(host=host, port=port)
    settings = settings.model_copy(update={"server": settings.server.model_copy(update=changed)})
    with Studio(settings) as studio, alone(settings.library_folder() / "server.lock"):
        check_open(studio)
        server = uvicorn.Server(uvicorn_config(make_app(studio), settings.server, log_level="info"))
        # Having ended what was open, uvicorn raises the signal that stopped it once more.
        with _beside(asked=worker), suppress(KeyboardInterrupt):
            server.run()


@contextmanager
def _beside(*, asked: bool) -> Iterator[None]:
    """A worker process for as long as the server runs; one that dies is followed by another."""
    stopped = threading.Event()
    keeper = threading.Thread(target=_keep_working, args=(stopped,))
    if asked:
        keeper.start()
    try:
        yield
    finally:
        stopped.set()
        if asked:
            keeper.join()


def _keep_working(stopped: threading.Event) -> None:
    while not stopped.is_set():
        worker = subprocess.Popen([sys.executable, "-m", "sottovoce", "worker", "--with-input"], stdin=subprocess.PIPE)
        while worker.poll() is None and not stopped.wait(_LOOK_SECONDS):
            pass
        if worker.poll() is None:
            worker.terminate()
        code = worker.wait()
        if worker.stdin is not None:
            worker.stdin.close()
        if not stopped.is_set():
            logging.getLogger(__name__).warning("the worker ended (exit %d), and is started again", code)
            stopped.wait(_PAUSE_SECONDS)

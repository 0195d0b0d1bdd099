"""`sotto serve`: this studio over HTTP, with a worker beside it."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import typer

from sottovoce.cli.options import given


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

    from sottovoce.server.app import check_open, make_app, uvicorn_config
    from sottovoce.settings import load_settings
    from sottovoce.studio import Studio
    from sottovoce.worker.place import alone

    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
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
    """A worker process for as long as the server runs."""
    if not asked:
        yield
        return
    process = subprocess.Popen([sys.executable, "-m", "sottovoce", "worker", "--with-input"], stdin=subprocess.PIPE)
    try:
        yield
    finally:
        process.terminate()
        process.wait()
        if process.stdin is not None:
            process.stdin.close()

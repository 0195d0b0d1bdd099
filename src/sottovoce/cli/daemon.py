"""`sotto daemon`, and `lofi-daemon`, the name that editor plug-ins look for: music for editors, by JSON-RPC on standard input and output."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from sottovoce import cli

if TYPE_CHECKING:
    from sottovoce.daemon.methods import Methods
    from sottovoce.daemon.wire import Writer
    from sottovoce.settings import Settings

_NAME = "lofi-daemon"


def command(
    idle_exit: Annotated[
        float,
        typer.Option(
            "--idle-exit", min=0, help="End after so many seconds in which nothing was asked or done; 0 is never."
        ),
    ] = 0.0,
) -> None:
    """Serve an editor: JSON-RPC 2.0, one JSON value per line, on standard input and output; ends with its input."""
    from sottovoce.daemon.serve import protocol_output, serve
    from sottovoce.daemon.wire import Writer
    from sottovoce.settings import load_settings

    settings = load_settings()
    writer = Writer(protocol_output())
    serve(0, writer, lambda: _methods(settings, writer), idle_seconds=idle_exit)


def main() -> NoReturn:
    """Run as `lofi-daemon --daemon`: the process keeps that name, as plug-ins end it by its name."""
    with suppress(OSError):
        Path("/proc/self/comm").write_text(_NAME, encoding="ascii")
    sys.argv[1:] = ["daemon", *(word for word in sys.argv[1:] if word != "--daemon")]
    cli.main()


def _methods(settings: Settings, writer: Writer) -> Methods:
    """Everything behind the protocol; its imports take a while."""
    from sottovoce.daemon.methods import Methods
    from sottovoce.studio import Studio
    from sottovoce.worker.child import Child

    return Methods(Studio(settings), Child(stall_seconds=settings.jobs.stall_seconds), writer.notify)

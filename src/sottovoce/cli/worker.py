"""`sotto worker`: does the jobs of a library."""

from __future__ import annotations

import os
import signal
import threading
from typing import Annotated

import typer


def command(
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="How many jobs at once.", show_default="as many as fit into the memory"),
    ] = None,
    with_input: Annotated[
        bool,
        typer.Option(
            "--with-input", hidden=True, help="End when standard input does: the server that began it is gone."
        ),
    ] = False,
) -> None:
    """Work on the jobs of a library until you are stopped; what is being done then is taken up again by the next worker."""
    from sottovoce.logs import log_to_stderr
    from sottovoce.studio import Studio
    from sottovoce.worker.host import Host

    log_to_stderr()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    if with_input:
        threading.Thread(target=_end_with_input, args=(stopped,), daemon=True).start()
    with Studio() as studio:
        Host(studio, workers=workers).run(stopped)


def _end_with_input(stopped: threading.Event) -> None:
    # Not by sys.stdin, whose lock a thread that reads would still hold when the process ends.
    while os.read(0, 4096):
        pass
    stopped.set()

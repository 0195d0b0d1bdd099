"""`sotto mood`: what the pictures and the sound of a video suggest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from sottovoce.cli import options, remote
from sottovoce.cli.render import AsJson, bar, show, table


def command(
    source: Annotated[str, typer.Argument(help="A video or a recording, or - for standard input.")],
    engine: Annotated[str | None, typer.Option(help="An engine by name, or auto.", show_default="auto")] = None,
    engine_options: options.EngineOptions = None,
    as_json: AsJson = False,
) -> None:
    """Say what the pictures and the sound of a video suggest."""
    from sottovoce.tasks.mood import ReadMood

    with options.input_file(source) as path, remote.server() as server:
        fields = options.given(source={"path": path}, engine=engine, options=options.parse_pairs(engine_options))
        if server is None:
            report = _here(fields)
        else:
            with bar() as progress:
                report = remote.result(remote.done(server, ReadMood, fields, progress), "report")
    rows = [
        (name.replace("_", " "), ", ".join(value) if isinstance(value, list | tuple) else value)
        for name, value in report["mood"].items()
    ]
    show(report, f"{table(['', ''], rows)}\n{options.notes(report)}", as_json=as_json)


def _here(fields: dict[str, Any]) -> Mapping[str, Any]:
    """The report of this machine's studio."""
    from sottovoce.studio import Studio
    from sottovoce.tasks.mood import ReadMood

    with Studio() as studio:
        request = studio.request(ReadMood, fields)
        with bar() as progress:
            return studio.run(request, progress).report

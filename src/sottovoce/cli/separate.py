"""`sotto separate`: a song into stems."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sottovoce.cli import options
from sottovoce.cli.render import AsJson, bar, clock, show, table


def command(
    source: Annotated[str, typer.Argument(help="A song, or - for standard input.")],
    engine: Annotated[str | None, typer.Option(help="An engine by name, or auto.", show_default="auto")] = None,
    model: Annotated[str | None, typer.Option(help="The engine's model.")] = None,
    only: Annotated[str | None, typer.Option(help="Only these stems, such as vocals,drums or no_vocals.")] = None,
    preview: Annotated[float | None, typer.Option(help="Only the first seconds.")] = None,
    format: Annotated[
        str | None, typer.Option("--format", help="wav, flac, mp3, opus, ogg or m4a.", show_default="flac")
    ] = None,
    engine_options: options.EngineOptions = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the stems.", show_default="SONG_stems")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Split a song into stems."""
    from sottovoce.places import check_folder
    from sottovoce.studio import Studio
    from sottovoce.tasks.separate import Separate

    with Studio() as studio, options.input_file(source) as path:
        fields = options.given(
            source={"path": path},
            engine=engine,
            model=model,
            only=None if only is None else only.split(","),
            preview=preview,
            format=format,
            options=options.parse_pairs(engine_options),
        )
        request = studio.request(Separate, fields)
        into = output or Path(f"{'stdin' if source == '-' else path.stem}_stems")
        check_folder(into)
        with bar() as progress:
            studio.consent = options.consent(progress)
            done = studio.run(request, progress, into=into)
    rows = list(done.stems.items())
    text = f"{clock(done.report['seconds'])} split by {done.report['engine']} in {done.report['took']:.1f} s\n{table(['stem', 'file'], rows)}"
    notes = options.notes(done.report)
    show({**done.report, "stems": dict(done.stems)}, f"{text}\n{notes}", as_json=as_json)

"""`sotto separate`: a song into stems."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sottovoce.cli import options, remote
from sottovoce.cli.render import AsJson, bar, clock, show, table

if TYPE_CHECKING:
    from sottovoce.client.client import Client


def command(
    source: Annotated[str, typer.Argument(help="A song, or - for standard input.")],
    engine: Annotated[str | None, typer.Option(help="An engine by name, or auto.", show_default="auto")] = None,
    model: Annotated[
        str | None, typer.Option(help="The engine's model, or a .safetensors file of your own for demucs.")
    ] = None,
    only: Annotated[str | None, typer.Option(help="Only these stems, such as vocals,drums or no_vocals.")] = None,
    preview: Annotated[float | None, typer.Option(help="Only the first seconds.")] = None,
    format: Annotated[
        str | None, typer.Option("--format", help="wav, flac, mp3, opus, ogg or m4a.", show_default="flac")
    ] = None,
    residual: Annotated[bool, typer.Option("--residual", help="Also write what the stems leave of the song.")] = False,
    sum_to_mix: Annotated[
        bool, typer.Option("--sum-to-mix", help="Spread what the stems leave of the song over them.")
    ] = False,
    overlap: Annotated[
        float | None, typer.Option(help="How much of a chunk the next one covers, 0 to under 1; less is faster.")
    ] = None,
    shifts: Annotated[
        int | None, typer.Option(help="Average over so many shifted passes, 0 to 20; each costs the whole time again.")
    ] = None,
    segment: Annotated[
        float | None, typer.Option(help="Seconds of a chunk, for mdx and hdemucs models; shorter takes less memory.")
    ] = None,
    precision: Annotated[str | None, typer.Option(help="auto, exact or fast.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = None,
    engine_options: options.EngineOptions = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Separate again, even if the same was done before, and keep nothing.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the stems.", show_default="SONG_stems")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Split a song into stems."""
    from sottovoce.places import check_folder

    with options.input_file(source) as path, remote.server() as server:
        fields = options.given(
            source={"path": path},
            engine=engine,
            model=model,
            only=None if only is None else only.split(","),
            preview=preview,
            format=format,
            residual=residual or None,
            sum_to_mix=sum_to_mix or None,
            overlap=overlap,
            shifts=shifts,
            segment=segment,
            precision=precision,
            device=device,
            options=options.parse_pairs(engine_options),
            cache=False if no_cache else None,
        )
        into = output or Path(f"{'stdin' if source == '-' else path.stem}_stems")
        check_folder(into)
        report, stems = _here(fields, into) if server is None else _there(server, fields, into)
    text = f"{clock(report['seconds'])} split by {report['engine']} in {report['took']:.1f} s\n{table(['stem', 'file'], stems.items())}"
    show({**report, "stems": stems}, f"{text}\n{options.notes(report)}", as_json=as_json)


def _here(fields: dict[str, Any], into: Path) -> tuple[Mapping[str, Any], dict[str, Path]]:
    """The report and the stems of this machine's studio."""
    from sottovoce.studio import Studio
    from sottovoce.tasks.separate import Separate

    with Studio() as studio:
        request = studio.request(Separate, fields)
        with bar() as progress:
            studio.consent = options.consent(progress)
            done = studio.run(request, progress, into=into)
    return done.report, {str(stem): path for stem, path in done.stems.items()}


def _there(server: Client, fields: dict[str, Any], into: Path) -> tuple[Mapping[str, Any], dict[str, Path]]:
    """The report and the stems of a studio elsewhere."""
    from sottovoce.tasks.separate import Separate

    with bar() as progress:
        job = remote.done(server, Separate, fields, progress)
        names = {stem: remote.plain_name(name) for stem, name in remote.result(job, "stems").items()}
        into.mkdir(parents=True, exist_ok=True)
        stems = {stem: remote.fetch(server, job, name, into / name) for stem, name in names.items()}
    return remote.result(job, "report"), stems

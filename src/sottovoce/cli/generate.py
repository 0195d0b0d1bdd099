"""`sotto generate`: music from words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sottovoce.cli import options
from sottovoce.cli.render import AsJson, bar, show


def command(
    prompt: Annotated[str, typer.Argument(help="What the music should be like, in plain words.")],
    duration: Annotated[float | None, typer.Option(help="Length in seconds, 5 to 600, exact to the sample.", show_default="60")] = None,
    engine: Annotated[str | None, typer.Option(help="An engine by name, or auto.", show_default="auto")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same music.")] = None,
    bpm: Annotated[float | None, typer.Option(help="Tempo, 30 to 300 beats per minute.")] = None,
    key: Annotated[str | None, typer.Option(help="Key, such as 'A minor'.")] = None,
    time_signature: Annotated[str | None, typer.Option(help="2/4, 3/4, 4/4 or 6/8.")] = None,
    mood: Annotated[str | None, typer.Option(help="calm, happy, nostalgic, ... (one of fifteen).")] = None,
    genre: Annotated[str | None, typer.Option(help="acoustic, ambient, jazz, ... (one of fifteen).")] = None,
    versions: Annotated[int | None, typer.Option(help="How many takes, 1 to 8.", show_default="1")] = None,
    stems: Annotated[bool, typer.Option("--stems", help="Keep the stems too; they add up to the mix.")] = False,
    loudness: Annotated[float | None, typer.Option(help="Loudness in LUFS, -40 to -8.", show_default="the style's own")] = None,
    cues: Annotated[list[float] | None, typer.Option("--cue", help="A second at which something should change; repeatable.")] = None,
    engine_options: options.EngineOptions = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; its ending names the format.")] = None,
    midi: Annotated[bool, typer.Option("--midi", help="With -o: write the notes beside it as MIDI.")] = False,
    bit_depth: options.BitDepth = None,
    bitrate: options.Bitrate = None,
    as_json: AsJson = False,
) -> None:
    """Make music from words."""
    from sottovoce.cli.exporting import Export, export_tracks
    from sottovoce.studio import Studio
    from sottovoce.tasks.generate import Generate

    fields = options.given(
        prompt=prompt, duration=duration, engine=engine, seed=seed, bpm=bpm, key=key, time_signature=time_signature, mood=mood,
        genre=genre, versions=versions, stems=stems, loudness=loudness, cues=cues, options=options.parse_pairs(engine_options),
    )  # fmt: skip
    with Studio.open() as studio:
        request = studio.request(Generate, fields)
        export = Export.plan(output, bit_depth=bit_depth, bitrate=bitrate, midi=midi, stems=stems, versions=request.versions)
        with bar() as progress:
            done = studio.run(request, progress)
            files = export_tracks(studio, done.tracks, export)
        value, text = _described(done.tracks, files)
        show(value, text, as_json=as_json)

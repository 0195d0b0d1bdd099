"""`sotto generate`: music from words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sottovoce.cli import options
from sottovoce.cli.render import AsJson, bar, clock, show
from sottovoce.errors import InvalidParameter

if TYPE_CHECKING:
    from sottovoce.library.track import Track
    from sottovoce.studio import Studio


def command(
    prompt: Annotated[str, typer.Argument(help="What the music should be like, in plain words.")],
    duration: Annotated[
        float | None, typer.Option(help="Length in seconds, 5 to 600, exact to the sample.", show_default="60")
    ] = None,
    engine: Annotated[str | None, typer.Option(help="An engine by name, or auto.", show_default="auto")] = None,
    model: Annotated[str | None, typer.Option(help="A model of the engine, or a folder of your own.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same music.")] = None,
    bpm: Annotated[float | None, typer.Option(help="Tempo, 30 to 300 beats per minute.")] = None,
    key: Annotated[str | None, typer.Option(help="Key, such as 'A minor'.")] = None,
    time_signature: Annotated[str | None, typer.Option(help="2/4, 3/4, 4/4 or 6/8.")] = None,
    mood: Annotated[str | None, typer.Option(help="calm, happy, nostalgic, ... (one of fifteen).")] = None,
    genre: Annotated[str | None, typer.Option(help="acoustic, ambient, jazz, ... (one of fifteen).")] = None,
    lyrics: Annotated[Path | None, typer.Option(help="A file of words to be sung.")] = None,
    language: Annotated[str | None, typer.Option(help="Language of the lyrics.", show_default="en")] = None,
    enhance: Annotated[bool, typer.Option("--enhance", help="Have the prompt said better first.")] = False,
    caption: Annotated[str | None, typer.Option(help="What the engine is told in place of the prompt.")] = None,
    versions: Annotated[int | None, typer.Option(help="How many takes, 1 to 8.", show_default="1")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of a diffusion model.", show_default="the model's")] = None,
    guidance: Annotated[
        float | None, typer.Option(help="How closely a model keeps to the words.", show_default="the model's")
    ] = None,
    scheduler: Annotated[str | None, typer.Option(help="Scheduler of a diffusion model, such as euler.")] = None,
    cover: Annotated[Path | None, typer.Option(help="Music to play anew in the prompt's style.")] = None,
    strength: Annotated[float | None, typer.Option(help="How closely a cover keeps to it, 0 to 1.")] = None,
    repaint: Annotated[Path | None, typer.Option(help="Music of which a part is made anew.")] = None,
    repaint_from: Annotated[float | None, typer.Option("--from", help="Start of that part in seconds.")] = None,
    repaint_to: Annotated[float | None, typer.Option("--to", help="End of that part in seconds.")] = None,
    extend: Annotated[Path | None, typer.Option(help="Music to go on from its end.")] = None,
    by: Annotated[float | None, typer.Option(help="Seconds to extend by.", show_default="30")] = None,
    reference: Annotated[Path | None, typer.Option(help="Music to sound like.")] = None,
    lora: Annotated[str | None, typer.Option(help="An adapter for the model, PATH or PATH:SCALE.")] = None,
    stems: Annotated[bool, typer.Option("--stems", help="Keep the stems too; they add up to the mix.")] = False,
    loudness: Annotated[
        float | None, typer.Option(help="Loudness in LUFS, -40 to -8.", show_default="the style's own")
    ] = None,
    cues: Annotated[
        list[float] | None, typer.Option("--cue", help="A second at which something should change; repeatable.")
    ] = None,
    scenes: options.Scenes = None,
    engine_options: options.EngineOptions = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; its ending names the format.")
    ] = None,
    midi: Annotated[
        bool, typer.Option("--midi", help="With -o: write the notes, if there are any, beside it as MIDI.")
    ] = False,
    bit_depth: options.BitDepth = None,
    bitrate: options.Bitrate = None,
    as_json: AsJson = False,
) -> None:
    """Make music from words."""
    from sottovoce.places import check_output
    from sottovoce.studio import Studio
    from sottovoce.tasks.generate import Generate

    fields = options.given(
        prompt=prompt, duration=duration, engine=engine, model=model, seed=seed, bpm=bpm, key=key, time_signature=time_signature,
        mood=mood, genre=genre, lyrics=options.words_of(lyrics), language=language, enhance=enhance, caption=caption,
        versions=versions, steps=steps, guidance=guidance, scheduler=scheduler, cover=options.music(cover), strength=strength,
        repaint=options.music(repaint), repaint_from=repaint_from, repaint_to=repaint_to, extend=options.music(extend), by=by,
        reference=options.music(reference), lora=lora, stems=stems, loudness=loudness, cues=cues,
        scenes=options.parse_scenes(scenes), options=options.parse_pairs(engine_options),
    )  # fmt: skip
    with Studio() as studio:
        request = studio.request(Generate, fields)
        if output is not None:
            check_output(output, bit_depth=bit_depth, bitrate=bitrate)
        elif midi or bit_depth or bitrate:
            raise InvalidParameter(
                "--midi, --bit-depth and --bitrate say how a file is written", hint="Name it with -o."
            )
        with bar() as progress:
            studio.consent = options.consent(progress)
            done = studio.run(request, progress)
        tracks = done.tracks
        files: list[Path] = []
        for index, track in enumerate(tracks):
            target = _numbered(output, index, len(tracks))
            if target is not None:
                files += studio.library.export(track.id, target, bit_depth=bit_depth, bitrate=bitrate)
                files += _extras(studio, track, target, stems=stems, midi=midi)
    notes = list(done.report["notes"])
    value = {"tracks": [_facts(track) for track in tracks], "files": files, "notes": notes}
    show(value, "\n".join([*notes, _text(tracks, files)]), as_json=as_json)


def _numbered(output: Path | None, index: int, count: int) -> Path | None:
    """`night.flac` for one take, `night-1.flac`, `night-2.flac`, ... for several."""
    return output if output is None or count == 1 else output.with_stem(f"{output.stem}-{index + 1}")


def _extras(studio: Studio, track: Track, target: Path, *, stems: bool, midi: bool) -> list[Path]:
    """What was asked for beside the audio: the notes, the stems as a ZIP."""
    from sottovoce.recipe import beside

    made = []
    if midi and track.midi is not None:
        made.append(studio.library.export_midi(track.id, target.with_suffix(".mid")))
    if stems and track.stems:
        made.append(studio.library.export_stems(track.id, beside(target, "_stems.zip")))
    return made


def _facts(track: Track) -> dict[str, Any]:
    recipe = track.recipe
    assert recipe is not None, "a track that was just made has a recipe"
    return {**track.as_dict(), "recipe": recipe.model_dump(mode="json")}


def _text(tracks: Sequence[Track], files: Sequence[Path]) -> str:
    return "\n".join([*map(_line, tracks), *map(str, files)])


def _line(track: Track) -> str:
    """One take in a few words, and what its maker wants to be known."""
    recipe = track.recipe
    assert recipe is not None, "a track that was just made has a recipe"
    tempo = f", {track.bpm:.1f} bpm" if track.bpm else ""
    facts = f"{clock(track.seconds)}, {track.key or 'no key'}{tempo}, {track.lufs:.1f} LUFS, seed {track.seed}, by {track.engine}"
    notes = options.notes({"skipped": [skip.model_dump() for skip in recipe.skipped], "notes": recipe.notes})
    return f"{track.id}  {track.title}\n{facts} in {recipe.seconds:.1f} s" + (f"\n{notes}" if notes else "")

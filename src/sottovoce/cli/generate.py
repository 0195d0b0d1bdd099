"""`sotto generate`: music from words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sottovoce.cli import options, remote
from sottovoce.cli.render import AsJson, bar, clock, show
from sottovoce.errors import InvalidParameter

if TYPE_CHECKING:
    from sottovoce.client.client import Client
    from sottovoce.client.values import ServedTrack
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
    fields = options.given(
        prompt=prompt, duration=duration, engine=engine, model=model, seed=seed, bpm=bpm, key=key, time_signature=time_signature,
        mood=mood, genre=genre, lyrics=options.words_of(lyrics), language=language, enhance=enhance, caption=caption,
        versions=versions, steps=steps, guidance=guidance, scheduler=scheduler, cover=options.music(cover), strength=strength,
        repaint=options.music(repaint), repaint_from=repaint_from, repaint_to=repaint_to, extend=options.music(extend), by=by,
        reference=options.music(reference), lora=lora, stems=stems, loudness=loudness, cues=cues,
        scenes=options.parse_scenes(scenes), options=options.parse_pairs(engine_options),
    )  # fmt: skip
    wish = _Wish(output, stems=stems, midi=midi, bit_depth=bit_depth, bitrate=bitrate)
    with remote.server() as server:
        made = _here(fields, wish) if server is None else _there(server, fields, wish)
    show(vars(made), "\n".join([*made.notes, *map(_line, made.tracks), *map(str, made.files)]), as_json=as_json)


@dataclass(frozen=True)
class _Wish:
    """The files that are wanted, and how they are written."""

    output: Path | None
    stems: bool
    midi: bool
    bit_depth: options.BitDepth
    bitrate: options.Bitrate

    def check(self) -> None:
        """Before any work: whether they can be written."""
        from sottovoce.places import check_output

        if self.output is not None:
            check_output(self.output, bit_depth=self.bit_depth, bitrate=self.bitrate)
        elif self.midi or self.bit_depth or self.bitrate:
            raise InvalidParameter(
                "--midi, --bit-depth and --bitrate say how a file is written", hint="Name it with -o."
            )

    def targets(self, count: int) -> Iterator[Path | None]:
        """A file for each take: `night.flac` for one, `night-1.flac`, `night-2.flac`, ... for several."""
        path = self.output
        for number in range(count):
            yield path if path is None or count == 1 else path.with_stem(f"{path.stem}-{number + 1}")


@dataclass(frozen=True)
class _Made:
    """What came of it, here or elsewhere: the tracks as they are shown, the files written, remarks."""

    tracks: list[dict[str, Any]]
    files: list[Path]
    notes: list[str]


def _here(fields: dict[str, Any], wish: _Wish) -> _Made:
    from sottovoce.studio import Studio
    from sottovoce.tasks.generate import Generate

    with Studio() as studio:
        request = studio.request(Generate, fields)
        wish.check()
        with bar() as progress:
            studio.consent = options.consent(progress)
            done = studio.run(request, progress)
        files: list[Path] = []
        for track, target in zip(done.tracks, wish.targets(len(done.tracks)), strict=True):
            if target is not None:
                files += studio.library.export(track.id, target, bit_depth=wish.bit_depth, bitrate=wish.bitrate)
                files += _extras(studio, track, target, wish)
    return _Made([_facts(track) for track in done.tracks], files, list(done.report["notes"]))


def _extras(studio: Studio, track: Track, target: Path, wish: _Wish) -> list[Path]:
    """What was asked for beside the audio: the notes, the stems as a ZIP."""
    from sottovoce.recipe import beside

    made = []
    if wish.midi and track.midi is not None:
        made.append(studio.library.export_midi(track.id, target.with_suffix(".mid")))
    if wish.stems and track.stems:
        made.append(studio.library.export_stems(track.id, beside(target, "_stems.zip")))
    return made


def _there(server: Client, fields: dict[str, Any], wish: _Wish) -> _Made:
    from sottovoce.tasks.generate import Generate

    wish.check()
    if wish.bit_depth or wish.bitrate:
        raise InvalidParameter(
            "a server writes each format in one way, so --bit-depth and --bitrate mean nothing to it",
            hint="Leave them out; or fetch FLAC, and write what you like of it.",
        )
    with bar() as progress:
        job = remote.done(server, Generate, fields, progress)
        tracks = [server.track(track) for track in remote.result(job, "tracks")]
        files: list[Path] = []
        for track, target in zip(tracks, wish.targets(len(tracks)), strict=True):
            if target is not None:
                files += _fetched(server, track, target, wish)
        facts = [{**remote.shown(server, track), "recipe": server.recipe(track)} for track in tracks]
    return _Made(facts, files, list(remote.result(job, "report")["notes"]))


def _fetched(server: Client, track: ServedTrack, target: Path, wish: _Wish) -> Iterator[Path]:
    """The audio in the format of its name, its recipe beside it, and what else was asked for."""
    from sottovoce.recipe import beside

    yield server.download(track, to=target, format=target.suffix[1:].lower())
    if track.recipe is not None:
        yield server.download(track.recipe, to=beside(target))
    if wish.midi and track.midi is not None:
        yield server.download(track.midi, to=target.with_suffix(".mid"))
    if wish.stems and track.stems:
        yield server.download(track.stems_zip, to=beside(target, "_stems.zip"))


def _facts(track: Track) -> dict[str, Any]:
    recipe = track.recipe
    assert recipe is not None, "a track that was just made has a recipe"
    return {**track.as_dict(), "recipe": recipe.model_dump(mode="json")}


def _line(track: Mapping[str, Any]) -> str:
    """One take in a few words, and what its maker wants to be known."""
    recipe = track["recipe"]
    tempo = f", {track['bpm']:.1f} bpm" if track["bpm"] else ""
    loudness = "silent" if track["lufs"] is None else f"{track['lufs']:.1f} LUFS"
    facts = f"{clock(track['seconds'])}, {track['key'] or 'no key'}{tempo}, {loudness}, seed {track['seed']}, by {track['engine']}"
    notes = options.notes(recipe)
    return f"{track['id']}  {track['title']}\n{facts} in {recipe['seconds']:.1f} s" + (f"\n{notes}" if notes else "")

"""`sotto score`: music softly under a video or a recording."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sottovoce.cli import options, remote
from sottovoce.cli.render import AsJson, bar, clock, show, table
from sottovoce.errors import InvalidParameter

if TYPE_CHECKING:
    from sottovoce.client.client import Client


def command(
    source: Annotated[str, typer.Argument(help="A video or a recording, or - for standard input.")],
    music: Annotated[Path | None, typer.Option(help="The music to use; looped or faded to fit.")] = None,
    prompt: Annotated[str | None, typer.Option(help="What the music should be like, in plain words.")] = None,
    no_music: Annotated[
        bool, typer.Option("--no-music", help="Add no music, only bring the voices to their loudness.")
    ] = False,
    auto_music: Annotated[
        bool | None, typer.Option(help="Whether to add music when nothing is said of it.", show_default="settings")
    ] = None,
    music_source: Annotated[
        str | None,
        typer.Option(
            help="auto, local, composer, musicgen or ace_step: the engines tried first.", show_default="settings"
        ),
    ] = None,
    mood: Annotated[
        str | None, typer.Option(help="calm, happy, nostalgic, ...; left out, it is read from the clip.")
    ] = None,
    genre: Annotated[str | None, typer.Option(help="acoustic, ambient, jazz, ...")] = None,
    engine: Annotated[str | None, typer.Option(help="An engine by name, or auto.", show_default="auto")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same music.")] = None,
    versions: Annotated[
        int | None, typer.Option(help="How many takes; all are filed, the best is used.", show_default="1")
    ] = None,
    take: Annotated[int | None, typer.Option(help="Mix this take of an earlier score of the same clip.")] = None,
    preset: Annotated[str | None, typer.Option(help="speech, subtle or strong.")] = None,
    ducking_threshold: Annotated[
        float | None, typer.Option(help="Level (0 to 1) above which sound lowers the music.", show_default="settings")
    ] = None,
    ducking_ratio: Annotated[
        float | None, typer.Option(help="1 to 20; the music is lowered by 20·log10 of it dB.", show_default="settings")
    ] = None,
    music_volume_db: Annotated[
        float | None, typer.Option(help="Music against voice, -20 to 0 dB.", show_default="settings")
    ] = None,
    fade_in_seconds: Annotated[float | None, typer.Option(help="0 to 10 seconds.", show_default="settings")] = None,
    fade_out_seconds: Annotated[float | None, typer.Option(help="0 to 10 seconds.", show_default="settings")] = None,
    separator: Annotated[
        str | None,
        typer.Option(
            help="Find the voices with this separator, or auto, or none.", show_default="a network's if one is ready"
        ),
    ] = None,
    duck_stems: Annotated[
        int | None,
        typer.Option(
            help="2: lower the melody alone. 4: lower vocals, other, bass each by its own amount, drums not at all.",
            show_default="all alike",
        ),
    ] = None,
    scenes: options.Scenes = None,
    engine_options: options.EngineOptions = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write.", show_default="NAME-scored")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw speech, gain and levels into this PNG.")] = None,
    as_json: AsJson = False,
) -> None:
    """Put music softly under a video or a recording."""
    if preset is not None and ducking_ratio is not None:
        raise InvalidParameter(
            "--preset and --ducking-ratio contradict each other: a preset has a ratio of its own; give one of them"
        )
    with options.input_file(source) as path, remote.server() as server:
        named_music = {"path": options.readable_file(music)} if music else None
        fields = options.given(
            source={"path": path}, music=named_music, prompt=prompt, no_music=no_music, auto_music=auto_music, music_source=music_source,
            mood=mood, genre=genre, engine=engine, seed=seed, versions=versions, take=take, preset=preset,
            ducking_threshold=ducking_threshold, ducking_ratio=ducking_ratio, music_volume_db=music_volume_db,
            fade_in_seconds=fade_in_seconds, fade_out_seconds=fade_out_seconds, separator=separator, duck_stems=duck_stems,
            scenes=options.parse_scenes(scenes), options=options.parse_pairs(engine_options), plot=plot is not None,
        )  # fmt: skip
        target = output or _beside(source)
        made = _here(fields, target, plot) if server is None else _there(server, fields, target, plot)
    value = {**made.report, "files": made.files, "tracks": made.tracks}
    show(value, _text(made.report, made.files.values()), as_json=as_json)


@dataclass(frozen=True)
class _Made:
    """What came of it, here or elsewhere: the report, the files written by name, the tracks as they are shown."""

    report: Mapping[str, Any]
    files: Mapping[str, Path]
    tracks: Sequence[Mapping[str, Any]]


def _here(fields: dict[str, Any], target: Path, plot: Path | None) -> _Made:
    from sottovoce.studio import Studio
    from sottovoce.tasks.score import Score

    with Studio() as studio, bar() as progress:
        if "separator" in fields or "duck_stems" in fields:
            studio.consent = options.consent(progress)
        done = studio.score(studio.request(Score, fields), target, progress, plot=plot)
    return _Made(done.report, dict(done.files), [track.as_dict() for track in done.tracks])


def _there(server: Client, fields: dict[str, Any], target: Path, plot: Path | None) -> _Made:
    from sottovoce.places import check_apart, check_place
    from sottovoce.tasks.score import Score

    places = {"output": target, **({"plot": plot} if plot else {})}
    for place in places.values():
        check_place(place)
        check_apart(place, fields["source"]["path"])
    form = {"format": target.suffix[1:].lower()} if target.suffix else {}
    with bar() as progress:
        job = remote.done(server, Score, {**fields, **form}, progress)
        names = remote.result(job, "files")
        files = {name: remote.fetch(server, job, names[name], place) for name, place in places.items()}
        tracks = [remote.shown(server, server.track(track)) for track in remote.result(job, "tracks")]
    return _Made(remote.result(job, "report"), files, tracks)


def _beside(source: str) -> Path:
    from sottovoce.recipe import beside

    if source == "-":
        raise InvalidParameter("standard input has no name to call the result by", hint="Name a file with -o.")
    return beside(Path(source), f"-scored{Path(source).suffix}")


def _text(report: Mapping[str, Any], files: Iterable[Path]) -> str:
    rows = [
        (name.replace("_", " "), _plain(value))
        for name, value in report.items()
        if isinstance(value, str | int | float | bool)
    ]
    dips = [(clock(dip["start"]), clock(dip["end"]), ", ".join(dip["causes"])) for dip in report.get("dips", ())]
    music = [
        (part["name"], ", ".join(part["made_of"]), f"{part['depth_db']:.1f} dB")
        for part in (report.get("music_parts") or {}).get("parts", ())
    ]
    parts = [
        table(["", ""], rows),
        *([table(["part of the music", "stems", "lowered by"], music)] if music else []),
        *([table(["music down", "until", "because of"], dips)] if dips else []),
        options.notes(report),
    ]
    return "\n".join(part for part in [*parts, *map(str, files)] if part)


def _plain(value: Any) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)

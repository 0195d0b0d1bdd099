"""`sotto library`: the tracks you own."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sottovoce.cli.options import BitDepth, Bitrate, given, readable_file
from sottovoce.cli.render import AsJson, bar, clock, show, show_error, table
from sottovoce.errors import InvalidParameter
from sottovoce.progress import Progress

if TYPE_CHECKING:
    from sottovoce.errors import InputError
    from sottovoce.library.backup import Contents

app = typer.Typer(no_args_is_help=True)

TrackId = Annotated[str, typer.Argument(metavar="TRACK", help="The track's id, as `sotto library list` shows it.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="Only tracks with this tag; repeatable.")]
Engine = Annotated[str | None, typer.Option(help="Only tracks by this engine.")]
MinRating = Annotated[int | None, typer.Option(help="Only tracks with at least so many stars, 1 to 5.")]
Sort = Annotated[
    str | None,
    typer.Option(help="newest, oldest, title, rating, longest, shortest, fastest or slowest.", show_default="newest"),
]
Limit = Annotated[int | None, typer.Option(help="At most so many, 1 to 500.", show_default="50")]
After = Annotated[str | None, typer.Option(help="Go on after a page: the value it ended with.")]


@app.command("list")
def list_tracks(
    tags: Tags = None,
    engine: Engine = None,
    min_rating: MinRating = None,
    sort: Sort = None,
    limit: Limit = None,
    after: After = None,
    as_json: AsJson = False,
) -> None:
    """List your tracks, the newest first."""
    _list(given(tags=tags, engine=engine, min_rating=min_rating, sort=sort, limit=limit, after=after), as_json=as_json)


@app.command()
def search(
    words: Annotated[
        list[str] | None, typer.Argument(help="Words of title, prompt, tags, engine, mood or genre; beginnings count.")
    ] = None,
    tags: Tags = None,
    engine: Engine = None,
    kind: Annotated[str | None, typer.Option(help="How it came here: generate, score or import.")] = None,
    min_rating: MinRating = None,
    min_bpm: Annotated[float | None, typer.Option(help="At least this tempo.")] = None,
    max_bpm: Annotated[float | None, typer.Option(help="At most this tempo.")] = None,
    min_seconds: Annotated[float | None, typer.Option(help="At least this long.")] = None,
    max_seconds: Annotated[float | None, typer.Option(help="At most this long.")] = None,
    key: Annotated[str | None, typer.Option(help="Key, such as 'A minor'.")] = None,
    sort: Sort = None,
    limit: Limit = None,
    after: After = None,
    as_json: AsJson = False,
) -> None:
    """Find tracks by words and by what is known of them."""
    fields = given(
        text=" ".join(words or ()), tags=tags, engine=engine, kind=kind, min_rating=min_rating, min_bpm=min_bpm, max_bpm=max_bpm,
        min_seconds=min_seconds, max_seconds=max_seconds, key=key, sort=sort, limit=limit, after=after,
    )  # fmt: skip
    _list(fields, as_json=as_json)


@app.command("show")
def show_track(track: TrackId, as_json: AsJson = False) -> None:
    """Show all that is known of a track, its recipe too with --json."""
    from sottovoce.studio import Studio

    with Studio() as studio:
        found = studio.library.get(track)
    facts = found.as_dict()
    recipe = None if found.recipe is None else found.recipe.model_dump(mode="json")
    lines = [
        (name, ", ".join(value) if isinstance(value, list) else value)
        for name, value in facts.items()
        if value not in (None, [], "")
    ]
    show({"track": facts | {"recipe": recipe}}, table(("", found.title), lines), as_json=as_json)


@app.command()
def play(track: TrackId, as_json: AsJson = False) -> None:
    """Play a track with a player this system has."""
    from sottovoce.cli.playing import play_file
    from sottovoce.studio import Studio

    with Studio() as studio:
        found = studio.library.get(track)
        player = play_file(found.audio, lambda path: studio.library.export(track, path))
    show({"track": track, "player": player}, f"played {found.title} with {player}", as_json=as_json)


@app.command()
def rate(
    track: TrackId, stars: Annotated[int, typer.Argument(help="1 (worst) to 5 (best).")], as_json: AsJson = False
) -> None:
    """Give a track 1 to 5 stars."""
    from sottovoce.studio import Studio

    with Studio() as studio:
        found = studio.library.rate(track, stars)
    show({"track": found.as_dict()}, f"{found.title}: {_stars(found.rating)}", as_json=as_json)


@app.command()
def tag(
    track: TrackId,
    tags: Annotated[list[str], typer.Argument(help="Tags to add.")],
    remove: Annotated[bool, typer.Option("--remove", help="Take these tags away instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add tags to a track, or take them away."""
    from sottovoce.studio import Studio

    with Studio() as studio:
        found = studio.library.untag(track, *tags) if remove else studio.library.tag(track, *tags)
    show({"track": found.as_dict()}, f"{found.title}: {', '.join(found.tags) or 'no tags'}", as_json=as_json)


@app.command()
def export(
    track: TrackId,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write (its ending names the format), or a folder.")
    ] = Path(),
    stems: Annotated[bool, typer.Option("--stems", help="Write the stems as a ZIP instead.")] = False,
    midi: Annotated[bool, typer.Option("--midi", help="Write the notes as MIDI instead.")] = False,
    bit_depth: BitDepth = None,
    bitrate: Bitrate = None,
    as_json: AsJson = False,
) -> None:
    """Write a track to a file with its tags, its recipe beside it."""
    from sottovoce.studio import Studio

    if stems + midi + bool(bit_depth or bitrate) > 1:
        raise InvalidParameter("--stems, --midi and the format of the audio are written one at a time")
    with Studio() as studio:
        if stems:
            files = [studio.library.export_stems(track, output)]
        elif midi:
            files = [studio.library.export_midi(track, output)]
        else:
            files = list(studio.library.export(track, output, bit_depth=bit_depth, bitrate=bitrate))
    show({"track": track, "files": files}, "\n".join(map(str, files)), as_json=as_json)


@app.command("import")
def import_files(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Music files, or folders of them.")],
    title: Annotated[str | None, typer.Option(help="Title, instead of the one in the file's tags.")] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", help="A tag to give them; repeatable.")] = None,
    as_json: AsJson = False,
) -> int:
    """Copy your own music into the library: MP3, WAV, FLAC, M4A, OGG, Opus."""
    from sottovoce.errors import InputError
    from sottovoce.studio import Studio

    done: list[dict[str, Any]] = []
    failed: dict[str, InputError] = {}
    with Studio() as studio, bar() as progress:
        files = studio.library.music_files(paths)
        for index, path in enumerate(files):
            progress(Progress("import", 100 * index / len(files), index, len(files)))
            try:
                done.append(studio.library.import_file(path, title=title, tags=tags or ()).as_dict())
            except InputError as error:
                failed[str(path)] = error
    return _report_import(done, failed, as_json=as_json)


@app.command()
def rm(
    tracks: Annotated[list[str], typer.Argument(metavar="TRACK...", help="The ids of the tracks to remove.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove tracks and their files for good."""
    from sottovoce.studio import Studio

    with Studio() as studio:
        found = [studio.library.get(track) for track in dict.fromkeys(tracks)]
        if not yes:
            _ask(f"Remove {', '.join(repr(track.title) for track in found)} for good?")
        for track in found:
            studio.library.remove(track.id)
    removed = [{"id": track.id, "title": track.title} for track in found]
    show({"removed": removed}, "\n".join(f"removed {track.title}" for track in found), as_json=as_json)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The archive to write: NAME.tar or NAME.tar.gz.")],
    secrets: Annotated[
        bool, typer.Option("--secrets", help="Put in who may use the server too (hashes of tokens, sessions).")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Write the whole library to one archive, while it is in use."""
    from sottovoce.library.backup import back_up
    from sottovoce.places import check_place
    from sottovoce.studio import Studio

    check_place(file)
    with Studio() as studio, bar() as progress:
        held = back_up(studio.library, file, secrets=secrets, progress=progress)
    text = f"{_held(held)}\n" + "\n".join(f"left out, missing or damaged: {path}" for path in held.left_out)
    show({"backup": held.as_dict() | {"file": file}}, text, as_json=as_json)
    return 3 if held.left_out else 0


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An archive that `sotto library backup` wrote.")],
    as_json: AsJson = False,
) -> None:
    """Fill an empty library from a backup, every file checked."""
    from sottovoce.library.backup import restore as fill
    from sottovoce.places import scratch_folder
    from sottovoce.studio import Studio
    from sottovoce.worker.seat import alone

    readable_file(file)
    with Studio() as studio, bar() as progress:
        folder = studio.settings.library_folder()
        with alone(folder / "server.lock"), scratch_folder(folder / "scratch") as scratch:
            held = fill(file, studio.library, scratch, progress=progress)
    show({"restored": held.as_dict() | {"folder": folder}}, f"{_held(held)}, into {folder}", as_json=as_json)


def _held(held: Contents) -> str:
    """What a backup holds, on one line."""
    facts = held.as_dict()
    return f"{held.tracks} tracks, {facts['files']} files, {facts['bytes'] / 1e6:.0f} MB"


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise InvalidParameter(
            "removing asks first, and there is no terminal to ask at", hint="Add --yes if you are sure."
        )
    typer.confirm(question, abort=True, err=True)


def _list(fields: Mapping[str, Any], *, as_json: bool) -> None:
    from sottovoce.studio import Studio

    with Studio() as studio:
        page = studio.library.search(**fields)
    lines = [
        (
            *(
                track.id,
                track.title,
                clock(track.seconds),
                track.engine or track.kind,
                track.bpm and f"{track.bpm:.0f}",
                track.key,
            ),
            *(_stars(track.rating), ", ".join(track.tags)),
        )
        for track in page.tracks
    ]
    text = table(("id", "title", "length", "by", "bpm", "key", "rating", "tags"), lines) if lines else "no tracks"
    if page.after:
        text += f"\nthere are more: --after {page.after}"
    show({"tracks": [track.as_dict() for track in page.tracks], "after": page.after}, text, as_json=as_json)


def _report_import(done: Sequence[Mapping[str, Any]], failed: Mapping[str, InputError], *, as_json: bool) -> int:
    """Say what came in and what did not; the exit code. A failure of all is the failure of the first."""
    if failed and not done:
        raise next(iter(failed.values()))
    if not as_json:
        for error in failed.values():
            show_error(error, as_json=False)
    reasons = [{"path": path, "error": error.as_dict()} for path, error in failed.items()]
    text = table(("id", "title", "length"), [(track["id"], track["title"], clock(track["seconds"])) for track in done])
    show({"tracks": done, "failed": reasons}, text, as_json=as_json)
    return 3 if failed else 0


def _stars(rating: int | None) -> str:
    return "★" * rating if rating else ""

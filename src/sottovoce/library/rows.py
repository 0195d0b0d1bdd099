"""Between rows of the database and values: the SQL that files a track, reads it back, and finds unused files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, delete, exists, select
from sqlalchemy.dialects.sqlite import insert

from sottovoce.audio import Stem
from sottovoce.database.schema import files, recipes, stems, tags, tracks
from sottovoce.library.files import Staged
from sottovoce.library.track import NewTrack, Track

#: Columns that a row of `tracks` and a Track (or NewTrack) share under one name.
_SHARED = (
    "kind", "engine", "words", "mood", "genre", "seconds", "rate", "channels", "lufs", "true_peak_db", "seed", "bpm", "key",
)  # fmt: skip


def put_file(connection: Connection, staged: Staged) -> str:
    """Name a file unless its bytes are named already; the path they have in the library."""
    row = {"sha256": staged.sha256, "path": staged.path, "bytes": staged.bytes}
    connection.execute(insert(files).on_conflict_do_nothing().values(row))
    path: str = connection.execute(select(files.c.path).where(files.c.sha256 == staged.sha256)).scalar_one()
    return path


def put_track(connection: Connection, new: NewTrack, track: str, parts: Mapping[str, Staged]) -> int:
    """File a track under an id unless it is there already; its number. `parts` are its staged files, `audio` and perhaps `midi`."""
    row = {name: getattr(new, name) for name in ("title", *_SHARED)} | {
        "id": track,
        "audio": parts["audio"].sha256,
        "created": datetime.now(UTC).isoformat(timespec="microseconds"),
    }
    connection.execute(insert(tracks).on_conflict_do_nothing().values(row))
    number = number_of(connection, track)
    assert number is not None, "it was there or has just been filed"
    if "midi" in parts:
        connection.execute(tracks.update().where(tracks.c.number == number).values(midi=parts["midi"].sha256))
    if new.recipe is not None:
        recipe = {"track": number, "json": new.recipe.model_dump_json()}
        connection.execute(insert(recipes).on_conflict_do_nothing().values(recipe))
    return number


def put_stems(connection: Connection, number: int, engine: str, parts: Mapping[Stem, Staged]) -> None:
    """Name a track's stems by one engine; those it had by the same engine and name give way."""
    for name, file in parts.items():
        row = insert(stems).values(track=number, engine=engine, name=name, file=file.sha256)
        connection.execute(
            row.on_conflict_do_update(index_elements=["track", "engine", "name"], set_={"file": file.sha256})
        )


def put_tags(connection: Connection, number: int, names: Iterable[str]) -> None:
    """Add tags that the track does not have yet."""
    rows = [{"track": number, "name": name} for name in names]
    if rows:
        connection.execute(insert(tags).on_conflict_do_nothing(), rows)


def number_of(connection: Connection, track: str) -> int | None:
    """The number behind an id."""
    return connection.scalar(select(tracks.c.number).where(tracks.c.id == track))


def read_tracks(connection: Connection, rows: Sequence[RowMapping], folder: Path) -> tuple[Track, ...]:
    """Tracks from rows of `tracks`, in their order, with all that hangs on them."""
    numbers = [row["number"] for row in rows]
    tagged = _grouped(connection, select(tags.c.track, tags.c.name).where(tags.c.track.in_(numbers)))
    split = _grouped(connection, select(stems.c.track, stems.c.name).distinct().where(stems.c.track.in_(numbers)))
    made = _pairs(connection, select(recipes.c.track, recipes.c.json).where(recipes.c.track.in_(numbers)))
    named = [row[column] for row in rows for column in ("audio", "midi")]
    paths = _pairs(connection, select(files.c.sha256, files.c.path).where(files.c.sha256.in_(named)))
    return tuple(
        Track(
            **{name: row[name] for name in ("id", "title", "rating", *_SHARED)},
            created=datetime.fromisoformat(row["created"]),
            tags=tuple(sorted(tagged[row["number"]])),
            stems=tuple(Stem(name) for name in sorted(split[row["number"]])),
            audio=folder / paths[row["audio"]],
            sha256=row["audio"],
            midi=folder / paths[row["midi"]] if row["midi"] else None,
            recipe_json=made.get(row["number"]),
        )
        for row in rows
    )


def files_of(connection: Connection, track: str) -> set[str]:
    """The hashes of all files a track names; none if there is no such track."""
    own = select(tracks.c.audio, tracks.c.midi).where(tracks.c.id == track)
    parts = select(stems.c.file).join(tracks, tracks.c.number == stems.c.track).where(tracks.c.id == track)
    named = {*connection.scalars(parts), *(sha256 for row in connection.execute(own) for sha256 in row)}
    return {sha256 for sha256 in named if sha256}


def forget_unused(connection: Connection, among: Iterable[str] | None = None) -> list[str]:
    """Delete the rows of files that nothing names any more (of those given, or of all); their paths."""
    unused = ~(
        exists().where(tracks.c.audio == files.c.sha256)
        | exists().where(tracks.c.midi == files.c.sha256)
        | exists().where(stems.c.file == files.c.sha256)
    )
    condition = unused if among is None else unused & files.c.sha256.in_(list(among))
    return list(connection.scalars(delete(files).where(condition).returning(files.c.path)))


def known_paths(connection: Connection) -> set[str]:
    """The paths of all files that have a row."""
    return set(connection.scalars(select(files.c.path)))


def _pairs(connection: Connection, chosen: Select[Any]) -> dict[Any, Any]:
    return {row[0]: row[1] for row in connection.execute(chosen)}


def _grouped(connection: Connection, chosen: Select[Any]) -> dict[int, list[str]]:
    groups: dict[int, list[str]] = defaultdict(list)
    for number, name in connection.execute(chosen):
        groups[number].append(name)
    return groups

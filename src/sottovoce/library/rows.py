"""Between rows of the database and values: the SQL that files a track, reads it back, and finds unused files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    RowMapping,
    Select,
    delete,
    exists,
    select,
    true,
    union,
)
from sqlalchemy.dialects.sqlite import insert

from sottovoce.audio import Stem
from sottovoce.database.schema import files, recipes, stems, tags, tracks
from sottovoce.library.files import Staged
from sottovoce.library.track import NewTrack, Track

#: Columns that a row of `tracks` and a Track (or NewTrack) share under one name.
_SHARED = (
    "kind", "engine", "words", "mood", "genre", "seconds", "rate", "channels", "lufs", "true_peak_db", "seed", "bpm", "key",
)  # fmt: skip
#: Tracks that are not in the trash.
KEPT: ColumnElement[bool] = tracks.c.trashed.is_(None)


def put_file(connection: Connection, staged: Staged) -> str:
    """Name a file unless its bytes are named already; the path they have in the library."""
    row = {"sha256": staged.sha256, "path": staged.path, "bytes": staged.bytes}
    connection.execute(insert(files).on_conflict_do_nothing().values(row))
    path: str = connection.execute(select(files.c.path).where(files.c.sha256 == staged.sha256)).scalar_one()
    return path


def put_track(connection: Connection, new: NewTrack, track: str, parts: Mapping[str, Staged]) -> int:
    """File a track under an id unless it is there already; its number. `parts` are its staged files, `audio` and perhaps `midi`.

    One that is in the trash comes back.
    """
    row = {name: getattr(new, name) for name in ("title", *_SHARED)} | {
        "id": track,
        "audio": parts["audio"].sha256,
        "created": _text(datetime.now(UTC)),
    }
    connection.execute(insert(tracks).on_conflict_do_nothing().values(row))
    put_trashed(connection, track, None)
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
    """The number behind the id of a track that is not in the trash."""
    return connection.scalar(select(tracks.c.number).where(tracks.c.id == track, KEPT))


def put_trashed(connection: Connection, track: str, since: datetime | None) -> bool:
    """Put a track in the trash, or with None take it out; whether there is such a track."""
    changed = connection.execute(tracks.update().where(tracks.c.id == track).values(trashed=since and _text(since)))
    return changed.rowcount > 0


def is_trashed(connection: Connection, track: str) -> bool:
    """Whether there is such a track, and it is in the trash."""
    return connection.scalar(select(tracks.c.number).where(tracks.c.id == track, ~KEPT)) is not None


def drop_trashed(connection: Connection, before: datetime | None = None) -> bool:
    """Delete the rows of tracks that are in the trash, since before a moment or at all; whether there were any."""
    old = ~KEPT if before is None else tracks.c.trashed < _text(before)
    return connection.execute(delete(tracks).where(old)).rowcount > 0


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
    return set(connection.scalars(hashes_of(tracks.c.id == track)))


def hashes_of(condition: ColumnElement[bool]) -> CompoundSelect[Any]:
    """The hashes of all files that the tracks of which something holds name."""
    parts = select(stems.c.file).join(tracks, tracks.c.number == stems.c.track)
    return union(
        select(tracks.c.audio).where(condition),
        select(tracks.c.midi).where(condition, tracks.c.midi.is_not(None)),
        parts.where(condition),
    )


def is_named(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Of a row of `files`: whether a track of which something holds names it."""
    return (
        exists().where(tracks.c.audio == files.c.sha256, condition)
        | exists().where(tracks.c.midi == files.c.sha256, condition)
        | exists().where(stems.c.file == files.c.sha256, stems.c.track == tracks.c.number, condition)
    )


def forget_unused(connection: Connection, among: Iterable[str] | None = None) -> list[str]:
    """Delete the rows of files that nothing names any more (of those given, or of all); their paths."""
    unused = ~is_named(true())
    condition = unused if among is None else unused & files.c.sha256.in_(list(among))
    return list(connection.scalars(delete(files).where(condition).returning(files.c.path)))


def known_paths(connection: Connection) -> set[str]:
    """The paths of all files that have a row."""
    return set(connection.scalars(select(files.c.path)))


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")


def _pairs(connection: Connection, chosen: Select[Any]) -> dict[Any, Any]:
    return {row[0]: row[1] for row in connection.execute(chosen)}


def _grouped(connection: Connection, chosen: Select[Any]) -> dict[int, list[str]]:
    groups: dict[int, list[str]] = defaultdict(list)
    for number, name in connection.execute(chosen):
        groups[number].append(name)
    return groups

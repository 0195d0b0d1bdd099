"""How much a library holds."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, func, select

from sottovoce.database.connect import reading
from sottovoce.database.schema import files, tracks
from sottovoce.library.rows import KEPT, hashes_of, is_named


@dataclass(frozen=True)
class Figures:
    """Tracks, their length together in seconds, and the bytes of their files. What is in the trash does not count."""

    tracks: int
    seconds: float
    bytes: int


def figures(database: Engine) -> Figures:
    """The figures of the library in that database."""
    with reading(database) as connection:
        count, seconds = connection.execute(select(func.count(), func.total(tracks.c.seconds)).where(KEPT)).one()
        size = connection.scalar(select(func.sum(files.c.bytes))) or 0
        return Figures(count, float(seconds), size - _bytes_of_trash(connection))


def _bytes_of_trash(connection: Connection) -> int:
    """The bytes of files that only tracks in the trash name."""
    only = files.c.sha256.in_(hashes_of(~KEPT)) & ~is_named(KEPT)
    return connection.scalar(select(func.sum(files.c.bytes)).where(only)) or 0

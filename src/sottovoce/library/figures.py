"""How much a library holds."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, func, select

from sottovoce.database.connect import reading
from sottovoce.database.schema import files, tracks


@dataclass(frozen=True)
class Figures:
    """Tracks, their length together in seconds, and the bytes of all files."""

    tracks: int
    seconds: float
    bytes: int


def figures(database: Engine) -> Figures:
    """The figures of the library in that database."""
    with reading(database) as connection:
        count, seconds = connection.execute(select(func.count(), func.total(tracks.c.seconds))).one()
        size = connection.scalar(select(func.coalesce(func.sum(files.c.bytes), 0)))
    return Figures(count, float(seconds), int(size or 0))

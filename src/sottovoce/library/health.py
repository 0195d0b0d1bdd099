"""Whether a library is sound: what its database says of itself, and whether the files it names are there."""

from __future__ import annotations

from sqlalchemy import Engine, select, text

from sottovoce.database.connect import reading
from sottovoce.database.schema import files
from sottovoce.database.upgrade import revision
from sottovoce.library.tracks import Library

_MOST = 5


def flaws(database: Engine) -> tuple[str, ...]:
    """What SQLite finds wrong with a database, the first few; nothing for a sound one. Reads all of it, but no audio."""
    with reading(database) as connection:
        found = [str(line) for line in connection.scalars(text(f"PRAGMA quick_check({_MOST})")) if line != "ok"]
        loose = connection.execute(text("PRAGMA foreign_key_check")).all()
    return (*found, *(f"a row of {row[0]} names a row of {row[2]} that is not there" for row in loose[:_MOST]))


def schema_of(database: Engine) -> str:
    """The number of the migration a database stands at, such as `0002`."""
    with reading(database) as connection:
        return revision(connection) or "none"


def missing(library: Library) -> tuple[str, ...]:
    """Paths of files that are not there or have another length than they were filed with; reads none, so it is quick."""
    with reading(library.database) as connection:
        known = connection.execute(select(files.c.path, files.c.bytes).order_by(files.c.path)).all()
    return tuple(path for path, size in known if _length(library, path) != size)


def _length(library: Library, path: str) -> int | None:
    try:
        return (library.folder / path).stat().st_size
    except OSError:
        return None

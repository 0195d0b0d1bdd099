"""Bringing a database to the newest schema: numbered Alembic migrations, run when a library is opened."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sqlalchemy import Connection, text

from sottovoce import errors

_MIGRATIONS = Path(__file__).parent / "migrations"


@cache
def newest() -> str:
    """The number of the last migration there is, such as `0001`."""
    return max(path.name[:4] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def revision(connection: Connection) -> str | None:
    """The migration a database stands at; None if it is empty."""
    table = text("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'")
    if connection.scalar(table) is None:
        return None
    number: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return number


def upgrade(connection: Connection) -> None:
    """Run the missing migrations inside the caller's transaction; LibraryInUse if the database is newer than this program."""
    here = revision(connection)
    if here == newest():
        return
    if here is not None and here > newest():
        raise errors.LibraryInUse(
            f"the library was made by a newer version (its schema is {here}, this version knows {newest()})",
            hint="Update sottovoce, or choose another library.directory.",
        )
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")

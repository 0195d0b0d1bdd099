"""Migrations lead from nothing to exactly the schema the program is written for, and never back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text

from sottovoce import errors
from sottovoce.database.connect import open_database, reading, writing
from sottovoce.database.schema import metadata
from sottovoce.database.upgrade import newest, revision, upgrade


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(tmp_path)
    yield engine
    engine.dispose()


def test_an_upgraded_database_has_exactly_the_schema(engine: Engine) -> None:
    def ours(name: str | None, kind: str, _parents: Any) -> bool:
        return not (kind == "table" and str(name).startswith("tracks_fts"))

    with reading(engine) as connection:
        context = MigrationContext.configure(connection, opts={"include_name": ours, "compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_checks_of_the_schema_hold(engine: Engine) -> None:
    with reading(engine) as connection:
        created = connection.scalar(text("SELECT sql FROM sqlite_master WHERE name = 'tracks'"))
    assert "rating BETWEEN 1 AND 5" in str(created)


def test_upgrading_again_changes_nothing(engine: Engine) -> None:
    with writing(engine) as connection:
        before = connection.exec_driver_sql("PRAGMA schema_version").scalar()
        upgrade(connection)
        assert revision(connection) == newest()
        assert connection.exec_driver_sql("PRAGMA schema_version").scalar() == before


def test_a_newer_database_is_refused(engine: Engine, tmp_path: Path) -> None:
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(errors.LibraryInUse, match="newer") as caught:
        open_database(tmp_path)
    assert "Update" in caught.value.hint


def test_migrations_are_numbered_without_a_gap() -> None:
    folder = Path(errors.__file__).parent / "database" / "migrations" / "versions"
    numbers = sorted(path.name[:4] for path in folder.glob("[0-9]*.py"))
    assert numbers == [f"{number:04d}" for number in range(1, len(numbers) + 1)]

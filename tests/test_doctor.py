"""The doctor finds what is wrong with an installation, names it and its cure, and goes on with the next check."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.library.conftest import MakeTrack, new

from sottovoce.database.connect import writing
from sottovoce.doctor import CHECKS, Finding, checked
from sottovoce.library.tracks import Library
from sottovoce.settings import load_settings
from sottovoce.studio import Studio

__all__ = ["new"]


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty library, to be copied."""
    folder = tmp_path_factory.mktemp("empty")
    Library.open(folder).close()
    return folder


@pytest.fixture
def studio(empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Studio:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(empty, tmp_path / "library")
    return Studio(load_settings({"library.directory": tmp_path / "library", "models.directory": tmp_path / "models"}))


def look(studio: Studio, check: str, **settings: object) -> Finding:
    """What the doctor finds with some settings of the server changed."""
    server = studio.settings.server.model_copy(update=settings)
    with Studio(studio.settings.model_copy(update={"server": server})) as changed:
        return checked(check, CHECKS[check], changed)


def test_an_empty_library_is_fine(studio: Studio) -> None:
    for check in ("library", "database", "named files", "other files", "queue", "access", "models"):
        found = look(studio, check)
        assert found.fine, found


def test_files_that_are_gone_or_cut_are_named_without_reading_any(studio: Studio, new: MakeTrack) -> None:
    with studio:
        first = studio.library.add(new(b"first"))
        second = studio.library.add(new(b"second", seed=8))
    assert look(studio, "named files").fine
    first.audio.unlink()
    os.truncate(second.audio, 3)
    found = look(studio, "named files")
    assert not found.fine
    assert first.audio.name in found.seen
    assert second.audio.name in found.seen
    assert "backup" in found.cure


def test_a_damaged_database_is_found(studio: Studio, new: MakeTrack) -> None:
    with studio:
        studio.library.add(new(b"first"))
        with writing(studio.library.database) as connection:
            connection.exec_driver_sql("PRAGMA writable_schema=ON")
            connection.exec_driver_sql("INSERT INTO tags (track, name) SELECT number, 'x' FROM tracks")
            connection.exec_driver_sql("UPDATE sqlite_master SET rootpage = 2 WHERE name = 'ix_tags_name'")
    found = look(studio, "database")
    assert not found.fine
    assert found.cure


def test_rows_that_hang_in_the_air_are_found(studio: Studio) -> None:
    with studio:
        connection = studio.library.database.raw_connection()
        connection.cursor().execute("PRAGMA foreign_keys=OFF")
        connection.cursor().execute("INSERT INTO tags (track, name) VALUES (77, 'x')")
        connection.commit()
        connection.close()
    found = look(studio, "database")
    assert not found.fine
    assert "tags" in found.seen


def test_a_server_for_others_needs_an_administrator(studio: Studio) -> None:
    assert look(studio, "access").fine
    found = look(studio, "access", host="0.0.0.0")
    assert not found.fine
    assert "--admin" in found.cure
    with studio:
        studio.tokens.create("anna")
    assert not look(studio, "access", hosts=("music.example",)).fine
    with studio:
        studio.tokens.create("me", admin=True)
    assert look(studio, "access", hosts=("music.example",)).fine


def test_what_is_left_over_is_counted(studio: Studio) -> None:
    left = studio.settings.library_folder() / "scratch" / "gone" / "take.wav"
    left.parent.mkdir(parents=True)
    left.write_bytes(bytes(3_000_000))
    assert look(studio, "other files").seen == "scratch 3 MB"


def test_a_model_that_is_half_here_is_said_with_the_command_that_goes_on(studio: Studio) -> None:
    with studio:
        model = studio.weights.model("htdemucs_ft")
        place = studio.settings.models_folder() / f"models--{model.repository.replace('/', '--')}"
        file = place / "snapshots" / str(model.revision) / model.files[0].name
    file.parent.mkdir(parents=True)
    file.write_bytes(bytes(model.files[0].bytes or 0))
    found = look(studio, "models")
    assert not found.fine
    assert "sotto models pull htdemucs_ft" in found.cure

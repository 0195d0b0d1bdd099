"""The database opens anywhere it can, refuses where it cannot with a cure, and lets one writer in at a time."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from sottovoce import errors
from sottovoce.database import connect, shares
from sottovoce.database.connect import open_database, reading, writing


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(tmp_path)
    yield engine
    engine.dispose()


def put(engine: Engine, sha256: str) -> None:
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO files VALUES (:sha, :sha, 1)"), {"sha": sha256})


def count(engine: Engine) -> int:
    with reading(engine) as connection:
        return int(connection.scalar(text("SELECT count(*) FROM files")) or 0)


def test_the_file_is_private_and_in_wal_mode(engine: Engine, tmp_path: Path) -> None:
    put(engine, "a")
    assert stat.S_IMODE((tmp_path / "sotto.db").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "sotto.db-wal").stat().st_mode) == 0o600
    with reading(engine) as connection:
        pragmas = [
            connection.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        ]
    assert pragmas == ["wal", 2, 30_000, 1]


def test_an_error_undoes_the_whole_transaction(engine: Engine) -> None:
    def put_and_fail() -> None:
        with writing(engine) as connection:
            connection.execute(text("INSERT INTO files VALUES ('a', 'a', 1)"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        put_and_fail()
    assert count(engine) == 0


def test_readers_go_on_while_one_writes(engine: Engine) -> None:
    put(engine, "a")
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO files VALUES ('b', 'b', 1)"))
        assert count(engine) == 1
    assert count(engine) == 2


def test_writers_wait_for_each_other(engine: Engine) -> None:
    def add(name: str) -> None:
        for number in range(10):
            put(engine, f"{name}{number}")

    threads = [threading.Thread(target=add, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(engine) == 40


def test_a_writer_that_waits_in_vain_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "BUSY_SECONDS", 0.1)
    engine = open_database(tmp_path)
    holder = sqlite3.connect(tmp_path / "sotto.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(errors.LibraryBusy):
        put(engine, "a")
    holder.close()
    put(engine, "a")
    engine.dispose()


def test_a_database_may_lie_apart_from_the_files(tmp_path: Path) -> None:
    place = tmp_path / "elsewhere" / "mine.db"
    open_database(tmp_path / "music", f"sqlite:///{place}").dispose()
    assert place.exists()
    assert not (tmp_path / "music" / "sotto.db").exists()


@pytest.mark.parametrize("url", ["postgresql://host/db", "sqlite://", "sqlite:///:memory:", "nonsense", ""])
def test_other_databases_are_refused_with_the_form_to_write(tmp_path: Path, url: str) -> None:
    if url == "":
        open_database(tmp_path, url).dispose()
        return
    with pytest.raises(errors.InvalidParameter) as caught:
        open_database(tmp_path, url)
    assert "sqlite:////" in caught.value.hint


def test_a_network_share_is_refused_with_a_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"36 35 0:45 / {tmp_path} rw - nfs4 server:/share rw\n")
    monkeypatch.setattr(shares, "_MOUNTS", mounts)
    monkeypatch.setattr(connect, "share_kind", lambda path: shares.share_kind(path, mounts))
    with pytest.raises(errors.OutputNotWritable, match="nfs4") as caught:
        open_database(tmp_path / "library")
    assert "database_url" in caught.value.hint
    assert not (tmp_path / "library").exists()


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "sotto.db"
    place.write_bytes(b"not a database, but long enough to be looked at" * 100)
    before = place.read_bytes()
    with pytest.raises(errors.OutputNotWritable, match="no database"):
        open_database(tmp_path)
    assert place.read_bytes() == before


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(errors.OutputNotWritable):
        open_database(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(errors.OutputNotWritable):
        open_database(tmp_path / "library")


def test_two_processes_open_a_new_library_at_once(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from sottovoce.database.connect import open_database, reading\n"
        "while time.time() < float(sys.argv[2]): pass\n"
        "engine = open_database(Path(sys.argv[1]))\n"
        "with reading(engine) as c: print(c.exec_driver_sql('SELECT count(*) FROM tracks').scalar())"
    )
    start = str(time.time() + 2)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), start],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    assert [process.communicate(timeout=900) for process in processes] == [("0\n", "")] * 3

"""Opening the library's database: SQLite in WAL mode, where several processes read while one writes.

Transactions are short. One that writes begins with BEGIN IMMEDIATE, so it waits for its turn at the start and never fails half-way for a lock.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError
from sqlalchemy.pool import ConnectionPoolEntry

from sottovoce import errors
from sottovoce.database.shares import share_kind
from sottovoce.database.upgrade import newest, revision, upgrade

#: The database's file in the library's folder.
NAME = "sotto.db"
#: How long a writer waits for another one.
BUSY_SECONDS = 30.0

_IMMEDIATE = "immediate"


def open_database(folder: Path, url: str | None = None) -> Engine:
    """The database of a library, made and brought to the newest schema if need be.

    It lies in `folder`, or where `url` (`sqlite:////srv/sotto.db`) says. Only its owner may read the file. OutputNotWritable if the place
    cannot be used, or is a network share, where WAL does not work; LibraryBusy if another process holds it for over 30 s.
    """
    path = _path_of(url) if url else folder / NAME
    _refuse_share(path)
    engine = create_engine(URL.create("sqlite", database=str(path)))
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    with _reachable(path), translated(path), _alone(path):
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        _use_wal(engine)
        with engine.connect() as connection:
            current = revision(connection)
        if current != newest():
            with writing(engine) as connection:
                upgrade(connection)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that sees one state of the database."""
    with translated(), engine.connect() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """The only writer: committed at the end, undone if an error leaves the block."""
    with translated(), engine.connect().execution_options(**{_IMMEDIATE: True}) as connection, connection.begin():
        yield connection


@contextmanager
def translated(path: Path | None = None) -> Iterator[None]:
    """The database's complaints as errors of ours."""
    try:
        yield
    except DatabaseError as error:
        raise _ours(error.orig, path) or error from error
    except sqlite3.DatabaseError as error:
        raise _ours(error, path) or error from error


@contextmanager
def _reachable(path: Path) -> Iterator[None]:
    """What the disk says to a folder or file that is to be made."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise errors.DiskFull(f"no space is left for the library's database ({path})") from error
        raise errors.OutputNotWritable(
            f"{error.filename or path} cannot be written: {error.strerror}", hint=_ELSEWHERE
        ) from error


_ELSEWHERE = "Make it writable, or choose another place: `sotto config set library.directory FOLDER`."


def _ours(error: BaseException | None, path: Path | None) -> errors.StorageError | None:
    """SQLite's complaint by its name, such as SQLITE_IOERR_WRITE; None if it is none about the place."""
    where = f"the library's database{f' ({path})' if path else ''}"
    match getattr(error, "sqlite_errorname", "").split("_")[1:2]:
        case ["BUSY" | "LOCKED"]:
            return errors.LibraryBusy(
                f"another process has held {where} for over {BUSY_SECONDS:g} s", hint="Try again in a moment."
            )
        case ["FULL"]:
            return errors.DiskFull(f"no space is left for {where}; nothing was changed")
        case ["READONLY" | "CANTOPEN" | "PERM" | "IOERR"]:
            return errors.OutputNotWritable(f"{where} cannot be written ({error})", hint=_ELSEWHERE)
        case ["NOTADB" | "CORRUPT"]:
            return errors.OutputNotWritable(
                f"{where} is damaged or no database ({error})",
                hint="Put a backup in its place, or choose another library.directory.",
            )
    return None


def _path_of(url: str) -> Path:
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise errors.InvalidParameter(
            "library.database_url must name an SQLite file on this machine",
            hint="Write it like sqlite:////srv/sotto/sotto.db, or leave it out.",
        )
    return Path(parsed.database).expanduser()


def _refuse_share(path: Path) -> None:
    kind = share_kind(path.resolve())
    if kind is not None:
        raise errors.OutputNotWritable(
            f"{path.parent} is a network share ({kind}), where several processes cannot share a database safely",
            hint="Keep the database on a disk of this machine: `sotto config set library.database_url sqlite:////PATH/sotto.db`;"
            " the audio files may stay on the share.",
        )


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Held while the file is made and migrated, so that two processes can open a new library at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        _lock(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise errors.LibraryBusy(f"another process is opening {path} and does not finish") from None
            time.sleep(0.02)


def _use_wal(engine: Engine) -> None:
    """WAL is a property of the file; it can only be set outside a transaction, and setting it again changes nothing."""
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


def _prepare(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    """Each connection: our own BEGIN (see `_begin`), waiting for a writer, durable commits, foreign keys."""
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000:.0f}")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get(_IMMEDIATE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

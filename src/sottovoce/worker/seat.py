"""Seat: what a host holds while it works at a library, and the server, of which there is one.

A seat's name is stable, so that what a host left unfinished is found again, and one process's alone.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sottovoce import errors

_MOST = 64


@contextmanager
def seat(folder: Path) -> Iterator[str]:
    """The first free seat at the library in `folder`, this process's while the block lasts; its name."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(_MOST):
        descriptor = os.open(_lock(folder, number), os.O_CREAT | os.O_RDWR, 0o600)
        if _taken(descriptor):
            os.close(descriptor)
            continue
        try:
            yield _name(_lock(folder, number))
        finally:
            os.close(descriptor)
        return
    raise errors.LibraryInUse(f"{_MOST} workers of this machine run on this library already")


def abandoned(folder: Path) -> tuple[str, ...]:
    """The seats where nobody sits any more, those of machines (containers) that had another name too."""
    free = []
    for lock in sorted(folder.glob("*.lock")):
        descriptor = os.open(lock, os.O_RDWR)
        if not _taken(descriptor):
            free.append(_name(lock))
        os.close(descriptor)
    return tuple(free)


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """For one process at a time; LibraryInUse if another one is at it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lock, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        if _taken(descriptor):
            raise errors.LibraryInUse(
                f"another server serves the library in {lock.parent}",
                hint="Use that one, stop it, or give this one another library.directory.",
            )
        yield
    finally:
        os.close(descriptor)


def _lock(folder: Path, number: int) -> Path:
    return folder / f"{socket.gethostname()}-{number}.lock"


def _name(lock: Path) -> str:
    host, _, number = lock.stem.rpartition("-")
    return f"{host}:{number}"


def _taken(descriptor: int) -> bool:
    """Whether another process holds the lock; if not, this one does now, until the descriptor is closed."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False

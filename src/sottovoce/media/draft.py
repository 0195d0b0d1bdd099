"""Files that are whole or not there: written under another name beside the place they are for, then renamed."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sottovoce.errors import DiskFull, OutputNotWritable

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def draft(path: Path) -> Iterator[Path]:
    """An empty file beside `path`; it takes that name when the block ends well, and is gone if it does not.

    OutputNotWritable if the folder is missing or closed to us, DiskFull if there is no room.
    """
    temporary = path.absolute().parent / f".{secrets.token_hex(8)}.part"
    with writing(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        temporary.touch(exist_ok=False)
    try:
        yield temporary
        with writing(path):
            _to_disk(temporary)
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Whatever the system raises while `path` is written becomes DiskFull or OutputNotWritable."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise DiskFull(f"no space left to write {path.name}") from error
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise OutputNotWritable(
            f"{path.name or path} cannot be written to {path.absolute().parent}: {reason}",
            hint="Choose a folder that exists and that you may write to.",
        ) from error


def _to_disk(path: Path) -> None:
    """Only what has reached the disk may take the name, or a power cut leaves an empty file under it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

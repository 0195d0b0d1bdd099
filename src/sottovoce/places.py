"""Places on disk: what is checked before work begins, the scratch folder while it runs, and the move of what was made to its place."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sottovoce import errors
from sottovoce.media.draft import draft, writing
from sottovoce.media.formats import BitDepth, format_of

_PIECE = 1 << 20


@contextmanager
def scratch_folder(place: Path) -> Iterator[Path]:
    """A folder of this run's own in `place`, gone afterwards whatever happens; those of processes that are gone go too.

    Whoever works in a folder holds a lock on it, which ends with the process, in whichever container it ran.
    """
    with writing(place):
        place.mkdir(parents=True, exist_ok=True)
        with (place / ".lock").open("w") as door:
            fcntl.flock(door, fcntl.LOCK_EX)
            _sweep(place)
            folder = Path(tempfile.mkdtemp(dir=place))
            mine = os.open(folder, os.O_RDONLY)
            fcntl.flock(mine, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(mine)


def clip_tag(path: Path) -> str:
    """The tag that takes for a clip bear: a hash of the file's length and of three pieces of it, as clips are long."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        digest = hashlib.sha256(str(size).encode())
        for place in (0, size // 2, max(0, size - _PIECE)):
            file.seek(place)
            digest.update(file.read(_PIECE))
    return f"clip-{digest.hexdigest()[:16]}"


def check_output(path: Path, *, bit_depth: BitDepth | None = None, bitrate: int | None = None) -> None:
    """Before any work: whether a file of that name can be written, in the format its ending names."""
    format_of(path, bit_depth=bit_depth, bitrate=bitrate)
    check_place(path)


def check_place(path: Path) -> None:
    """Before any work: whether a file can be written at a path."""
    folder = path.absolute().parent
    with writing(path):
        if path.is_dir():
            raise errors.OutputNotWritable(f"{path} is a folder", hint="Name a file in it.")
        if not folder.is_dir():
            raise errors.OutputNotWritable(f"there is no folder {folder}", hint=f"mkdir -p '{folder}'")
    check_folder(folder)


def check_folder(folder: Path) -> None:
    """Before any work: whether files can be put into the folder, or it can be made."""
    with writing(folder):
        there = next(place for place in [folder, *folder.absolute().parents] if place.exists())
    if not there.is_dir():
        raise errors.OutputNotWritable(
            f"{there} is a file, so nothing can be put into {folder}", hint="Choose another place with -o."
        )
    if not os.access(there, os.W_OK | os.X_OK):
        raise errors.OutputNotWritable(f"{there} may not be written to", hint="Choose another place with -o.")


def check_apart(target: Path, source: Path) -> None:
    """InvalidParameter if writing to `target` would replace the very file that is worked on."""
    if target.exists() and target.samefile(source):
        raise errors.InvalidParameter(
            f"{target} is the source itself, which is never replaced", hint="Choose another name with -o."
        )


def deliver(path: Path, target: Path | None) -> Path:
    """Move a finished file to its place by a rename, so that no half of it is ever seen there."""
    if target is None:
        raise errors.InvalidParameter("this request leaves files, so it needs a place to put them")
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            return path.replace(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        with draft(target) as part:
            shutil.copyfile(path, part)
        return target


def _sweep(place: Path) -> None:
    """Remove the scratch folders that nobody works in."""
    for folder in place.iterdir():
        if folder.is_dir() and not _in_use(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _in_use(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False

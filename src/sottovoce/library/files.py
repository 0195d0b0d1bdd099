"""The library's files: named by the SHA-256 of their bytes, put in place by a rename, never changed afterwards.

A file is first *staged* (hashed and flushed to disk, copied if it must stay where it is or comes from another file system), then *placed*
by a rename. A process that dies in between leaves a file that no row names; `leftovers` finds those.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sottovoce import errors
from sottovoce.media.draft import writing

_BLOCK = 1 << 20
_STALE_SECONDS = 3600.0
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,10}")


@dataclass(frozen=True)
class Staged:
    """A file ready to be placed: where it lies, the hash of its bytes, how many there are, its path in the library."""

    source: Path
    sha256: str
    bytes: int
    path: str


@dataclass(frozen=True)
class FileStore:
    """Files under `folder/audio`."""

    folder: Path

    def locate(self, path: str) -> Path:
        """The place on disk of a path the database names."""
        return self.folder / path

    def stage(self, source: Path, *, keep: bool = False) -> Staged:
        """Hash a file and make it durable; with `keep` the source stays. InputUnreadable, DiskFull, OutputNotWritable."""
        with writing(self.folder):
            self._incoming.mkdir(parents=True, exist_ok=True)
            movable = not keep and _device(source) == _device(self._incoming)
        if movable:
            sha256, size = _flushed_hash(source)
            return Staged(source, sha256, size, _path(sha256, source.suffix))
        return self._copied(source)

    def place(self, staged: Staged, path: str) -> None:
        """Rename a staged file to its path in the library; one of the same content is replaced by its equal."""
        target = self.locate(path)
        with writing(target):
            if not target.parent.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                _flush_folder(target.parent.parent)
            staged.source.replace(target)
            _flush_folder(target.parent)

    def drop_copy(self, staged: Staged) -> None:
        """Delete a staged copy that was not placed; a source that was to be moved stays where it is."""
        if staged.source.parent == self._incoming:
            staged.source.unlink(missing_ok=True)

    def discard(self, path: str) -> None:
        """Delete a file if it is there."""
        with writing(self.locate(path)):
            self.locate(path).unlink(missing_ok=True)

    def leftovers(self, known: Collection[str]) -> Iterator[str]:
        """Paths of placed files that are not among the known ones, and of copies that were begun over an hour ago."""
        for found in sorted((self.folder / "audio").glob("*/*")):
            path = found.relative_to(self.folder).as_posix()
            if found.parent == self._incoming:
                if time.time() - found.stat().st_mtime > _STALE_SECONDS:
                    yield path
            elif path not in known:
                yield path

    def find(self, sha256: str) -> Path | None:
        """The file with that content, whatever its ending; None if it is not here."""
        return next((self.folder / "audio" / sha256[:2]).glob(f"{sha256}*"), None)

    def intact(self, path: str, sha256: str) -> bool:
        """Whether a file is there and still has the bytes it was placed with."""
        place = self.locate(path)
        return place.is_file() and _flushed_hash(place)[0] == sha256

    @property
    def _incoming(self) -> Path:
        return self.folder / "audio" / "incoming"

    def _copied(self, source: Path) -> Staged:
        with readable(source), source.open("rb") as original, writing(self.folder):
            descriptor, name = tempfile.mkstemp(dir=self._incoming)
            try:
                with os.fdopen(descriptor, "wb") as copy:
                    shutil.copyfileobj(original, copy, _BLOCK)
                sha256, size = _flushed_hash(Path(name))
            except BaseException:
                Path(name).unlink()
                raise
        return Staged(Path(name), sha256, size, _path(sha256, source.suffix))


@contextmanager
def readable(source: Path) -> Iterator[None]:
    """A source that is missing, a folder, or forbidden, as InputUnreadable."""
    try:
        yield
    except OSError as error:
        raise errors.InputUnreadable(f"{source} cannot be read: {error.strerror}") from error


def _path(sha256: str, suffix: str) -> str:
    return f"audio/{sha256[:2]}/{sha256}{suffix.lower() if _SUFFIX.fullmatch(suffix) else ''}"


def _device(path: Path) -> int:
    with readable(path):
        return path.stat().st_dev


def _flushed_hash(path: Path) -> tuple[str, int]:
    """SHA-256 and length of a file whose bytes are on disk when this returns."""
    with readable(path), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        os.fsync(file.fileno())
        return digest.hexdigest(), file.tell()


def _flush_folder(folder: Path) -> None:
    """Makes durable what was renamed or made in a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Results kept for a while, so that the same work is done once: folders of files that are whole or not there.

While one process works at a result it holds the lock of its key, and others that want the same wait for it. An entry is written under another
name and renamed; a process that is killed leaves that, or a lock nobody holds, for the next sweep. Files come and go as copies: what was
handed out may be changed without harm.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from sottovoce import errors
from sottovoce.media.draft import writing
from sottovoce.progress import OnProgress, Progress, ignore

#: What was not used for so long is deleted.
KEPT_SECONDS = 72 * 3600.0
_POLL_SECONDS = 0.2
_BLOCK = 1 << 20
_MANIFEST = "manifest.json"
_LOCK, _PART = ".lock", ".part"
#: What else may lie in the folder is left alone.
_OURS = re.compile(r"[0-9a-f]{64}\.[a-z0-9]+(\.part)?")


class _File(BaseModel):
    """A kept file: its length and the hash of its bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: int
    sha256: str


class _Manifest(BaseModel):
    """What an entry holds; the time it was last used is the time of this file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: dict[str, _File]
    about: dict[str, Any]


@dataclass(frozen=True)
class Cache:
    """Results in `folder`, deleted when they were not used for `seconds`. Several processes and threads may use one folder at once."""

    folder: Path
    seconds: float = KEPT_SECONDS

    @contextmanager
    def slot(self, key: str, progress: OnProgress = ignore) -> Iterator[Slot]:
        """The place of the result of that key (a SHA-256 in hexadecimal), the caller's alone until the block ends.

        While another has it, `progress` is called, which may raise. OutputNotWritable or DiskFull.
        """
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        lock = self.folder / f"{key}{_LOCK}"
        while (held := _try_lock(lock)) is None:
            progress(Progress("waiting for the same work", 0))
            time.sleep(_POLL_SECONDS)
        try:
            yield Slot(self.folder / key, progress)
        finally:
            _unlock(lock, held)

    def sweep(self) -> int:
        """Delete what was not used for long, and what killed processes left; how many results went. What is in use stays."""
        found = sorted(self.folder.iterdir()) if self.folder.is_dir() else []
        return sum(self._swept(path) for path in found if _OURS.fullmatch(path.name) and self._is_stale(path))

    def _swept(self, path: Path) -> bool:
        """Delete what is stale unless someone is at it; whether that was a result."""
        lock = self.folder / f"{path.name.split('.')[0]}{_LOCK}"
        held = _try_lock(lock)
        if held is None:
            return False
        try:
            # It may have been used, or swept by another, before it was locked.
            if path == lock or not self._is_stale(path):
                return False
            _discard(path)
            return path.suffix != _PART
        finally:
            _unlock(lock, held)

    def _is_stale(self, path: Path) -> bool:
        """Whether nobody will miss it, as far as can be told without its lock."""
        if path.suffix in (_LOCK, _PART):
            return True
        try:
            return time.time() - (path / _MANIFEST).stat().st_mtime > self.seconds
        except OSError:
            return path.is_dir()


class Slot:
    """The place of one result, which may be kept in several forms; `notes` is what a user should know of it."""

    def __init__(self, place: Path, progress: OnProgress) -> None:
        self.notes: list[str] = []
        self._place = place
        self._progress = progress

    def fetch(self, form: str, folder: Path) -> Mapping[str, Any] | None:
        """Copies of the files kept, put into `folder`, and what was said of them; None if there are none.

        Every file is read and compared with its hash; what is damaged is deleted, and noted. DiskFull or OutputNotWritable.
        """
        entry = self._entry(form)
        if not entry.exists():
            return None
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            manifest = _Manifest.model_validate_json((entry / _MANIFEST).read_bytes())
            whole = all(self._same(entry / name, folder / name, file) for name, file in manifest.files.items())
            os.utime(entry / _MANIFEST)
        except (OSError, ValueError):
            whole = False
        if not whole:
            shutil.rmtree(folder, ignore_errors=True)
            _discard(entry)
            self.notes.append("what was kept of an earlier run was damaged, so it was made again")
            return None
        return manifest.about

    def keep(self, form: str, files: Iterable[Path], about: Mapping[str, Any]) -> None:
        """Keep copies of files and plain values about them; where there is no room for that it is noted and nothing is kept."""
        entry = self._entry(form)
        part = entry.with_name(f"{entry.name}{_PART}")
        try:
            self._store(entry, part, files, about)
        except errors.StorageError as error:
            self.notes.append(f"this result was not kept for the next time: {error.message}")
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _store(self, entry: Path, part: Path, files: Iterable[Path], about: Mapping[str, Any]) -> None:
        shutil.rmtree(part, ignore_errors=True)
        with writing(part):
            part.mkdir()
        kept = {file.name: self._copied(file, part / file.name, "keep", durable=True) for file in files}
        with writing(part):
            manifest = part / _MANIFEST
            manifest.write_text(_Manifest(files=kept, about=dict(about)).model_dump_json(), encoding="utf-8")
            _flush(manifest)
            _flush(part)
            if entry.exists():
                _discard(entry)
            part.rename(entry)
            _flush(entry.parent)

    def _same(self, source: Path, target: Path, expected: _File) -> bool:
        """Copy a kept file; whether it is as it was when it was kept."""
        return self._copied(source, target, "fetch") == expected

    def _copied(self, source: Path, target: Path, stage: str, *, durable: bool = False) -> _File:
        """Copy a file, and what was copied; OSError if it cannot be read, StorageErrors if it cannot be written."""
        digest, size = hashlib.sha256(), 0
        with source.open("rb") as original:
            with writing(target):
                copy = target.open("wb")
            with copy:
                while block := original.read(_BLOCK):
                    digest.update(block)
                    size += len(block)
                    with writing(target):
                        copy.write(block)
                        copy.flush()
                    self._progress(Progress(stage, 100))
                if durable:
                    with writing(target):
                        os.fsync(copy.fileno())
        return _File(bytes=size, sha256=digest.hexdigest())

    def _entry(self, form: str) -> Path:
        return self._place.with_name(f"{self._place.name}.{form}")


def _try_lock(path: Path) -> int | None:
    """A descriptor that holds the lock, which ends with the process; None while another has it.

    Whoever had it deletes the file, so a lock counts only if the file is still there under its name.
    """
    with writing(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def _unlock(path: Path, descriptor: int) -> None:
    path.unlink(missing_ok=True)
    os.close(descriptor)


def _discard(entry: Path) -> None:
    """Delete an entry by a rename first, so that half of it is never seen under its name."""
    part = entry if entry.suffix == _PART else entry.with_name(f"{entry.name}{_PART}")
    if part != entry:
        shutil.rmtree(part, ignore_errors=True)
        with writing(entry):
            entry.rename(part)
    shutil.rmtree(part, ignore_errors=True)


def _flush(path: Path) -> None:
    """What was written to a file, or renamed in a folder, reaches the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

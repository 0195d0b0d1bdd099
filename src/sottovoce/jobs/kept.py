"""What is kept of a job beside what it made: what remote engines must not forget, and what was said while it was done."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

#: Hidden, so that they are none of the files a job made.
_MEMO, _LOG = ".memo.json", ".log"


class KeptMemo(dict[str, Any]):
    """An engine's memo in a file: an attempt that takes a job up again finds what the one before it saved."""

    def __init__(self, path: Path, known: dict[str, Any]) -> None:
        super().__init__(known)
        self._path = path

    @classmethod
    def of(cls, folder: Path) -> Self:
        """The memo of the job with that folder."""
        path = folder / _MEMO
        return cls(path, json.loads(path.read_bytes()) if path.is_file() else {})

    def save(self) -> None:
        """Make it durable: the file is on the disk, whole, before this returns."""
        draft = self._path.with_suffix(".draft")
        with draft.open("w", encoding="utf-8") as file:
            json.dump(self, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)


@contextmanager
def logged(folder: Path) -> Iterator[None]:
    """Within the block, all that this process says on standard error goes into the job's log, libraries and native code included."""
    before = os.dup(2)
    try:
        with (folder / _LOG).open("ab") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def note(folder: Path, text: str) -> None:
    """Add a line to the job's log."""
    with (folder / _LOG).open("a", encoding="utf-8") as file:
        file.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {text}\n")


def read_log(folder: Path) -> str:
    """What was said while the job was done; empty before it began."""
    path = folder / _LOG
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

"""Files on their way: out as one part of a form, in by pieces that may come over several connections."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import httpx

from sottovoce.errors import InputUnreadable
from sottovoce.media.draft import draft, writing
from sottovoce.progress import OnProgress, Progress

#: Pauses before a download that broke off is taken up again, in seconds.
PAUSES = (0.2, 1.0, 3.0, 8.0)


class Outgoing:
    """A file that is sent; it tells how much of it has been."""

    def __init__(self, file: BinaryIO, report: OnProgress) -> None:
        self._file, self._report = file, report
        self._size = os.fstat(file.fileno()).st_size

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        piece = self._file.read(size)
        self._report(Progress("upload", 100 * self._file.tell() / max(1, self._size)))
        return piece

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        """Go elsewhere in the file."""
        return self._file.seek(place, whence)

    def fileno(self) -> int:
        """The file as the system knows it, from which its length is read."""
        return self._file.fileno()


@contextmanager
def outgoing(path: Path, report: OnProgress) -> Iterator[Outgoing]:
    """A file to be sent; InputUnreadable if it is none that can be read."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputUnreadable(f"{path} cannot be read: {error.strerror}", hint="Check the path.") from error
    with file:
        yield Outgoing(file, report)


class Incoming:
    """A file that is received: what to ask for next, and whether all is there."""

    def __init__(self, file: BinaryIO, report: OnProgress) -> None:
        self._file, self._report = file, report
        self._tag: str | None = None
        self._size: int | None = None
        self.whole = False

    @property
    def there(self) -> int:
        """How many bytes there are."""
        return self._file.tell()

    def headers(self) -> dict[str, str]:
        """The headers that ask for what is missing, if what is there can be gone on with."""
        if not self.there or self._tag is None:
            return {}
        return {"Range": f"bytes={self.there}-", "If-Range": self._tag}

    def begin(self, answer: httpx.Response) -> None:
        """The answer goes on where we are, or begins anew."""
        if answer.status_code == 206:
            if not answer.headers.get("content-range", "").startswith(f"bytes {self.there}-"):
                self._tag = None
                raise httpx.RemoteProtocolError("another part came than was asked for")
            return
        self._file.seek(0)
        self._file.truncate()
        # What was packed for the way has another length, and cannot be gone on with.
        packed = "content-encoding" in answer.headers
        tag, length = answer.headers.get("etag", ""), answer.headers.get("content-length", "")
        self._tag = tag if tag.startswith('"') and not packed else None
        self._size = int(length) if length.isdecimal() and not packed else None

    def take(self, piece: bytes) -> None:
        """Keep a piece."""
        self._file.write(piece)
        if self._size:
            self._report(Progress("download", 100 * min(1.0, self.there / self._size)))

    def end(self) -> None:
        """The answer has ended."""
        if self._size not in (None, self.there):
            raise httpx.RemoteProtocolError(f"{self.there} bytes came where {self._size} were promised")
        self.whole = True


@contextmanager
def incoming(target: Path, report: OnProgress) -> Iterator[Incoming]:
    """A file that gets its name when all of it is there, and is gone if that does not happen."""
    with draft(target) as part, writing(target), part.open("wb") as file:
        yield Incoming(file, report)

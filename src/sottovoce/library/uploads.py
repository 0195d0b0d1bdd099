"""Files that came in over HTTP: received to disk while they are counted and hashed, looked at in a child, and kept for a while."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Protocol

from sqlalchemy import Engine, RowMapping, delete, insert, select

from sottovoce import errors
from sottovoce.database.connect import reading, writing
from sottovoce.database.schema import uploads
from sottovoce.library.track import clean_title
from sottovoce.media import draft
from sottovoce.media.probe import MediaInfo
from sottovoce.media.sandbox import Limits, probe_in_child

#: An upload that nothing needs is deleted after so long.
KEPT_SECONDS = 3600.0
_BLOCK = 1 << 18


class Readable(Protocol):
    """Bytes on their way in; an empty answer is their end."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most so many."""


@dataclass(frozen=True)
class Limit:
    """What an upload may be: bytes, and seconds of sound or picture."""

    bytes: int
    seconds: float


@dataclass(frozen=True)
class Upload:
    """A file that came in: `name` is what its sender calls it, never a place; `rate` and `channels` are None without sound."""

    id: str
    owner: str
    name: str
    sha256: str
    bytes: int
    kind: Literal["audio", "video"]
    seconds: float
    rate: int | None
    channels: int | None
    created: str

    def as_dict(self) -> dict[str, Any]:
        """What surfaces show, ready for JSON."""
        return {name: value for name, value in asdict(self).items() if name != "owner"}


@dataclass(frozen=True)
class Uploads:
    """Uploads under their ids in `folder`, their rows in `database`. To an owner the uploads of others are not there; None sees all.

    Methods raise UploadNotFound for an id there is not, and StorageErrors where the disk or the database refuse.
    """

    database: Engine
    folder: Path

    def add(self, stream: Readable, name: str, limit: Limit, *, owner: str = "") -> Upload:
        """Receive a file; FileTooLarge or AudioTooLong past the limit, UnsupportedFormat or CorruptMedia for what is no media."""
        label = _label(name)
        target = self.folder / secrets.token_hex(16)
        with draft.writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        with draft.draft(target) as part:
            sha256, size = _received(stream, part, limit.bytes)
            info = _looked_at(part, label, limit.seconds)
        upload = Upload(
            id=target.name,
            owner=owner,
            name=label,
            sha256=sha256,
            bytes=size,
            kind="video" if info.has_video else "audio",
            seconds=info.seconds,
            rate=info.rate,
            channels=info.channels,
            created=_text(datetime.now(UTC)),
        )
        self._file(upload, target)
        return upload

    def get(self, upload: str, owner: str | None = None) -> Upload:
        """What is known of an upload."""
        with reading(self.database) as connection:
            row = connection.execute(select(uploads).where(uploads.c.id == upload)).mappings().first()
        if row is None or owner not in (None, row["owner"]):
            raise errors.UploadNotFound(
                f"there is no upload {upload!r}", hint="Upload the file again: unused ones go after an hour."
            )
        return _upload(row)

    def path(self, upload: str, owner: str | None = None) -> Path:
        """Where the file of an upload lies."""
        return self.folder / self.get(upload, owner).id

    def remove(self, upload: str, owner: str | None = None) -> None:
        """Delete an upload."""
        self._forget([self.get(upload, owner).id])

    def sweep(self, keep: Collection[str] = ()) -> int:
        """Delete uploads of over an hour ago but those in `keep`, and what a killed process left; how many uploads went."""
        before = _text(datetime.now(UTC) - timedelta(seconds=KEPT_SECONDS))
        with reading(self.database) as connection:
            old = connection.scalars(select(uploads.c.id).where(uploads.c.created < before)).all()
        gone = [upload for upload in old if upload not in keep]
        self._forget(gone)
        self._forget_strays()
        return len(gone)

    def _file(self, upload: Upload, target: Path) -> None:
        try:
            with writing(self.database) as connection:
                connection.execute(insert(uploads).values(**asdict(upload)))
        except BaseException:
            target.unlink(missing_ok=True)
            raise

    def _forget(self, gone: Collection[str]) -> None:
        """The row goes first, so that no row names a file that is not there."""
        if not gone:
            return
        with writing(self.database) as connection:
            connection.execute(delete(uploads).where(uploads.c.id.in_(gone)))
        for upload in gone:
            with draft.writing(self.folder):
                (self.folder / upload).unlink(missing_ok=True)

    def _forget_strays(self) -> None:
        with reading(self.database) as connection:
            known = set(connection.scalars(select(uploads.c.id)))
        for path in self.folder.glob("*") if self.folder.is_dir() else ():
            if path.is_file() and path.name not in known and time.time() - path.stat().st_mtime > KEPT_SECONDS:
                with draft.writing(self.folder):
                    path.unlink(missing_ok=True)


def _received(stream: Readable, path: Path, most: int) -> tuple[str, int]:
    """SHA-256 and length of what was written to `path`."""
    digest, size = hashlib.sha256(), 0
    with draft.writing(path), path.open("wb") as file:
        while block := stream.read(_BLOCK):
            size += len(block)
            if size > most:
                raise too_large(most)
            digest.update(block)
            file.write(block)
    return digest.hexdigest(), size


def too_large(most: int) -> errors.FileTooLarge:
    """The refusal of a file of more than `most` bytes."""
    return errors.FileTooLarge(
        f"the file has more than the {most / 1e6:g} MB that are taken here",
        hint="Send a shorter or more compressed file, or raise server.max_upload_mb.",
    )


def _looked_at(path: Path, label: str, seconds: float) -> MediaInfo:
    """What the file is; errors call it by the name its sender knows."""
    try:
        return probe_in_child(path, Limits(sound_seconds=seconds))
    except errors.InputError as error:
        raise type(error)(error.message.replace(path.name, label), hint=error.hint, details=error.details) from None


def _label(name: str) -> str:
    """The last part of a name, whatever system it comes from."""
    return clean_title(name.replace("\\", "/").rsplit("/", 1)[-1].strip() or "upload")


def _upload(row: RowMapping) -> Upload:
    return Upload(**row)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")

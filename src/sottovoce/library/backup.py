"""Backup: a whole library as one archive, taken while it is in use, and the way back into an empty one.

The archive is a tar of plain files under the paths they have in the library: tracks, uploads, what jobs made and the seats of workers, then a
copy of the database, and at last the list of them all with their hashes. So an archive that was cut has no list, and one with a changed byte
does not fit it.
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import sqlite3
import tarfile
import tempfile
import time
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Engine, Table, delete, func, select, update

from sottovoce import errors
from sottovoce.database.connect import BUSY_SECONDS, NAME, open_database, reading, translated, writing
from sottovoce.database.schema import files, jobs, secrets, sessions, stems, tokens, tracks, uploads
from sottovoce.library import rows
from sottovoce.library.files import FileStore, Staged, readable
from sottovoce.library.health import flaws
from sottovoce.library.tracks import Library
from sottovoce.media import draft
from sottovoce.progress import OnProgress, Progress, ignore
from sottovoce.version import __version__

#: The last member of an archive: what it holds.
LIST = "backup.json"
#: Who may come in, and the keys of remote engines: left out unless they are asked for.
_PRIVATE = (sessions, tokens, secrets)
_LONGEST_LIST = 1 << 28
_BLOCK = 1 << 20
_GZIP = b"\x1f\x8b"
_ENDINGS = {".tar": "", ".tar.gz": "gz", ".tgz": "gz"}
#: The paths of a library that a backup may hold; none leads out of it.
_OURS = re.compile(
    r"audio/([0-9a-f]{2})/\1[0-9a-f]{62}(\.[a-z0-9]{1,10})?"
    r"|uploads/[0-9a-f]{32}"
    r"|jobs/[0-9a-f]{16}/\.memo\.json"
    r"|jobs/[0-9a-f]{16}/[^/\\.\x00-\x1f\x7f\ud800-\udfff][^/\\\x00-\x1f\x7f\ud800-\udfff]{0,200}"
    r"|workers/[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}\.lock"
)


class Held(BaseModel):
    """A file of an archive: its length and the hash of its bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: int
    sha256: str


class Contents(BaseModel):
    """What an archive holds. `left_out` are paths of files that were missing or damaged when it was made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: Literal[1] = 1
    sottovoce: str
    created: str
    secrets: bool
    tracks: int
    files: dict[str, Held]
    left_out: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """What surfaces show, ready for JSON."""
        return self.model_dump(exclude={"form", "files"}) | {
            "files": len(self.files),
            "bytes": sum(held.bytes for held in self.files.values()),
            "left_out": list(self.left_out),
        }


def back_up(library: Library, path: Path, *, secrets: bool = False, progress: OnProgress = ignore) -> Contents:
    """Write a library to the archive `path`, whole or not at all, while others go on using it; what the archive holds.

    Who may come in is left out without `secrets`. UnsupportedFormat for another ending than .tar, .tar.gz or .tgz.
    """
    form = _form_of(path)
    with tempfile.TemporaryDirectory(prefix="sotto-") as place:
        copy = _copied(library.database, Path(place))
        try:
            with writing(copy) as connection:
                if rows.drop_trashed(connection):
                    rows.forget_unused(connection)
            with draft.draft(path) as part, draft.writing(path):
                # Whoever may read it has the library.
                part.chmod(0o600)
                with _open_new(part, form) as archive:
                    return _Packer(archive, progress).pack(library, copy, secrets=secrets)
        finally:
            copy.dispose()


def restore(path: Path, library: Library, scratch: Path, *, progress: OnProgress = ignore) -> Contents:
    """Fill an empty library from an archive; what the archive held. Until all of it was checked nothing of it is seen.

    `scratch` is an empty folder on the library's disk. InvalidParameter for a library with anything in it, CorruptMedia for an archive that is
    cut or changed or holds what a backup does not, LibraryInUse for one of a newer version.
    """
    _refuse_full(library)
    _check_space(path, scratch)
    with tempfile.TemporaryDirectory(prefix="sotto-") as place:
        contents = _unpacked(path, scratch, Path(place), progress)
        copy = open_database(Path(place))
        try:
            _check_copy(copy, contents, path.name)
        finally:
            copy.dispose()
        progress(Progress("file", 99))
        _place(contents, scratch, library.folder)
        _fill(library.database, Path(place) / NAME)
    return contents


@dataclass
class _Packer:
    """An archive that is being written, and what is in it so far."""

    archive: tarfile.TarFile
    progress: OnProgress
    files: dict[str, Held] = field(default_factory=dict)

    def pack(self, library: Library, copy: Engine, *, secrets: bool) -> Contents:
        """Put in a library's files, the copy of its database, and the list."""
        named = _named(copy, library.folder)
        lost = []
        for index, (name, sha256) in enumerate(named):
            self.progress(Progress("backup", 99 * index / len(named), index, len(named)))
            if not (_OURS.fullmatch(name) and self._add(name, library.folder / name, sha256)):
                lost.append(name)
        left_out = _settled(lost, library, copy)
        count = _count(copy, tracks)
        self._add(NAME, _finished(copy, private=secrets))
        contents = Contents(
            sottovoce=__version__,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            secrets=secrets,
            tracks=count,
            files=self.files,
            left_out=left_out,
        )
        self._write(LIST, io.BytesIO(contents.model_dump_json().encode()))
        return contents

    def _add(self, name: str, path: Path, sha256: str | None = None) -> bool:
        """Put a file in; False if it cannot be read, or does not have the bytes it was filed with."""
        try:
            source = path.open("rb")
        except OSError:
            return False
        with source:
            found = _hash_of(source)
            if found is None or sha256 not in (None, found):
                return False
            self.files[name] = Held(bytes=self._write(name, source), sha256=found)
        return True

    def _write(self, name: str, source: Any) -> int:
        """Put in what is read from a file's beginning to where it is wound to its end; how many bytes."""
        info = tarfile.TarInfo(name)
        info.size = source.seek(0, io.SEEK_END)
        info.mode, info.mtime = 0o600, int(time.time())
        source.seek(0)
        self.archive.addfile(info, source)
        return info.size


def _hash_of(source: io.BufferedReader) -> str | None:
    """The hash of a file's bytes; None if the disk does not give them."""
    try:
        return hashlib.file_digest(source, "sha256").hexdigest()
    except OSError:
        return None


def _form_of(path: Path) -> str:
    """The compression that a file's ending names."""
    for ending, form in _ENDINGS.items():
        if path.name.lower().endswith(ending):
            return form
    raise errors.UnsupportedFormat(
        f"{path.name} names no archive that is written here", hint="End it with .tar, or .tar.gz for a smaller one."
    )


def _open_new(path: Path, form: str) -> tarfile.TarFile:
    if form:
        # Music is compressed as it is; more effort would find nothing.
        return tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT, compresslevel=1)
    return tarfile.open(path, "w:", format=tarfile.PAX_FORMAT)


def _copied(database: Engine, place: Path) -> Engine:
    """A copy of one state of a database, while others write to it, in the folder `place`."""
    with (
        translated(),
        closing(sqlite3.connect(_file_of(database))) as ours,
        closing(sqlite3.connect(place / NAME)) as copy,
    ):
        ours.backup(copy)
    return open_database(place)


def _file_of(database: Engine) -> Path:
    name = database.url.database
    assert name is not None, "a library's database is a file"
    return Path(name)


def _named(copy: Engine, folder: Path) -> list[tuple[str, str | None]]:
    """The files that belong to a library, each with the hash it must have if that is known."""
    with reading(copy) as connection:
        kept = [(row.path, row.sha256) for row in connection.execute(select(files).order_by(files.c.path))]
        came = [(f"uploads/{row.id}", row.sha256) for row in connection.execute(select(uploads))]
        ids = connection.scalars(select(jobs.c.id).order_by(jobs.c.number)).all()
    made = [_path_in(folder, path) for job in ids for path in _files_in(folder / "jobs" / job)]
    # By these the next worker finds what was being done when the copy was taken.
    seats = [_path_in(folder, path) for path in _files_in(folder / "workers") if path.suffix == ".lock"]
    return [*kept, *came, *((name, None) for name in (*made, *seats))]


def _files_in(folder: Path) -> list[Path]:
    """The files in a folder, but hidden ones: those are logs, or half written. A memo knows what was ordered and paid elsewhere."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in found if path.is_file() and (path.name == ".memo.json" or not path.name.startswith("."))]


def _path_in(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def _settled(lost: Sequence[str], library: Library, copy: Engine) -> tuple[str, ...]:
    """Of files that could not be put in, those that the library has lost.

    What was removed from it in the meantime is removed from the copy too.
    """
    with reading(library.database) as connection:
        known = rows.known_paths(connection) | {f"uploads/{one}" for one in connection.scalars(select(uploads.c.id))}
    gone = {name for name in lost if name not in known}
    _forget(copy, gone)
    return tuple(name for name in lost if name not in gone)


def _forget(copy: Engine, gone: Collection[str]) -> None:
    if not gone:
        return
    with writing(copy) as connection:
        hashes = select(files.c.sha256).where(files.c.path.in_(gone))
        connection.execute(delete(stems).where(stems.c.file.in_(hashes)))
        connection.execute(update(tracks).where(tracks.c.midi.in_(hashes)).values(midi=None))
        connection.execute(delete(tracks).where(tracks.c.audio.in_(hashes)))
        connection.execute(delete(uploads).where(uploads.c.id.in_([name.rpartition("/")[2] for name in gone])))
        rows.forget_unused(connection)


def _finished(copy: Engine, *, private: bool) -> Path:
    """The copy as one file; unless they are to stay, no byte of what is `private` is left in it."""
    if not private:
        with writing(copy) as connection:
            for table in _PRIVATE:
                connection.execute(delete(table))
    copy.dispose()
    path = _file_of(copy)
    with translated(), closing(sqlite3.connect(path)) as plain:
        # What was deleted stays in the file until it is written anew.
        plain.execute("VACUUM")
        plain.execute("PRAGMA journal_mode=DELETE")
    return path


def _refuse_full(library: Library) -> None:
    counts = {table.name: _count(library.database, table) for table in (tracks, jobs, uploads, tokens)}
    held = [f"{count} {name}" for name, count in counts.items() if count]
    if held:
        raise errors.InvalidParameter(
            f"the library in {library.folder} is not empty: it has {', '.join(held)}",
            hint="Restore into another folder: `SOTTO_LIBRARY__DIRECTORY=FOLDER sotto library restore FILE`.",
        )


def _count(database: Engine, table: Table) -> int:
    with reading(database) as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def _check_space(path: Path, scratch: Path) -> None:
    with readable(path):
        needed = path.stat().st_size
    free = shutil.disk_usage(scratch).free
    if free < needed:
        raise errors.DiskFull(f"the backup holds {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free")


def _unpacked(path: Path, scratch: Path, place: Path, progress: OnProgress) -> Contents:
    """Write an archive's files below `scratch`, the database into `place`; every one checked against the list, which is returned."""
    found: dict[str, Held] = {}
    contents: Contents | None = None
    with readable(path):
        stream, size = path.open("rb"), max(1, path.stat().st_size)
    with stream, _told(path.name), _open(stream) as archive:
        for member in archive:
            _check_member(member, {*found} if contents is None else {LIST})
            progress(Progress("restore", 98 * min(1.0, stream.tell() / size)))
            source = archive.extractfile(member)
            assert source is not None, "it is a plain file"
            if member.name == LIST:
                contents = Contents.model_validate_json(source.read())
            else:
                target = place if member.name == NAME else scratch
                found[member.name] = _written(source.read, target / member.name)
    if contents is None:
        raise _broken(path.name, "its end is missing")
    _check_list(contents, found, path.name)
    return contents


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Whatever is said of bytes that are no archive, or no list, becomes one error."""
    try:
        yield
    except (tarfile.TarError, zlib.error, EOFError, ValueError) as error:
        raise _broken(name, "it cannot be read to its end") from error


def _broken(name: str, reason: str) -> errors.CorruptMedia:
    return errors.CorruptMedia(
        f"{name} is no whole backup: {reason}; nothing was restored", hint="Copy it again, or take another backup."
    )


def _open(stream: io.BufferedReader) -> tarfile.TarFile:
    """The archive from end to end, never wound back; `extract` is not used, so no name, link or owner in it is followed."""
    packed = stream.peek(2)[:2] == _GZIP
    return tarfile.open(fileobj=stream, mode="r|gz" if packed else "r|")


def _check_member(member: tarfile.TarInfo, seen: Collection[str]) -> None:
    plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()
    ours = member.name in (NAME, LIST) or _OURS.fullmatch(member.name) is not None
    if not (plain and ours) or LIST in seen or member.name in seen:
        raise tarfile.ReadError(f"{member.name!r} does not belong in a backup")
    if member.name == LIST and member.size > _LONGEST_LIST:
        raise tarfile.ReadError("the list is too long")


def _written(read: Callable[[int], bytes], target: Path) -> Held:
    """What was written to a new file, which is on disk when this returns."""
    digest, size = hashlib.sha256(), 0
    with draft.writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            while block := read(_BLOCK):
                digest.update(block)
                size += len(block)
                file.write(block)
    return Held(bytes=size, sha256=digest.hexdigest())


def _check_list(contents: Contents, found: dict[str, Held], name: str) -> None:
    if NAME not in found:
        raise _broken(name, "it has no database")
    unlike = sorted(path for path in {*contents.files, *found} if contents.files.get(path) != found.get(path))
    unlike += sorted(path for path, held in found.items() if path.startswith("audio/") and held.sha256 not in path)
    if unlike:
        raise _broken(name, f"{unlike[0]} is not as it was put in ({len(unlike)} in all)")


def _check_copy(copy: Engine, contents: Contents, name: str) -> None:
    """Whether a restored database is sound and names files of the archive alone, or those known to be lost."""
    wrong = flaws(copy)
    if wrong:
        raise _broken(name, wrong[0])
    there = {path: held.sha256 for path, held in contents.files.items()}
    there |= dict.fromkeys((path for path in contents.left_out if _OURS.fullmatch(path)), "")
    with reading(copy) as connection:
        named = [(row.path, row.sha256) for row in connection.execute(select(files))]
        named += [(f"uploads/{row.id}", row.sha256) for row in connection.execute(select(uploads))]
        ids = connection.scalars(select(jobs.c.id)).all()
    strange = [path for path, sha256 in named if there.get(path) not in ("", sha256)]
    strange += [f"jobs/{job}" for job in ids if not _OURS.fullmatch(f"jobs/{job}/file")]
    if strange:
        raise _broken(name, f"its database names {strange[0]}, which it does not hold")


def _place(contents: Contents, scratch: Path, folder: Path) -> None:
    store = FileStore(folder)
    for path, held in contents.files.items():
        if path != NAME:
            store.place(Staged(scratch / path, held.sha256, held.bytes, path), path)


def _fill(database: Engine, made: Path) -> None:
    """Put a restored database in the place of an empty one, in a single transaction that other processes see whole or not at all."""
    deadline = time.monotonic() + BUSY_SECONDS

    def waited(status: int, _remaining: int, _total: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > deadline:
            raise errors.LibraryBusy("another process holds the library's database", hint="Stop it, and try again.")

    with translated(), closing(sqlite3.connect(made)) as source, closing(sqlite3.connect(_file_of(database))) as target:
        source.backup(target, progress=waited)

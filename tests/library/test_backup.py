"""A backup: taken while the library is used, the same library when it is restored, and refused when a byte of it is not as it was."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import shutil
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import insert
from tests.library.conftest import MakeTrack

from sottovoce import errors
from sottovoce.database.connect import writing
from sottovoce.database.schema import jobs, uploads
from sottovoce.library.backup import LIST, back_up, restore
from sottovoce.library.files import FileStore
from sottovoce.library.health import flaws
from sottovoce.library.tokens import Tokens
from sottovoce.library.tracks import Library
from sottovoce.progress import Progress
from sottovoce.recipe import Recipe

JOB = "0123456789abcdef"
UPLOAD = "ab" * 16


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an empty library, to be copied: bringing one to the newest schema takes seconds."""
    folder = tmp_path_factory.mktemp("prepared")
    Library.open(folder).close()
    return folder


@pytest.fixture
def filled(prepared: Path, tmp_path: Path, new: MakeTrack, recipe: Recipe) -> Iterator[Library]:
    """A library with a bit of everything."""
    library = Library.open(shutil.copytree(prepared, tmp_path / "library"))
    track = library.add(
        new(b"first", stems={"drums": b"drums"}, midi=b"notes", recipe=recipe, tags=("calm",), words="rain on glass")
    )
    library.rate(track.id, 4)
    library.add(new(b"second" * 1000, seed=8, title="Été à la mer"))
    yield library
    library.close()


@pytest.fixture
def elsewhere(prepared: Path, tmp_path: Path) -> Iterator[Library]:
    """An empty library on another disk, so to say."""
    library = Library.open(shutil.copytree(prepared, tmp_path / "elsewhere"))
    yield library
    library.close()


@pytest.fixture
def scratch(elsewhere: Library) -> Path:
    """Where files lie that are being checked."""
    folder = elsewhere.folder / "scratch"
    folder.mkdir()
    return folder


def known(library: Library) -> list[dict[str, object]]:
    """Everything that is known of the tracks, their files by content."""
    return [
        track.as_dict()
        | {"audio": track.audio.read_bytes(), "midi": track.midi and track.midi.read_bytes(), "recipe": track.recipe}
        | {"stems": {stem: path.read_bytes() for stem, path in library.stems(track.id).items()}}
        for track in library.search(limit=500).tracks
    ]


def entries(path: Path) -> list[str]:
    with tarfile.open(path) as archive:
        return archive.getnames()


def rewritten(path: Path, change: Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes] | None]) -> Path:
    """The archive with every member as `change` returns it; None leaves it out."""
    target = path.with_name(f"rewritten-{path.name}")
    with tarfile.open(path) as source, tarfile.open(target, "w:") as made:
        for member in source:
            stream = source.extractfile(member)
            changed = change(member, stream.read() if stream else b"")
            if changed is not None:
                info, data = changed
                info.size = len(data)
                made.addfile(info, io.BytesIO(data))
    return target


def is_empty(library: Library) -> bool:
    """Whether nothing of a restore is seen: no track, no file."""
    return library.search().tracks == () and not [path for path in library.folder.glob("audio/**/*") if path.is_file()]


@pytest.mark.parametrize("name", ["library.tar", "library.tar.gz", "library.tgz"])
def test_what_is_restored_is_what_was_backed_up(
    filled: Library, elsewhere: Library, scratch: Path, tmp_path: Path, name: str
) -> None:
    held = back_up(filled, tmp_path / name)
    assert (held.tracks, held.left_out, held.secrets) == (2, (), False)
    assert restore(tmp_path / name, elsewhere, scratch) == held
    assert known(elsewhere) == known(filled)
    assert [track.title for track in elsewhere.search(text="glass").tracks] == ["Night"], "words are found"
    assert elsewhere.damaged() == elsewhere.sweep() == flaws(elsewhere.database) == ()


def test_a_backup_is_private_and_leaves_nothing_beside_it(filled: Library, tmp_path: Path) -> None:
    place = tmp_path / "backups"
    place.mkdir()
    back_up(filled, place / "library.tar")
    assert [path.name for path in place.iterdir()] == ["library.tar"]
    assert (place / "library.tar").stat().st_mode & 0o777 == 0o600


def test_a_backup_goes_on_while_others_write(
    filled: Library, elsewhere: Library, scratch: Path, new: MakeTrack, tmp_path: Path
) -> None:
    before = known(filled)
    other = Library.open(filled.folder)

    def write(_progress: Progress) -> None:
        other.add(new(b"in between", seed=99))

    back_up(filled, tmp_path / "library.tar", progress=write)
    other.close()
    restore(tmp_path / "library.tar", elsewhere, scratch)
    assert known(elsewhere) == before
    assert elsewhere.damaged() == ()


def test_a_track_removed_in_the_meantime_is_in_the_backup_whole_or_not_at_all(
    filled: Library, elsewhere: Library, scratch: Path, tmp_path: Path
) -> None:
    removed, kept = filled.search(sort="oldest").tracks

    def remove(progress: Progress) -> None:
        if progress.step == 0:
            filled.remove(removed.id)

    held = back_up(filled, tmp_path / "library.tar", progress=remove)
    assert held.left_out == ()
    restore(tmp_path / "library.tar", elsewhere, scratch)
    assert [track.id for track in elsewhere.search().tracks] == [kept.id]
    assert elsewhere.damaged() == ()


def test_a_damaged_file_is_named_and_the_rest_is_saved(
    filled: Library, elsewhere: Library, scratch: Path, tmp_path: Path
) -> None:
    track = filled.search(sort="oldest").tracks[0]
    track.audio.write_bytes(b"frist")
    held = back_up(filled, tmp_path / "library.tar")
    assert held.left_out == (track.audio.relative_to(filled.folder).as_posix(),)
    restore(tmp_path / "library.tar", elsewhere, scratch)
    assert len(elsewhere.search().tracks) == 2
    assert elsewhere.damaged() == held.left_out


def test_jobs_keep_their_files_their_uploads_and_who_was_at_them(
    filled: Library, elsewhere: Library, scratch: Path, tmp_path: Path
) -> None:
    come = {"id": UPLOAD, "owner": "", "name": "a.wav", "kind": "audio", "seconds": 1.0, "bytes": 6}
    file_job(filled)
    with writing(filled.database) as connection:
        connection.execute(insert(uploads).values(**come, sha256=_sha256(b"upload"), created=""))
    for path, data in {
        f"uploads/{UPLOAD}": b"upload",
        f"jobs/{JOB}/vocals.flac": b"v",
        f"jobs/{JOB}/.memo.json": b"{}",
        f"jobs/{JOB}/.log": b"said",
        "workers/a-0.lock": b"",
    }.items():
        (filled.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (filled.folder / path).write_bytes(data)
    back_up(filled, tmp_path / "library.tar")
    restore(tmp_path / "library.tar", elsewhere, scratch)
    assert (elsewhere.folder / "uploads" / UPLOAD).read_bytes() == b"upload"
    assert (elsewhere.folder / "jobs" / JOB / "vocals.flac").read_bytes() == b"v"
    assert (elsewhere.folder / "jobs" / JOB / ".memo.json").read_bytes() == b"{}"
    assert not (elsewhere.folder / "jobs" / JOB / ".log").exists()
    assert (elsewhere.folder / "workers" / "a-0.lock").exists()


def file_job(library: Library) -> None:
    job = {"id": JOB, "owner": "", "kind": "separate", "lane": "batch", "state": "running", "request": "{}"}
    with writing(library.database) as connection:
        connection.execute(insert(jobs).values(**job, digest="", percent=5.0, attempt=1, created=""))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_caches_and_scratch_stay_out(filled: Library, tmp_path: Path) -> None:
    for name in ("cache/formats/a.mp3", "scratch/b/take.flac", "speed.json", "server.lock", "models/m.bin"):
        (filled.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (filled.folder / name).write_text("x")
    back_up(filled, tmp_path / "library.tar")
    names = entries(tmp_path / "library.tar")
    assert names[-2:] == ["sotto.db", LIST]
    assert all(name.startswith("audio/") for name in names[:-2])


def test_who_may_come_in_is_left_out_unless_asked_for(
    filled: Library, elsewhere: Library, scratch: Path, tmp_path: Path
) -> None:
    tokens = Tokens(filled.database)
    token, secret = tokens.create("anna", admin=True)
    tokens.open_session(token)
    hashed = _sha256(secret.encode()).encode()
    back_up(filled, tmp_path / "without.tar")
    assert hashed not in (tmp_path / "without.tar").read_bytes(), "not even in pages that are free"
    assert tokens.verify(secret), "the library itself keeps them"
    held = back_up(filled, tmp_path / "with.tar", secrets=True)
    assert held.secrets
    restore(tmp_path / "with.tar", elsewhere, scratch)
    assert Tokens(elsewhere.database).verify(secret)


def test_only_an_empty_library_is_filled(filled: Library, elsewhere: Library, scratch: Path, tmp_path: Path) -> None:
    back_up(filled, tmp_path / "library.tar")
    with pytest.raises(errors.InvalidParameter, match="not empty: it has 2 tracks"):
        restore(tmp_path / "library.tar", filled, scratch)
    Tokens(elsewhere.database).create("anna")
    with pytest.raises(errors.InvalidParameter, match="1 tokens"):
        restore(tmp_path / "library.tar", elsewhere, scratch)


def test_another_process_sees_the_restored_library_at_once(
    filled: Library, elsewhere: Library, scratch: Path, tmp_path: Path
) -> None:
    back_up(filled, tmp_path / "library.tar")
    other = Library.open(elsewhere.folder)
    assert other.search().tracks == ()
    restore(tmp_path / "library.tar", elsewhere, scratch)
    assert known(other) == known(filled)
    other.close()


def test_an_older_library_is_brought_to_the_newest_schema_and_a_newer_one_refused(
    filled: Library, elsewhere: Library, scratch: Path, tmp_path: Path
) -> None:
    back_up(filled, tmp_path / "library.tar")

    def newer(info: tarfile.TarInfo, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
        if info.name == "sotto.db":
            data = _changed(data, tmp_path, "UPDATE alembic_version SET version_num = '9999'")
        return info, data

    with pytest.raises(errors.LibraryInUse, match="newer"):
        restore(relisted(rewritten(tmp_path / "library.tar", newer)), elsewhere, scratch)
    assert is_empty(elsewhere)


def _changed(database: bytes, folder: Path, *statements: str) -> bytes:
    path = folder / "changed.db"
    path.write_bytes(database)
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return path.read_bytes()


def relisted(path: Path) -> Path:
    """The archive with a list that fits what is in it, as one would write who means harm."""
    with tarfile.open(path) as archive:
        held = {
            member.name: {"bytes": member.size, "sha256": _sha256(data)}
            for member in archive
            if member.isfile() and member.name != LIST
            for data in [archive.extractfile(member).read()]  # type: ignore[union-attr]
        }

    def change(info: tarfile.TarInfo, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
        return info, json.dumps(json.loads(data) | {"files": held}).encode() if info.name == LIST else data

    return rewritten(path, change)


@pytest.mark.long
@pytest.mark.parametrize("compressed", [False, True])
def test_a_changed_byte_or_a_cut_is_never_restored(
    filled: Library, prepared: Path, tmp_path: Path, compressed: bool
) -> None:
    path = tmp_path / ("library.tar.gz" if compressed else "library.tar")
    back_up(filled, path)
    whole, wanted, chance = path.read_bytes(), known(filled), random.Random(5)
    bad, library = tmp_path / "bad.tar", Library.open(shutil.copytree(prepared, tmp_path / "again"))
    for index in range(24):
        place = chance.randrange(len(whole))
        flipped = whole[:place] + bytes([whole[place] ^ (1 << chance.randrange(8))]) + whole[place + 1 :]
        bad.write_bytes(whole[:place] if index % 2 else flipped)
        (scratch := library.folder / f"scratch{index}").mkdir()
        try:
            restore(bad, library, scratch)
        except errors.CorruptMedia:
            assert is_empty(library)
            continue
        assert known(library) == wanted, "a bit that nothing is read from, such as filling"
        library.close()
        library = Library.open(shutil.copytree(prepared, tmp_path / f"again{index}"))
    library.close()


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


HOSTILE = [
    _member("../escaped"),
    _member("/tmp/escaped"),
    _member("audio/../../escaped"),
    _member("audio/ab/escaped.flac"),
    _member(f"jobs/{JOB}/.."),
    _member(f"jobs/{JOB}/a/b"),
    _member("workers/../a.lock"),
    _member("sotto.db-wal"),
    _member("audio/ab", tarfile.DIRTYPE),
    _member(f"uploads/{UPLOAD}", tarfile.SYMTYPE, "/etc/passwd"),
    _member(f"uploads/{UPLOAD}", tarfile.LNKTYPE, "sotto.db"),
    _member(f"uploads/{UPLOAD}", tarfile.FIFOTYPE),
    _member(f"uploads/{UPLOAD}", tarfile.CHRTYPE),
]


@pytest.mark.parametrize("member", HOSTILE, ids=lambda member: f"{member.name}, {member.type!r}")
def test_what_does_not_belong_in_a_backup_is_never_written(
    filled: Library, elsewhere: Library, scratch: Path, tmp_path: Path, member: tarfile.TarInfo
) -> None:
    back_up(filled, tmp_path / "library.tar")
    with tarfile.open(tmp_path / "library.tar") as source, tarfile.open(tmp_path / "bad.tar", "w:") as made:
        made.addfile(member, io.BytesIO())
        for one in source:
            made.addfile(one, source.extractfile(one))
    before = {path for path in tmp_path.rglob("*") if scratch not in path.parents}
    with pytest.raises(errors.CorruptMedia):
        restore(tmp_path / "bad.tar", elsewhere, scratch)
    assert {path for path in tmp_path.rglob("*") if scratch not in path.parents} == before
    assert is_empty(elsewhere)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE files SET path = '../../secret' WHERE bytes = 6000",
        f"UPDATE files SET path = 'audio/ab/{'ab' * 32}.flac' WHERE bytes = 6000",
        f"INSERT INTO uploads VALUES ('../../x', '', 'x', '{'0' * 64}', 1, 'audio', 1, NULL, NULL, '')",
        "UPDATE jobs SET id = '../..'",
        "DELETE FROM files",
    ],
)
def test_a_database_that_names_what_is_not_in_the_archive_is_refused(
    filled: Library, elsewhere: Library, scratch: Path, tmp_path: Path, statement: str
) -> None:
    file_job(filled)
    back_up(filled, tmp_path / "library.tar")

    def change(info: tarfile.TarInfo, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
        return info, _changed(data, tmp_path, "PRAGMA foreign_keys=OFF", statement) if info.name == "sotto.db" else data

    with pytest.raises(errors.CorruptMedia):
        restore(relisted(rewritten(tmp_path / "library.tar", change)), elsewhere, scratch)
    assert is_empty(elsewhere)


def test_an_archive_of_something_else_is_refused(elsewhere: Library, scratch: Path, tmp_path: Path) -> None:
    (tmp_path / "music.tar").write_bytes(b"RIFF" * 1000)
    (tmp_path / "empty.tar").touch()
    (tmp_path / "text.tar.gz").write_bytes(gzip.compress(b"no archive"))
    for name in ("music.tar", "empty.tar", "text.tar.gz"):
        with pytest.raises(errors.CorruptMedia):
            restore(tmp_path / name, elsewhere, scratch)
    with pytest.raises(errors.InputUnreadable):
        restore(tmp_path / "absent.tar", elsewhere, scratch)


def test_a_restore_that_dies_while_files_are_placed_shows_nothing_and_can_be_done_again(
    filled: Library, elsewhere: Library, scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(filled, tmp_path / "library.tar")
    with monkeypatch.context() as patched:
        patched.setattr(FileStore, "place", _die)
        with pytest.raises(KeyboardInterrupt):
            restore(tmp_path / "library.tar", elsewhere, scratch)
    assert is_empty(elsewhere)
    again = scratch / "again"
    again.mkdir()
    restore(tmp_path / "library.tar", elsewhere, again)
    assert known(elsewhere) == known(filled)


def _die(*_arguments: object) -> None:
    raise KeyboardInterrupt


def test_a_backup_that_is_stopped_leaves_nothing(filled: Library, tmp_path: Path) -> None:
    place = tmp_path / "backups"
    place.mkdir()

    def stop(_progress: Progress) -> None:
        raise errors.Cancelled("stopped")

    with pytest.raises(errors.Cancelled):
        back_up(filled, place / "library.tar", progress=stop)
    assert list(place.iterdir()) == []


def test_another_ending_is_refused_before_any_work(filled: Library, tmp_path: Path) -> None:
    with pytest.raises(errors.UnsupportedFormat, match=r"library\.zip"):
        back_up(filled, tmp_path / "library.zip")

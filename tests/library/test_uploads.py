"""An upload is whole or not there, belongs to who sent it, and goes when nothing needs it any more."""

from __future__ import annotations

import hashlib
import os
import time
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from sqlalchemy import update
from tests.server.conftest import wav

from sottovoce import errors
from sottovoce.database.connect import writing
from sottovoce.database.schema import uploads
from sottovoce.library.tracks import Library
from sottovoce.library.uploads import Limit, Uploads
from sottovoce.media.probe import probe

WIDE = Limit(10_000_000, 600)


@pytest.fixture
def kept(library: Library) -> Uploads:
    return Uploads(library.database, library.folder / "uploads")


@pytest.fixture
def quick_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads are looked at in this process: a child takes seconds, and only matters to files that break it."""
    monkeypatch.setattr("sottovoce.library.uploads.probe_in_child", lambda path, _limits: probe(path))


def files(kept: Uploads) -> set[str]:
    return {path.name for path in kept.folder.glob("*")} if kept.folder.exists() else set()


def age(library: Library, kept: Uploads, upload: str, hours: float) -> None:
    then = datetime.now(UTC) - timedelta(hours=hours)
    with writing(library.database) as connection:
        connection.execute(
            update(uploads).where(uploads.c.id == upload).values(created=then.isoformat(timespec="microseconds"))
        )
    os.utime(kept.folder / upload, (then.timestamp(), then.timestamp()))


def test_an_upload_is_measured_hashed_and_kept_under_its_id(kept: Uploads) -> None:
    data = wav(1.5)
    upload = kept.add(BytesIO(data), "rain.wav", WIDE, owner="anna")
    assert (upload.name, upload.bytes, upload.kind, upload.rate, upload.channels) == (
        "rain.wav",
        len(data),
        "audio",
        8000,
        1,
    )
    assert upload.seconds == pytest.approx(1.5)
    assert upload.sha256 == hashlib.sha256(data).hexdigest()
    assert len(upload.id) == 32
    assert kept.get(upload.id) == upload
    assert kept.path(upload.id, "anna").read_bytes() == data
    assert files(kept) == {upload.id}
    assert "owner" not in upload.as_dict()


@pytest.mark.usefixtures("quick_probe")
def test_the_same_bytes_twice_are_two_uploads(kept: Uploads) -> None:
    first, second = (kept.add(BytesIO(wav()), "rain.wav", WIDE) for _ in range(2))
    assert first.id != second.id
    assert first.sha256 == second.sha256


@pytest.mark.usefixtures("quick_probe")
def test_to_others_an_upload_is_not_there(kept: Uploads) -> None:
    upload = kept.add(BytesIO(wav()), "rain.wav", WIDE, owner="anna")
    for ask in (kept.get, kept.path, kept.remove):
        with pytest.raises(errors.UploadNotFound):
            ask(upload.id, "bert")
    assert kept.get(upload.id, "anna") == kept.get(upload.id) == upload
    kept.remove(upload.id, "anna")
    assert files(kept) == set()
    with pytest.raises(errors.UploadNotFound):
        kept.get(upload.id)


@pytest.mark.parametrize("name", ["", "..", "../sotto.db", "/etc/passwd", "\0", "x" * 1000])
def test_an_id_is_never_a_path(kept: Uploads, name: str) -> None:
    with pytest.raises(errors.UploadNotFound):
        kept.path(name)


class Endless:
    """A sender that never stops; how much it has sent."""

    sent = 0

    def read(self, size: int, /) -> bytes:
        self.sent += size
        return b"\0" * size


def test_too_many_bytes_are_refused_while_they_arrive(kept: Uploads) -> None:
    sender = Endless()
    with pytest.raises(errors.FileTooLarge, match="1 MB"):
        kept.add(sender, "zeros", Limit(1_000_000, 600))
    assert sender.sent < 2_000_000
    assert files(kept) == set()


def test_exactly_the_limit_is_taken(kept: Uploads) -> None:
    data = wav()
    assert kept.add(BytesIO(data), "rain.wav", Limit(len(data), 600)).bytes == len(data)
    with pytest.raises(errors.FileTooLarge):
        kept.add(BytesIO(data), "rain.wav", Limit(len(data) - 1, 600))


def test_too_long_a_sound_is_refused(kept: Uploads) -> None:
    with pytest.raises(errors.AudioTooLong, match=r"rain\.wav"):
        kept.add(BytesIO(wav(3)), "rain.wav", Limit(10_000_000, 2))
    assert files(kept) == set()


@pytest.mark.parametrize("data", [b"", b"words", b"\0" * 100_000, b"RIFF\xff\xff\xff\xffWAVEfmt "])
def test_what_is_no_media_is_refused_by_the_name_its_sender_knows(kept: Uploads, data: bytes) -> None:
    with pytest.raises(errors.InputError) as refused:
        kept.add(BytesIO(data), "notes.txt", WIDE)
    assert ".part" not in refused.value.message
    assert str(kept.folder) not in refused.value.message
    assert files(kept) == set()


class Broken:
    """A sender whose line breaks."""

    def __init__(self) -> None:
        self.left = [wav()[:1000]]

    def read(self, _size: int, /) -> bytes:
        if self.left:
            return self.left.pop()
        raise errors.InvalidParameter("broke off")


def test_a_broken_line_leaves_nothing(kept: Uploads) -> None:
    with pytest.raises(errors.InvalidParameter):
        kept.add(Broken(), "rain.wav", WIDE)
    assert files(kept) == set()


@pytest.mark.usefixtures("quick_probe")
@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Music\\rain.wav", "rain.wav"),
        ("", "upload"),
        ("/", "upload"),
        ("a\0b\nc.wav", "a b c.wav"),
        ("x" * 500, "x" * 200),
        ("\ud800.wav", "?.wav"),
    ],
)
def test_names_are_for_showing_only(kept: Uploads, given: str, shown: str) -> None:
    upload = kept.add(BytesIO(wav()), given, WIDE)
    assert upload.name == shown
    assert files(kept) == {upload.id}


@pytest.mark.usefixtures("quick_probe")
def test_old_uploads_go_unless_they_are_needed(kept: Uploads, library: Library) -> None:
    old, needed, fresh = (kept.add(BytesIO(wav()), "rain.wav", WIDE) for _ in range(3))
    for upload in (old, needed):
        age(library, kept, upload.id, 1.1)
    assert kept.sweep({needed.id}) == 1
    assert files(kept) == {needed.id, fresh.id}
    assert kept.sweep() == 1
    assert files(kept) == {fresh.id}


def test_what_a_killed_process_left_goes_after_an_hour(kept: Uploads) -> None:
    kept.folder.mkdir(parents=True)
    for name, hours in ((".0123.part", 2), (".4567.part", 0)):
        path = kept.folder / name
        path.write_bytes(b"half")
        os.utime(path, (time.time() - hours * 3600,) * 2)
    kept.sweep()
    assert files(kept) == {".4567.part"}


def test_a_video_is_known_for_one(kept: Uploads, make_video: object, tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip.mp4", 1.0)  # type: ignore[operator]
    with path.open("rb") as file:
        upload = kept.add(file, "clip.mp4", WIDE)
    assert (upload.kind, upload.rate, upload.channels) == ("video", None, None)
    assert upload.seconds == pytest.approx(1.0, abs=0.1)

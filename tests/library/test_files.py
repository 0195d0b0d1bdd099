"""Files are named by their bytes, put in place whole, and told apart from what nobody names."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from sottovoce import errors
from sottovoce.library.files import FileStore


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "library")


def source(tmp_path: Path, name: str = "take.FLAC", content: bytes = b"sound") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_a_staged_file_says_what_it_holds(store: FileStore, tmp_path: Path) -> None:
    staged = store.stage(source(tmp_path))
    sha256 = hashlib.sha256(b"sound").hexdigest()
    assert (staged.sha256, staged.bytes, staged.path) == (sha256, 5, f"audio/{sha256[:2]}/{sha256}.flac")


def test_placing_moves_or_keeps_the_source(store: FileStore, tmp_path: Path) -> None:
    moved, kept = source(tmp_path, "moved.wav", b"moved"), source(tmp_path, "kept.wav", b"kept")
    for staged in (store.stage(moved), store.stage(kept, keep=True)):
        store.place(staged, staged.path)
        assert store.intact(staged.path, staged.sha256)
    assert (moved.exists(), kept.exists()) == (False, True)
    assert list(store.leftovers(set())) == sorted(
        path.relative_to(store.folder).as_posix() for path in (store.folder / "audio").glob("??/*")
    )


def test_a_file_from_another_file_system_is_copied(store: FileStore, tmp_path: Path) -> None:
    shared = Path("/dev/shm")
    store.stage(source(tmp_path))
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system at /dev/shm")
    far = source(shared, f"sotto-test-{os.getpid()}.wav", b"far")
    try:
        staged = store.stage(far)
        assert staged.source != far
        store.place(staged, staged.path)
        assert store.intact(staged.path, staged.sha256)
    finally:
        far.unlink()


@pytest.mark.parametrize("name", ["x.", "x.a b", "x.mp3; rm -rf ~", "x.é", "x." + "y" * 50, "noending"])
def test_odd_endings_do_not_reach_the_library(store: FileStore, tmp_path: Path, name: str) -> None:
    staged = store.stage(source(tmp_path, name))
    assert staged.path == f"audio/{staged.sha256[:2]}/{staged.sha256}"


def test_damage_is_noticed(store: FileStore, tmp_path: Path) -> None:
    staged = store.stage(source(tmp_path))
    store.place(staged, staged.path)
    store.locate(staged.path).write_bytes(b"souNd")
    assert not store.intact(staged.path, staged.sha256)
    assert not store.intact("audio/aa/absent", "aa")


def test_a_copy_that_was_begun_is_left_over_only_when_it_is_old(store: FileStore, tmp_path: Path) -> None:
    staged = store.stage(source(tmp_path), keep=True)
    assert list(store.leftovers(set())) == []
    os.utime(staged.source, (time.time() - 7200,) * 2)
    assert list(store.leftovers(set())) == [staged.source.relative_to(store.folder).as_posix()]
    store.drop_copy(staged)
    assert list(store.leftovers(set())) == []


@pytest.mark.parametrize("keep", [False, True])
def test_sources_that_cannot_be_read_are_said_to_be(store: FileStore, tmp_path: Path, keep: bool) -> None:
    for place in (tmp_path / "absent.wav", tmp_path, tmp_path / "take.FLAC" / "below"):
        source(tmp_path)
        with pytest.raises(errors.InputUnreadable, match=place.name):
            store.stage(place, keep=keep)
    assert list((store.folder / "audio").rglob("*.*")) == []


def test_a_library_that_cannot_be_written_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "library").write_text("a file in the way")
    with pytest.raises(errors.OutputNotWritable):
        FileStore(tmp_path / "library").stage(source(tmp_path))

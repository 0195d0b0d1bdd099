"""The cache: kept whole or not at all, checked when read, one at a time for each result, gone when unused."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sottovoce import errors
from sottovoce.library.cache import KEPT_SECONDS, Cache
from sottovoce.progress import Progress

KEY, OTHER = "a" * 64, "b" * 64
ABOUT = {"stems": ["vocals"], "gain_db": -1.5}


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def result(folder: Path, content: bytes = b"sound" * 1000) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "vocals.flac"
    path.write_bytes(content)
    return path


def kept(cache: Cache, folder: Path, key: str = KEY) -> Path:
    """Keep a result; its entry on disk."""
    with cache.slot(key) as slot:
        slot.keep("flac", [result(folder)], ABOUT)
        assert slot.notes == []
    return cache.folder / f"{key}.flac"


def names(cache: Cache) -> set[str]:
    return {path.name for path in cache.folder.iterdir()}


def test_what_is_kept_comes_back_as_a_copy(cache: Cache, tmp_path: Path) -> None:
    entry = kept(cache, tmp_path / "made")
    for folder in (tmp_path / "one", tmp_path / "two"):
        with cache.slot(KEY) as slot:
            assert slot.fetch("flac", folder) == ABOUT
            assert slot.fetch("wav", folder) is None
        copy = folder / "vocals.flac"
        assert copy.read_bytes() == b"sound" * 1000
        assert not copy.samefile(entry / "vocals.flac")
        copy.write_bytes(b"changed by its owner")
    with cache.slot(OTHER) as slot:
        assert slot.fetch("flac", tmp_path / "none") is None
    assert names(cache) == {entry.name}, "no lock is left"


@pytest.mark.parametrize("harm", ["flipped", "cut", "missing", "manifest", "no manifest"])
def test_a_damaged_entry_is_removed_and_said(cache: Cache, tmp_path: Path, harm: str) -> None:
    entry = kept(cache, tmp_path / "made")
    path = entry / ("manifest.json" if "manifest" in harm else "vocals.flac")
    if harm in ("missing", "no manifest"):
        path.unlink()
    else:
        path.write_bytes(b"S" + path.read_bytes()[1:] if harm == "flipped" else path.read_bytes()[:-7])
    with cache.slot(KEY) as slot:
        assert slot.fetch("flac", tmp_path / "out") is None
        assert "damaged" in slot.notes[0]
        assert not (tmp_path / "out").exists()
        slot.keep("flac", [result(tmp_path / "made")], ABOUT)
    with cache.slot(KEY) as slot:
        assert slot.fetch("flac", tmp_path / "out") == ABOUT


def test_what_was_not_used_for_three_days_goes(cache: Cache, tmp_path: Path) -> None:
    entries = [kept(cache, tmp_path / "made", key) for key in (KEY, OTHER)]
    for entry in entries:
        age(entry, KEPT_SECONDS - 60)
    assert cache.sweep() == 0
    with cache.slot(KEY) as slot:
        assert slot.fetch("flac", tmp_path / "out")
    age(entries[1], KEPT_SECONDS + 60)
    assert cache.sweep() == 1
    assert names(cache) == {entries[0].name}, "the one that was used stays"


def age(entry: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(entry / "manifest.json", (then, then))


def test_a_sweep_leaves_what_is_in_use_and_what_is_not_its_own(cache: Cache, tmp_path: Path) -> None:
    entry = kept(cache, tmp_path / "made")
    age(entry, KEPT_SECONDS + 60)
    (cache.folder / "notes of mine").mkdir()
    with cache.slot(KEY) as slot:
        assert cache.sweep() == 0
        assert slot.fetch("flac", tmp_path / "out") == ABOUT
    assert names(cache) == {entry.name, "notes of mine"}
    assert Cache(tmp_path / "nowhere").sweep() == 0


def test_no_room_is_noted_and_nothing_is_left(cache: Cache, tmp_path: Path) -> None:
    large = result(tmp_path / "made", bytes(300_000))
    with cache.slot(KEY) as slot, largest_file(100_000):
        slot.keep("flac", [large], ABOUT)
    assert "no space" in slot.notes[0]
    assert names(cache) == set()
    assert large.stat().st_size == 300_000


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_second_waits_and_finds_the_work_done(cache: Cache, tmp_path: Path) -> None:
    waiting, found = threading.Event(), []

    def second() -> None:
        with cache.slot(KEY, lambda _: waiting.set()) as slot:
            found.append(slot.fetch("flac", tmp_path / "second"))

    thread = threading.Thread(target=second)
    with cache.slot(KEY) as slot:
        thread.start()
        assert waiting.wait(60)
        slot.keep("flac", [result(tmp_path / "made")], ABOUT)
    thread.join()
    assert found == [ABOUT]


def test_who_waits_can_be_stopped(cache: Cache) -> None:
    def stop(progress: Progress) -> None:
        raise errors.Cancelled(progress.stage)

    with cache.slot(KEY):
        with pytest.raises(errors.Cancelled, match="waiting"), cache.slot(KEY, stop):
            pass
        with cache.slot(OTHER, stop):
            pass


def test_a_process_killed_while_it_keeps_a_result_leaves_nothing(cache: Cache, tmp_path: Path) -> None:
    large = result(tmp_path / "made", bytes(8 << 20))
    code = """
import sys, time
from pathlib import Path
from sottovoce.library.cache import Cache

def hang(progress):
    print(flush=True)
    time.sleep(600)

with Cache(Path(sys.argv[1])).slot(sys.argv[2], hang) as slot:
    slot.keep("flac", [Path(sys.argv[3])], {})
"""
    words = [sys.executable, "-c", code, str(cache.folder), KEY, str(large)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert names(cache) == {f"{KEY}.lock", f"{KEY}.flac.part"}
        assert cache.sweep() == 0
        assert f"{KEY}.flac.part" in names(cache), "it is still at work"
        child.send_signal(signal.SIGKILL)
    with cache.slot(KEY) as slot:
        assert slot.fetch("flac", tmp_path / "out") is None
    cache.sweep()
    assert names(cache) == set()

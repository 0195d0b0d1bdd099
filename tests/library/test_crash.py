"""Processes that add at once, die in the middle, or meet a full disk: nothing is lost, nothing half-written is listed."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.library.conftest import MakeTrack

from sottovoce import errors
from sottovoce.library.tracks import Library

_ADD = """
import os, signal, sys
from pathlib import Path
from sottovoce.library.files import FileStore
from sottovoce.library.track import NewTrack
from sottovoce.library.tracks import Library

folder, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
library = Library.open(folder)
scratch = folder / "scratch" / name
scratch.mkdir(parents=True)

def add(index, content):
    (scratch / "take.flac").write_bytes(content)
    track = NewTrack(title=f"{name} {index}", kind="generate", audio=scratch / "take.flac", seconds=1, rate=48000, channels=2,
                     engine=name, seed=index, tags=("both", name))
    return library.add(track)
"""
_ADD_MANY = _ADD + "for index in range(count): add(index, b'%d' % (index % 5))\n"
_DIE_AFTER = (
    _ADD
    + """
place = FileStore.place
def place_and_die(self, staged, path):
    place(self, staged, path)
    os.kill(os.getpid(), signal.SIGKILL)
add(0, b"safe")
FileStore.place = place_and_die
add(1, b"lost in between")
"""
)


def run(code: str, folder: Path, name: str, count: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder), name, str(count)], stderr=subprocess.PIPE, text=True
    )


def on_disk(library: Library) -> set[Path]:
    return {path for path in (library.folder / "audio").rglob("*") if path.is_file()}


def everything(library: Library) -> set[Path]:
    files, after = set(), None
    while True:
        page = library.search(limit=500, after=after)
        files |= {track.audio for track in page.tracks}
        after = page.after
        if after is None:
            return files


@pytest.mark.long
def test_processes_that_add_at_once_lose_nothing(library: Library) -> None:
    names = ["one", "two", "three"]
    processes = [run(_ADD_MANY, library.folder, name, 15) for name in names]
    assert [process.communicate(timeout=900)[1] for process in processes] == [""] * 3
    titles = {track.title for track in library.search(limit=100, tags=["both"]).tracks}
    assert titles == {f"{name} {index}" for name in names for index in range(15)}
    assert len(on_disk(library)) == 5
    assert library.damaged() == ()
    assert library.sweep() == ()


def test_a_process_killed_between_rename_and_commit_leaves_a_stray_file_only(library: Library) -> None:
    process = run(_DIE_AFTER, library.folder, "dying")
    process.communicate(timeout=900)
    assert process.returncode == -signal.SIGKILL
    assert [track.title for track in library.search().tracks] == ["dying 0"]
    (stray,) = library.sweep()
    assert not (library.folder / stray).exists()
    assert {path.read_bytes() for path in on_disk(library)} == {b"safe"}


@pytest.mark.long
def test_a_process_killed_anywhere_while_adding_leaves_whole_tracks(library: Library) -> None:
    for attempt, wait in enumerate((0.0, 0.005, 0.02)):
        process = run(_ADD_MANY, library.folder, f"run{attempt}", 500)
        while library.search(engine=f"run{attempt}", limit=1).tracks == ():
            assert process.poll() is None
        time.sleep(wait)
        process.kill()
        process.communicate(timeout=900)
    library.sweep()
    assert library.damaged() == ()
    assert on_disk(library) == everything(library)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Library]:
    """A library on a file system with room for 8 MB, of which SQLite's log takes up to 4."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root can mount a small file system; a limit on file sizes is tried beside it")
    library = Library.open(place / "library")
    yield library
    library.close()
    subprocess.run(["umount", str(place)], check=True)


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_copy_that_does_not_fit_is_said_and_leaves_nothing(library: Library, new: MakeTrack) -> None:
    big = replace(new(bytes(900_000)), keep_files=True)
    with file_size_limit(800_000), pytest.raises(errors.DiskFull):
        library.add(big)
    assert on_disk(library) == set()
    assert library.search().tracks == ()
    assert library.add(big).audio.stat().st_size == 900_000


def test_a_full_disk_refuses_what_does_not_fit_and_goes_on_when_there_is_room(
    small_disk: Library, new: MakeTrack
) -> None:
    library, filed = small_disk, []

    def fill() -> None:
        for seed in range(1000):
            filed.append(library.add(new(b"%d" % seed + bytes(200_000), seed=seed)))  # noqa: PERF401 - kept when it fails

    with pytest.raises(errors.DiskFull):
        library.add(replace(new(bytes(9_000_000)), keep_files=True))
    assert on_disk(library) == set()
    with pytest.raises(errors.DiskFull):
        fill()
    assert everything(library) == on_disk(library) == {track.audio for track in filed}
    for track in filed[:5]:
        library.remove(track.id)
    library.add(new(b"room again", seed=2000))
    assert library.damaged() == ()


def test_a_disk_that_fills_up_while_rows_are_written_gives_the_files_back(library: Library, new: MakeTrack) -> None:
    track = library.add(new(b"first", seed=1))
    with file_size_limit((library.folder / "sotto.db-wal").stat().st_size + 100), pytest.raises(errors.StorageError):
        library.add(new(b"second", seed=2, words="x" * 20_000))
    assert on_disk(library) == {track.audio}
    assert library.search().tracks == (track,)
    library.add(new(b"second", seed=2))
    assert library.damaged() == ()

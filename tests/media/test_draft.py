from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from sottovoce.errors import DiskFull, OutputNotWritable
from sottovoce.media.draft import draft, writing


def test_the_name_is_taken_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with draft(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt])
def test_a_failure_changes_nothing(tmp_path: Path, raised: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write() -> None:
        with draft(path) as temporary:
            temporary.write_text("half")
            raise raised

    with pytest.raises(raised):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_relative_name_is_beside_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with draft(Path("a.txt")) as temporary:
        assert temporary.parent == tmp_path
    assert Path("a.txt").exists()


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, DiskFull),
        (errno.EDQUOT, DiskFull),
        (errno.EFBIG, DiskFull),
        (errno.EACCES, OutputNotWritable),
        (errno.ENOENT, OutputNotWritable),
        (errno.EROFS, OutputNotWritable),
    ],
)
def test_the_systems_words_become_ours(number: int, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"a\.wav"), writing(Path("a.wav")):
        raise OSError(number, os.strerror(number))

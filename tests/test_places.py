"""Places on disk: refused before work begins, and results that are moved there whole."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from sottovoce import errors
from sottovoce.places import check_apart, check_folder, check_output, deliver, scratch_folder


@pytest.mark.parametrize("name", ["folder", "none/x.wav", "file/x.wav", "n" * 300 + ".wav"])
def test_a_place_that_cannot_be_written_is_refused_with_a_cure(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    target = tmp_path / (name if name.endswith(".wav") else f"{name}.wav")
    if name == "folder":
        target.mkdir()
    with pytest.raises(errors.OutputNotWritable) as caught:
        check_output(target)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["file", "file/below", "n" * 300])
def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(errors.OutputNotWritable):
        check_folder(tmp_path / name)
    check_folder(tmp_path / "new" / "and newer")


@pytest.mark.parametrize("name", ["out.wav", "n" * 251 + ".wav"])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["same disk", "another disk"])
def test_a_result_replaces_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, *, elsewhere: bool
) -> None:
    made, target = tmp_path / "scratch.wav", tmp_path / "out" / name
    made.write_text("new")
    target.parent.mkdir()
    target.write_text("old")
    if elsewhere:
        plain = Path.replace

        def across(path: Path, other: Path) -> Path:
            if path == made:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
            return plain(path, other)

        monkeypatch.setattr(Path, "replace", across)
    assert deliver(made, target) == target
    assert target.read_text() == "new"
    assert [path.name for path in target.parent.iterdir()] == [name]


def folders(place: Path) -> list[Path]:
    return [path for path in place.iterdir() if path.is_dir()]


def test_scratch_is_gone_afterwards_and_so_is_that_of_the_dead(tmp_path: Path) -> None:
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / "half.wav").touch()
    with scratch_folder(tmp_path) as folder:
        (folder / "half.wav").touch()
        assert folders(tmp_path) == [folder]
    assert folders(tmp_path) == []


def test_scratch_that_someone_works_in_is_left_alone(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as first, scratch_folder(tmp_path) as second:
        assert set(folders(tmp_path)) == {first, second}


def test_the_source_is_never_replaced(tmp_path: Path) -> None:
    source = tmp_path / "song.wav"
    source.touch()
    (tmp_path / "link.wav").symlink_to(source)
    check_apart(tmp_path / "other.wav", source)
    for target in (source, tmp_path / "link.wav"):
        with pytest.raises(errors.InvalidParameter, match="never replaced"):
            check_apart(target, source)

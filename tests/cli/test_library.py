"""`sotto library`, run as a command: JSON on standard output, errors with their cure and exit code."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sottovoce import cli
from sottovoce.audio import Audio
from sottovoce.media.encode import encode, format_of


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty library, home and working folder."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / "config"))
    monkeypatch.setenv("SOTTO_LIBRARY__DIRECTORY", str(tmp_path / "library"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Sotto:
    """Runs commands and reads what they print."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def text(self, *words: str, code: int = 0) -> tuple[str, str]:
        assert cli.run(words) == code
        captured = self._capsys.readouterr()
        return captured.out, captured.err

    def json(self, *words: str, code: int = 0) -> Any:
        out, err = self.text(*words, "--json", code=code)
        assert err == ""
        return json.loads(out)


@pytest.fixture
def sotto(capsys: pytest.CaptureFixture[str]) -> Sotto:
    return Sotto(capsys)


def song(path: Path, frequency: float = 220.0, seconds: float = 2.0) -> str:
    time = np.arange(round(48_000 * seconds)) / 48_000
    encode(
        Audio(np.tile(0.2 * np.sin(2 * np.pi * frequency * time), (2, 1)).astype(np.float32), 48_000),
        path,
        format_of(path),
    )
    return str(path)


@pytest.fixture
def track(sotto: Sotto, tmp_path: Path) -> str:
    """The id of a track that was imported."""
    imported = sotto.json("library", "import", song(tmp_path / "Rainy night.wav"), "--tag", "calm")
    return str(imported["tracks"][0]["id"])


def test_an_empty_library_lists_nothing(sotto: Sotto) -> None:
    assert sotto.json("library", "list") == {"tracks": [], "after": None}
    assert sotto.text("library", "list") == ("no tracks\n", "")


def test_import_list_search_and_show_agree(sotto: Sotto, track: str) -> None:
    listed = sotto.json("library", "list")["tracks"]
    assert [entry["id"] for entry in listed] == [track]
    assert (
        sotto.json("library", "search", "rain", "--tag", "calm", "--kind", "import", "--max-seconds", "3")["tracks"]
        == listed
    )
    assert sotto.json("library", "search", "snow")["tracks"] == []
    shown = sotto.json("library", "show", track)["track"]
    assert shown == listed[0] | {"recipe": None}
    assert (shown["title"], shown["seconds"], shown["tags"]) == ("Rainy night", 2.0, ["calm"])
    assert "Rainy night" in sotto.text("library", "list")[0]
    assert "Rainy night" in sotto.text("library", "show", track)[0]


def test_pages_follow_each_other(sotto: Sotto, tmp_path: Path) -> None:
    for index in range(3):
        sotto.json("library", "import", song(tmp_path / f"{index}.wav", 200 + index, 0.1))
    first = sotto.json("library", "list", "--limit", "2")
    second = sotto.json("library", "list", "--limit", "2", "--after", first["after"])
    assert [track["title"] for page in (first, second) for track in page["tracks"]] == ["2", "1", "0"]
    assert second["after"] is None


def test_rating_and_tagging(sotto: Sotto, track: str) -> None:
    assert sotto.json("library", "rate", track, "4")["track"]["rating"] == 4
    assert sotto.json("library", "tag", track, "Late Night", "x")["track"]["tags"] == ["calm", "late night", "x"]
    assert sotto.json("library", "tag", track, "x", "--remove")["track"]["tags"] == ["calm", "late night"]
    assert sotto.json("library", "search", "--min-rating", "4", "--tag", "late night")["tracks"][0]["id"] == track


def test_exporting_writes_the_file_asked_for(sotto: Sotto, track: str, tmp_path: Path) -> None:
    target = tmp_path / "out.mp3"
    assert sotto.json("library", "export", track, "-o", str(target), "--bitrate", "128")["files"] == [str(target)]
    assert target.stat().st_size > 10_000


def test_removing_needs_a_yes(sotto: Sotto, track: str) -> None:
    error = sotto.json("library", "rm", track, code=2)["error"]
    assert "--yes" in error["hint"]
    assert sotto.json("library", "rm", track, track, "--yes") == {"removed": [{"id": track, "title": "Rainy night"}]}
    assert sotto.json("library", "show", track, code=1)["error"]["code"] == "TRACK_NOT_FOUND"


def test_removing_removes_all_or_none(sotto: Sotto, track: str) -> None:
    sotto.json("library", "rm", track, "unknown", "--yes", code=1)
    assert sotto.json("library", "show", track)["track"]["id"] == track


def test_an_import_that_works_in_part_says_so(sotto: Sotto, tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp3"
    bad.write_text("no music")
    done = sotto.json("library", "import", song(tmp_path / "good.wav"), str(bad), code=3)
    assert [track["title"] for track in done["tracks"]] == ["good"]
    assert [failure["path"] for failure in done["failed"]] == [str(bad)]
    assert "error" in sotto.json("library", "import", str(bad), code=2)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("rate", "unknown", "3"), 1),
        (("rate", "unknown", "6"), 2),
        (("rate", "unknown", "many"), 2),
        (("tag", "unknown", "a,b"), 2),
        (("list", "--limit", "0"), 2),
        (("list", "--sort", "random"), 2),
        (("list", "--after", "nonsense"), 2),
        (("search", "--key", "H minor"), 2),
        (("export", "unknown"), 1),
        (("play", "unknown"), 1),
        (("import", "absent.wav"), 2),
        (("import", "."), 2),
    ],
)
def test_errors_come_from_the_catalogue(sotto: Sotto, words: tuple[str, ...], code: int) -> None:
    error = sotto.json("library", *words, code=code)["error"]
    assert error["code"] != "INTERNAL"
    assert error["message"]


def player(folder: Path, name: str, script: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_playing_uses_the_player_there_is(
    sotto: Sotto, track: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert "install" in sotto.json("library", "play", track, code=1)["error"]["hint"].lower()
    player(tmp_path / "bin", "aplay", f'/bin/cp "$2" {tmp_path}/heard')
    assert sotto.json("library", "play", track)["player"] == "aplay"
    assert (tmp_path / "heard").read_bytes()[:4] == b"RIFF"
    player(tmp_path / "bin", "mpv", "echo no sound device >&2; exit 2")
    assert "no sound device" in sotto.json("library", "play", track, code=1)["error"]["message"]


def test_a_library_that_cannot_be_opened_is_an_error_with_a_cure(
    sotto: Sotto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SOTTO_LIBRARY__DIRECTORY", str(tmp_path / "file"))
    error = sotto.json("library", "list", code=1)["error"]
    assert error["code"] == "OUTPUT_NOT_WRITABLE"
    assert "library.directory" in error["hint"]


def test_the_library_is_private(sotto: Sotto, track: str) -> None:
    database = Path(os.environ["SOTTO_LIBRARY__DIRECTORY"]) / "sotto.db"
    assert stat.S_IMODE(database.stat().st_mode) == 0o600


def test_a_backup_fills_an_empty_library(
    sotto: Sotto, track: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = sotto.json("library", "backup", "library.tar")["backup"]
    assert (saved["tracks"], saved["left_out"], saved["file"]) == (1, [], "library.tar")
    assert "not empty" in sotto.json("library", "restore", "library.tar", code=2)["error"]["message"]
    shown = sotto.json("library", "show", track)
    monkeypatch.setenv("SOTTO_LIBRARY__DIRECTORY", str(tmp_path / "new"))
    assert sotto.json("library", "restore", "library.tar")["restored"]["tracks"] == 1
    again = sotto.json("library", "show", track)
    assert again["track"] | {"audio": None} == shown["track"] | {"audio": None}
    assert [path.name for path in (tmp_path / "new" / "scratch").iterdir()] == [".lock"]


def test_a_backup_of_a_damaged_library_is_done_in_part(sotto: Sotto, track: str) -> None:
    audio = Path(sotto.json("library", "show", track)["track"]["audio"])
    audio.unlink()
    saved = sotto.json("library", "backup", "library.tar.gz", code=3)["backup"]
    assert [Path(path).name for path in saved["left_out"]] == [audio.name]
    assert sotto.json("library", "backup", "library.zip", code=2)["error"]["code"] == "UNSUPPORTED_FORMAT"
    assert sotto.json("library", "restore", "absent.tar", code=2)["error"]["code"] == "INPUT_UNREADABLE"

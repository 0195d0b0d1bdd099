"""`sotto config`, run as a command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sottovoce import cli


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home and working folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    assert cli.run(["config", *words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_what_is_set_is_shown_with_its_origin(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    path = str(home / "config" / "sottovoce" / "config.yaml")
    assert run(capsys, "path") == {"path": path, "exists": False}
    assert run(capsys, "set", "audio.ducking_ratio", "3") == {"key": "audio.ducking_ratio", "value": 3.0, "file": path}
    assert run(capsys, "path")["exists"]
    assert run(capsys, "show", "audio.ducking_ratio") == {
        "settings": {"audio.ducking_ratio": {"value": 3.0, "origin": path}}
    }
    assert set(run(capsys, "show", "library")["settings"]) == {
        "library.directory",
        "library.database_url",
        "library.loudness_lufs",
    }


def test_negative_numbers_can_be_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "set", "audio.music_volume_db", "-12")["value"] == -12.0


def test_the_text_names_value_and_origin(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOTTO_AUDIO__AUTO_MUSIC", "no")
    assert cli.run(["config", "show", "audio.auto_music"]) == 0
    words = capsys.readouterr().out.split()
    assert words[-3:] == ["audio.auto_music", "false", "SOTTO_AUDIO__AUTO_MUSIC"]


@pytest.mark.parametrize(
    "words",
    [
        ("set", "audio.ducking_ratio", "99"),
        ("set", "audio.nothing", "1"),
        ("set", "lalalai.token", "x"),
        ("show", "nothing"),
        ("set", "x"),
    ],
)
def test_mistakes_are_wrong_usage(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    error = run(capsys, *words, code=2)["error"]
    assert error["code"] == "INVALID_PARAMETER"
    assert error["hint"]

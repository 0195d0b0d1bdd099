"""Your own music in the library, through the installed command."""

from __future__ import annotations

import json
import zipfile

import pytest
from tests.acceptance.home import Home, SameProcess

from sottovoce.media.decode import decode


@pytest.mark.long
def test_import_find_rate_tag_export_and_remove(home: Home) -> None:
    home.done("generate", "x", "--engine", "tone", "--duration", "6", "--seed", "1", "-o", "mine.mp3")
    (home.work / "mine.sotto.json").unlink()
    track = home.done("library", "import", "mine.mp3", "--title", "Été à la mer", "--tag", "Summer")["tracks"][0]["id"]
    assert home.done("library", "import", "mine.mp3")["tracks"][0]["id"] == track, "the same file is the same track"
    home.done("library", "rate", track, "5")
    home.done("library", "tag", track, "beach")
    found = home.done("library", "search", "mer", "--min-rating", "5", "--tag", "beach")["tracks"]
    assert [(item["id"], item["tags"]) for item in found] == [(track, ["beach", "summer"])]
    home.done("library", "export", track, "-o", "out.flac")
    assert decode(home.work / "out.flac").frames == decode(home.work / "mine.mp3").frames
    home.done("library", "rm", track, "--yes")
    assert home.sotto("library", "show", track, "--json").json["error"]["code"] == "TRACK_NOT_FOUND"


@pytest.mark.long
def test_stems_of_a_track_are_exported_as_one_zip(quick: SameProcess) -> None:
    track = quick.done("generate", "x", "--engine", "tone", "--duration", "5", "--stems")["tracks"][0]["id"]
    quick.done("library", "export", track, "--stems", "-o", "stems.zip")
    with zipfile.ZipFile(quick.work / "stems.zip") as archive:
        assert archive.testzip() is None
        assert len([name for name in archive.namelist() if name.endswith(".flac")]) == 3


@pytest.mark.long
def test_settings_say_where_they_come_from_and_act(quick: SameProcess) -> None:
    quick.done("config", "set", "engines.generators", "tone")
    assert quick.done("generate", "x", "--duration", "5")["tracks"][0]["engine"] == "tone"
    shown = quick.done("config", "show", SOTTO_AUDIO__DUCKING_RATIO="3")
    text = json.dumps(shown)
    assert "config.yaml" in text
    assert "SOTTO_AUDIO__DUCKING_RATIO" in text


@pytest.mark.long
def test_doctor_finds_a_fresh_home_fine_and_engines_say_what_they_need(quick: SameProcess) -> None:
    assert quick.done("doctor")["fine"]
    engines = quick.done("engines")
    local = next(engine for engine in engines["generator"] if engine["name"] == "local-files")
    assert not local["ready"]
    assert "local_music_dir" in local["cure"]


@pytest.mark.long
def test_an_engine_that_is_not_ready_is_skipped_in_auto_and_refused_by_name(quick: SameProcess) -> None:
    quick.done("config", "set", "engines.generators", "local-files,tone")
    made = quick.done("generate", "x", "--duration", "5")["tracks"][0]
    assert [skip["engine"] for skip in made["recipe"]["skipped"]] == ["local-files"]
    answer = quick.sotto("generate", "x", "--engine", "local_files", "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "BACKEND_NOT_INSTALLED")

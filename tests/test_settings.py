"""Settings: who wins, what is refused and how to cure it, and writing one value without hurting the rest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sottovoce import errors, settings
from sottovoce.settings import load, load_settings, rows, set_value


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home and working folder; the environment without settings."""
    for name in [name for name in os.environ if name.startswith("SOTTO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home" / "data"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def user(text: str) -> Path:
    return write(settings.user_file(), text)


def project(text: str) -> Path:
    return write(Path("sotto.yaml").absolute(), text)


def refused(environ: dict[str, str] | None = None) -> errors.InvalidParameter:
    with pytest.raises(errors.InvalidParameter) as caught:
        load(environ=environ or {})
    return caught.value


def test_without_anything_the_defaults_hold(home: Path) -> None:
    loaded = load(environ={})
    assert loaded.origins == {}
    assert loaded.settings.audio.ducking_ratio == 6.0
    assert loaded.settings.library_folder() == home / "data" / "sottovoce"
    assert loaded.settings.audio.local_music_dir == home / "Music" / "Memories"
    assert not settings.user_file().exists()


def test_who_wins_and_where_each_value_comes_from() -> None:
    names = ("ducking_ratio", "ducking_threshold", "fade_in_seconds", "fade_out_seconds")
    low = user("audio:\n" + "".join(f"  {name}: 1\n" for name in names[:4]))
    high = project("audio:\n" + "".join(f"  {name}: 2\n" for name in names[:3] if name != "ducking_threshold"))
    environ = {"SOTTO_AUDIO__FADE_IN_SECONDS": "3", "SOTTO_AUDIO__DUCKING_RATIO": "3"}
    loaded = load({"audio.ducking_ratio": 4}, environ=environ)
    audio = loaded.settings.audio
    assert (audio.ducking_ratio, audio.fade_in_seconds, audio.ducking_threshold, audio.fade_out_seconds) == (4, 3, 1, 1)
    assert loaded.origins == {
        "audio.ducking_ratio": "this command",
        "audio.fade_in_seconds": "SOTTO_AUDIO__FADE_IN_SECONDS",
        "audio.ducking_threshold": str(low),
        "audio.fade_out_seconds": str(low),
    }
    assert load(environ={}).origins["audio.ducking_ratio"] == str(high)


def test_every_value_is_shown_with_its_origin() -> None:
    shown = load(environ={"SOTTO_ENGINES__REMOTE__API_KEY": "hidden", "SOTTO_AUDIO__AUTO_MUSIC": "no"}).shown()
    assert {row.key for row in rows()} <= set(shown)
    assert shown["audio.auto_music"] == {"value": False, "origin": "SOTTO_AUDIO__AUTO_MUSIC"}
    assert shown["audio.ducking_ratio"] == {"value": 6.0, "origin": "default"}
    assert shown["engines.remote.api_key"]["value"] == "(secret)"


@pytest.mark.parametrize("text", ["tone, composer", "[tone, composer]", '["tone","composer"]', "TONE,Composer"])
def test_orders_of_engines_are_read_from_the_environment(text: str) -> None:
    loaded = load(environ={"SOTTO_ENGINES__GENERATORS": text})
    assert loaded.settings.engines.generators == ("tone", "composer")


def test_underscores_in_engine_names_mean_dashes() -> None:
    project("engines: {generators: [local_files, composer]}")
    assert load_settings().engines.generators == ("local-files", "composer")


def test_a_third_partys_engine_has_a_section_of_its_own() -> None:
    project("engines:\n  radio:\n    url: http://localhost\n    retries: 3\n")
    loaded = load(environ={"SOTTO_ENGINES__RADIO__RETRIES": "5"})
    assert loaded.settings.engine_sections() == {"radio": {"url": "http://localhost", "retries": "5"}}


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load(environ={"SOTTO_LIBRARY__DIRECTORY": "", "SOTTO_TEST_CLIPS": "/clips"}).origins == {}


def test_folders_in_a_file_are_relative_to_it(home: Path) -> None:
    project("library: {directory: music}\naudio: {local_music_dir: ~/Songs}\n")
    loaded = load_settings()
    assert loaded.library_folder() == Path.cwd() / "music"
    assert loaded.audio.local_music_dir == home / "Songs"


BAD: tuple[tuple[str, str, str], ...] = (
    ("SOTTO_AUDIO__DUCKING_RATIO", "21", "1 to 20"),
    ("SOTTO_AUDIO__DUCKING_RATIO", "loud", "1 to 20"),
    ("SOTTO_AUDIO__DUCKING_THRESHOLD", "-0.1", "0 to 1"),
    ("SOTTO_AUDIO__DUCKING_THRESHOLD", "nan", "0 to 1"),
    ("SOTTO_AUDIO__MUSIC_VOLUME_DB", "1", "-20 to 0"),
    ("SOTTO_AUDIO__FADE_IN_SECONDS", "inf", "0 to 10"),
    ("SOTTO_AUDIO__MUSIC_SOURCE", "radio", "auto, local"),
    ("SOTTO_LIBRARY__LOUDNESS_LUFS", "0", "-40 to -8"),
)


@pytest.mark.parametrize(("name", "value", "allowed"), BAD)
def test_a_bad_value_is_refused_with_place_key_and_range(name: str, value: str, allowed: str) -> None:
    error = refused({name: value})
    assert name in error.message
    assert name.removeprefix("SOTTO_").replace("__", ".").lower() in error.message
    assert allowed in error.hint


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("audio: {ducking_ratio: 30}", "audio.ducking_ratio"),
        ("audio: {ducking_rati: 3}", "audio.ducking_rati"),
        ("colours: {sky: blue}", "colours.sky"),
        ("audio: 3", "audio"),
        ("audio: {ducking_ratio: {x: 3}}", "audio.ducking_ratio"),
        ("engines: {generatrs: [composer]}", "generatrs"),
        ("engines: {generators: [composer, composer]}", "once"),
        ("engines: {generators: 3}", "list of engine names"),
        ("audio: {ducking_ratio: [}", "no settings file"),
        ("- a\n- list\n", "no settings file"),
        ("audio:\n\tducking_ratio: 3\n", "no settings file"),
        ("!!python/object/apply:os.system ['true']", "no settings file"),
    ],
)
def test_a_bad_file_is_refused_by_its_name(text: str, says: str) -> None:
    path = project(text)
    error = refused()
    assert str(path) in error.message
    assert says in error.message
    assert error.hint


def test_a_key_that_is_nearly_right_gets_a_suggestion() -> None:
    assert "audio.ducking_ratio" in refused({"SOTTO_AUDIO__DUCKING_RATOI": "3"}).hint


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    Path("sotto.yaml").write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in refused().message


@pytest.mark.parametrize("key", ["api_key", "token", "password", "activation_key", "client_secret"])
def test_a_secret_in_a_file_is_refused_with_the_place_for_it(key: str) -> None:
    project(f"engines: {{remote: {{{key}: abc}}}}")
    error = refused()
    assert "abc" not in f"{error.message} {error.hint}"
    assert f"{key}_file" in error.hint
    assert "SOTTO_ENGINES__REMOTE__" in error.hint


def test_a_file_that_names_a_secret_is_fine() -> None:
    project("engines: {remote: {token_file: /run/secret}}")
    assert load_settings().engine_sections() == {"remote": {"token_file": "/run/secret"}}


def test_setting_a_value_keeps_comments_order_and_other_keys() -> None:
    path = user(
        "# mine\naudio:\n  # quiet\n  fade_in_seconds: 1  # short\n  ducking_ratio: 3\n\nlibrary:\n  loudness_lufs: -16\n"
    )
    assert set_value("audio.fade_in_seconds", "4") == 4.0
    assert set_value("audio.auto_music", "off") is False
    assert set_value("engines.generators", "tone,composer") == ["tone", "composer"]
    text = path.read_text()
    assert [line for line in ("# mine", "# quiet", "ducking_ratio: 3", "loudness_lufs: -16") if line not in text] == []
    loaded = load_settings()
    assert (loaded.audio.fade_in_seconds, loaded.audio.auto_music, loaded.audio.ducking_ratio) == (4, False, 3)
    assert loaded.engines.generators == ("tone", "composer")
    assert [file.name for file in path.parent.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "audio: {ducking_ratio: 3}\n",
        "audio:\n",
        "audio:",
        "audio:\n    ducking_ratio: 3",
        "library:\n  loudness_lufs: -16\n",
    ],
)
def test_setting_a_value_works_in_files_of_any_form(text: str) -> None:
    user(text)
    before: dict[str, Any] = {key: entry["value"] for key, entry in load(environ={}).shown().items()}
    set_value("audio.music_volume_db", "-12")
    assert {key: entry["value"] for key, entry in load(environ={}).shown().items()} == before | {
        "audio.music_volume_db": -12.0
    }


def test_null_takes_a_value_back_to_not_set() -> None:
    set_value("library.loudness_lufs", "-16")
    set_value("library.loudness_lufs", "null")
    assert load_settings().library.loudness_lufs is None


def test_a_folder_that_is_set_is_kept_in_full() -> None:
    set_value("library.directory", "music")
    assert load_settings().library_folder() == Path.cwd() / "music"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("audio.ducking_ratio", "99"),
        ("audio.nothing", "1"),
        ("audio", "1"),
        ("", "1"),
        ("engines.remote.token", "x"),
        ("engines.radio", "1"),
    ],
)
def test_what_cannot_be_set_leaves_the_file_alone(key: str, value: str) -> None:
    path = user("audio:\n  ducking_ratio: 3\n")
    with pytest.raises(errors.InvalidParameter):
        set_value(key, value)
    assert path.read_text() == "audio:\n  ducking_ratio: 3\n"


def test_a_malformed_file_is_not_written_over() -> None:
    path = user("audio: [\n")
    with pytest.raises(errors.InvalidParameter, match="no settings file"):
        set_value("audio.ducking_ratio", "3")
    assert path.read_text() == "audio: [\n"


def test_a_place_that_cannot_be_written_is_said(home: Path) -> None:
    write(home / "config" / "sottovoce", "")
    with pytest.raises(errors.OutputNotWritable):
        set_value("audio.ducking_ratio", "3")


def test_settings_cannot_be_changed_after_they_are_read() -> None:
    loaded = load_settings()
    with pytest.raises(ValueError, match="frozen"):
        loaded.audio.ducking_ratio = 3


def test_every_setting_is_documented_in_one_sentence() -> None:
    for row in rows():
        assert row.meaning.endswith("."), row
        assert row.type
        assert row.default


def test_reading_settings_imports_no_arrays_and_no_database() -> None:
    code = "import sys, sottovoce.settings as s; s.load(); print([n for n in ('numpy', 'sqlalchemy', 'rich', 'av') if n in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_keys_come_from_their_own_place_first(home: Path) -> None:
    environ = {"LALALAI_API_KEY": "first", "SYSTEM_LALALAI_ACTIVATION_KEY": "second", "MUSICGEN_API_KEY": " third\n"}
    plain = settings.load_settings()
    assert plain.credentials(environ) == {"lalalai": "first", "musicgen": "third"}
    assert plain.credentials({"SYSTEM_LALALAI_ACTIVATION_KEY": "second"}) == {"lalalai": "second"}
    home.mkdir()
    (home / "key").write_text("mine\n")
    assert settings.load_settings({"lalalai.api_key_file": str(home / "key")}).credentials(environ)["lalalai"] == "mine"
    own = settings.load(environ={"SOTTO_LALALAI__API_KEY": "0wn-s3cret"})
    assert own.settings.credentials(environ)["lalalai"] == "0wn-s3cret"
    assert own.shown()["lalalai.api_key"]["value"] == "(secret)"
    assert "0wn-s3cret" not in repr(own)
    with pytest.raises(errors.InputUnreadable, match="nowhere"):
        settings.load_settings({"lalalai.api_key_file": str(home / "nowhere")}).credentials({})


def test_the_hubs_own_variables_are_honoured() -> None:
    usual = settings.hub_places({})
    assert (usual.endpoint, usual.offline) == (None, False)
    assert usual.cache == Path("~/.cache/huggingface/hub").expanduser()
    assert settings.hub_places({"HF_HOME": "/a"}).cache == Path("/a/hub")
    assert settings.hub_places({"HF_HOME": "/a", "HF_HUB_CACHE": "/b"}).cache == Path("/b")
    assert settings.hub_places({"HF_ENDPOINT": "https://mirror.example"}).endpoint == "https://mirror.example"
    assert settings.hub_places({"HF_HUB_OFFLINE": "1"}).offline

"""Whatever goes wrong: an error of the catalogue with a cure, the right exit code, no traceback, nothing half-written."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tests.acceptance.home import COMMAND, Home, SameProcess, make_home
from tests.conftest import MakeVideo

from sottovoce.audio import Audio
from sottovoce.media.encode import encode, format_of


@pytest.fixture
def home(tmp_path: Path) -> SameProcess:
    """An empty home folder; what is refused here is refused alike by a command of its own."""
    return make_home(tmp_path, SameProcess)


WISHES = [
    (("generate", ""), "INVALID_PROMPT"),
    (("generate", "x", "--duration", "0"), "INVALID_DURATION"),
    (("generate", "x", "--duration", "4.9"), "INVALID_DURATION"),
    (("generate", "x", "--duration", "601"), "INVALID_DURATION"),
    (("generate", "x", "--duration", "nan"), "INVALID_DURATION"),
    (("generate", "x", "--duration", "long"), "INVALID_PARAMETER"),
    (("generate", "x", "--engine", "orchestra"), "INVALID_BACKEND"),
    (("generate", "x", "--key", "H minor"), "INVALID_PARAMETER"),
    (("generate", "x", "--option", "loud"), "INVALID_PARAMETER"),
    (("generate", "x", "--option", "loud=1"), "INVALID_PARAMETER"),
    (("generate", "x", "--midi"), "INVALID_PARAMETER"),
    (("inspect", "n" * 5000), "INPUT_UNREADABLE"),
    (("replay", "n" * 5000), "INPUT_UNREADABLE"),
    (("generate", "x", "-o", "x.xyz"), "UNSUPPORTED_FORMAT"),
    (("generate", "x", "-o", "x.mp3", "--bit-depth", "24"), "INVALID_PARAMETER"),
    (("generate", "x", "--colour", "blue"), "INVALID_PARAMETER"),
    (("conduct",), "INVALID_PARAMETER"),
    (("library", "export", "x", "--stems", "--midi"), "INVALID_PARAMETER"),
    (("config", "set", "audio.volume", "3"), "INVALID_PARAMETER"),
    (("config", "set", "audio.ducking_ratio", "99"), "INVALID_PARAMETER"),
    (("engines", "orchestra"), "INVALID_BACKEND"),
]


@pytest.mark.parametrize(
    ("line", "code"), WISHES, ids=lambda value: value if isinstance(value, str) else " ".join(value)
)
def test_wrong_usage_is_told_apart_before_any_work(home: Home, line: tuple[str, ...], code: str) -> None:
    answer = home.sotto(*line, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (2, code), answer.out
    assert answer.json["error"]["message"]
    assert not home.files()


@pytest.mark.parametrize(("line", "code"), [WISHES[1], WISHES[14], (("conduct",), "INVALID_PARAMETER")])
def test_the_installed_command_answers_the_same(home: SameProcess, line: tuple[str, ...], code: str) -> None:
    answer = Home(home.folder).sotto(*line, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (2, code)
    assert not home.files()


def tone(seconds: float, *, channels: int = 2, rate: int = 48_000) -> Audio:
    wave = 0.2 * np.sin(np.arange(max(1, round(seconds * rate))) * 2 * np.pi * 330 / rate)
    return Audio(np.tile(wave.astype(np.float32), (channels, 1)), rate)


def silence(seconds: float) -> Audio:
    return Audio(np.zeros((2, round(seconds * 48_000)), np.float32), 48_000)


def write(path: Path, audio: Audio) -> Path:
    encode(audio, path, format_of(path))
    return path


COMMANDS = [("separate",), ("inspect",), ("mood",), ("score", "-o", "out.wav"), ("library", "import")]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
class TestFilesThatAreNone:
    def check(self, home: Home, command: tuple[str, ...], name: str, codes: set[str]) -> None:
        before = home.files()
        answer = (
            home.sotto(*command, "--json", "--", name) if name.startswith("-") else home.sotto(*command, name, "--json")
        )
        assert answer.code in (1, 2), answer.out + answer.err
        assert answer.json["error"]["code"] in codes, answer.out
        assert home.files() == before

    def test_missing(self, home: Home, command: tuple[str, ...]) -> None:
        self.check(home, command, "none.mp3", {"INPUT_UNREADABLE"})

    def test_text_named_mp3(self, home: Home, command: tuple[str, ...]) -> None:
        (home.work / "text.mp3").write_text("this is no music\n" * 50)
        self.check(home, command, "text.mp3", {"UNSUPPORTED_FORMAT", "CORRUPT_MEDIA"})

    def test_empty(self, home: Home, command: tuple[str, ...]) -> None:
        (home.work / "empty.wav").touch()
        self.check(home, command, "empty.wav", {"UNSUPPORTED_FORMAT", "CORRUPT_MEDIA"})

    def test_noise_with_a_leading_dash(self, home: Home, command: tuple[str, ...]) -> None:
        (home.work / "-noise.flac").write_bytes(os.urandom(5000))
        self.check(home, command, "-noise.flac", {"UNSUPPORTED_FORMAT", "CORRUPT_MEDIA"})


@pytest.mark.parametrize("command", COMMANDS[:4], ids=lambda command: command[0])
def test_a_folder_is_no_file(home: Home, command: tuple[str, ...]) -> None:
    (home.work / "folder").mkdir()
    answer = home.sotto(*command, "folder", "--json")
    assert (answer.code, answer.json["error"]["code"]) == (2, "INPUT_UNREADABLE")


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "audio"),
    [
        ("eight.wav", tone(3, channels=8)),
        ("fast.wav", tone(2, rate=192_000)),
        ("one-sample.wav", Audio(np.full((1, 1), 0.5, np.float32), 44_100)),
        ("silence.flac", silence(3)),
        ("дождь 雨 🎹.flac", tone(3)),
        ("n" * 200 + ".wav", tone(3)),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else "",
)
def test_odd_but_honest_files_are_split_at_their_exact_length(home: Home, name: str, audio: Audio) -> None:
    write(home.work / name, audio)
    report = home.done("separate", name, "-o", "stems")
    assert (report["frames"], report["channels"], report["rate"]) == (audio.frames, audio.channels, audio.rate)


@pytest.mark.long
def test_a_cut_off_video_is_scored_for_what_is_left_or_refused(home: Home, make_video: MakeVideo) -> None:
    whole = make_video(home.work / "whole.mp4", 4.0, audio=tone(4))
    cut = home.work / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    answer = home.sotto("score", "cut.mp4", "-o", "out.mp4", "--json")
    assert answer.code == 0 or answer.json["error"]["code"] in {"CORRUPT_MEDIA", "UNSUPPORTED_FORMAT"}
    assert (home.work / "out.mp4").exists() == (answer.code == 0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere, so no folder can be forbidden to it")
def test_a_folder_that_may_not_be_written(home: Home) -> None:
    (home.work / "closed").mkdir(mode=0o500)
    answer = home.sotto("generate", "x", "--engine", "tone", "-o", "closed/x.flac", "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "OUTPUT_NOT_WRITABLE")


@pytest.mark.long
def test_a_folder_that_is_not_there(home: Home) -> None:
    answer = home.sotto("generate", "x", "--engine", "tone", "-o", "nowhere/x.flac", "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "OUTPUT_NOT_WRITABLE")
    assert "mkdir" in answer.json["error"]["hint"]


def test_a_file_in_place_of_the_folder(home: Home) -> None:
    write(home.work / "song.wav", tone(1))
    answer = home.sotto("separate", "song.wav", "-o", "song.wav", "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "OUTPUT_NOT_WRITABLE")


def small_disk(megabytes: int, place: Path) -> list[str]:
    """What to put before a command so that `place` is a disk of so many megabytes for it alone."""
    return [
        "unshare",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        f'mount -t tmpfs -o size={megabytes}m none "{place}" && exec "$@"',
        "sh",
    ]


def can_mount(place: Path) -> bool:
    return subprocess.run([*small_disk(1, place), "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.long
@pytest.mark.parametrize("full", ["output", "library"])
def test_a_full_disk_is_said_and_nothing_half_written_is_left(home: Home, full: str) -> None:
    place = home.folder / "small"
    place.mkdir()
    if not can_mount(place):
        pytest.skip("this system lets nobody mount a small disk (unshare --mount)")
    output, library = (place, home.folder / "big") if full == "output" else (home.work, place)
    line = [
        str(COMMAND),
        "generate",
        "x",
        "--engine",
        "tone",
        "--duration",
        "60",
        "-o",
        str(output / "x.wav"),
        "--json",
    ]
    left = f'"$@"; code=$?; ls -A "{place}" "{place}"/scratch 2>/dev/null | grep -v sotto.db >&2; exit $code'
    done = subprocess.run(
        [*small_disk(3, place), "sh", "-c", left, "sh", *line],
        cwd=home.work,
        env=home.environment | {"SOTTO_LIBRARY__DIRECTORY": str(library)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (1, "DISK_FULL"), done.stdout + done.stderr
    assert "x.wav" not in done.stderr
    assert not home.files()


@pytest.mark.long
def test_a_song_is_never_replaced_by_its_own_stem(home: Home) -> None:
    song = write(home.work / "vocals.wav", tone(1))
    before = song.read_bytes()
    answer = home.sotto("separate", "vocals.wav", "--format", "wav", "-o", ".", "--json")
    assert (answer.code, answer.json["error"]["code"]) == (2, "INVALID_PARAMETER")
    assert song.read_bytes() == before

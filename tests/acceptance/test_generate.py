"""Music from words, through the installed command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import zipfile

import mido
import numpy as np
import pytest
from tests.acceptance.home import Home, SameProcess, make_home

from sottovoce.media.decode import decode

NIGHT = ("generate", "rainy night lofi, jazzy piano, vinyl crackle", "--duration", "12", "--seed", "7")


def test_words_become_a_file_that_passes_its_checks_and_can_be_made_again(home: Home) -> None:
    made = home.done(*NIGHT, "-o", "night.flac")["tracks"][0]
    audio = decode(home.work / "night.flac")
    assert (audio.frames, audio.rate, audio.channels) == (12 * 48_000, 48_000, 2)
    assert made["engine"] == "composer"
    assert home.done("inspect", "night.flac")["passed"]
    assert home.done("replay", "night.sotto.json", "--verify")["same"]
    found = home.done("library", "search", "rainy")["tracks"]
    assert [track["id"] for track in found] == [made["id"]]
    assert home.files() == {"night.flac", "night.sotto.json"}
    assert not home.scratch()


@pytest.mark.long
def test_the_same_seed_in_two_homes_is_the_same_sound(home: Home, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = make_home(tmp_path_factory.mktemp("other"), Home)
    first, second = (place.done(*NIGHT)["tracks"][0]["recipe"]["audio"]["sha256_pcm"] for place in (home, other))
    assert first == second


@pytest.mark.long
def test_python_and_the_command_line_make_the_same(home: Home) -> None:
    code = (
        "import sottovoce as sv; print(sv.generate('calm piano', duration=6, seed=4, bpm=70).recipe.audio.sha256_pcm)"
    )
    spoken = subprocess.run(
        [sys.executable, "-c", code], env=home.environment, capture_output=True, text=True, check=True
    )
    made = home.done("generate", "calm piano", "--duration", "6", "--seed", "4", "--bpm", "70")["tracks"][0]
    assert spoken.stdout.strip() == made["recipe"]["audio"]["sha256_pcm"]


@pytest.mark.long
def test_stems_add_up_and_the_notes_open_elsewhere(quick: SameProcess) -> None:
    quick.done("generate", "calm piano", "--duration", "8", "--seed", "3", "--stems", "--midi", "-o", "calm.wav")
    with zipfile.ZipFile(quick.work / "calm_stems.zip") as archive:
        archive.extractall(quick.work / "stems")
    mix = decode(quick.work / "calm.wav").samples.astype(np.float64)
    total = sum(decode(path).samples.astype(np.float64) for path in (quick.work / "stems").rglob("*.flac"))
    level = np.sqrt(np.mean(mix**2))
    assert 20 * np.log10(np.sqrt(np.mean((mix - total) ** 2)) / level) < -60
    notes = [message for message in mido.MidiFile(quick.work / "calm.mid") if message.type == "note_on"]
    assert len(notes) > 8


@pytest.mark.long
@pytest.mark.parametrize("name", ["a.wav", "b.flac", "c.mp3", "d.opus", "e.ogg", "f.m4a"])
def test_any_format_by_file_name(quick: SameProcess, name: str) -> None:
    quick.done("generate", "tone", "--engine", "tone", "--duration", "5", "-o", name)
    assert decode(quick.work / name).frames == 5 * 48_000


@pytest.mark.long
def test_versions_are_numbered(quick: SameProcess) -> None:
    quick.done("generate", "tone", "--engine", "tone", "--duration", "5", "--versions", "2", "-o", "t.wav")
    assert {"t-1.wav", "t-2.wav"} <= quick.files()


@pytest.mark.long
def test_text_output_says_what_was_made_by_whom(quick: SameProcess) -> None:
    answer = quick.sotto(*NIGHT)
    assert answer.code == 0
    assert "by composer" in answer.out
    assert "seed 7" in answer.out


@pytest.mark.long
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupting_leaves_nothing(home: Home, sent: signal.Signals) -> None:
    work = home.start("generate", "x", "--engine", "tone", "--option", "delay=900", "-o", "x.flac", "--json")
    while not home.scratch():
        time.sleep(0.05)
        assert work.poll() is None, work.communicate()
    work.send_signal(sent)
    out, err = work.communicate(timeout=900)
    assert (work.returncode, json.loads(out)["error"]["code"]) == (130, "CANCELLED"), err
    assert not home.files()
    assert not home.scratch()


@pytest.mark.long
def test_a_killed_run_leaves_nothing_visible_and_the_next_one_sweeps(home: Home) -> None:
    work = home.start("generate", "x", "--engine", "tone", "--option", "delay=900", "-o", "x.flac")
    while not home.scratch():
        time.sleep(0.05)
    work.kill()
    work.communicate(timeout=900)
    assert not home.files()
    assert home.done("library", "list")["tracks"] == []
    home.done("generate", "x", "--engine", "tone", "--duration", "5")
    assert not home.scratch()

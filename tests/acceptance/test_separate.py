"""A song into stems, through the installed command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.acceptance.home import Home, SameProcess

import sottovoce as sv
from sottovoce.media.decode import decode


def rms_db(samples: np.ndarray) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(samples.astype(np.float64) ** 2)) + 1e-12))


@pytest.mark.clips
def test_a_song_becomes_stems_of_its_length_that_add_up(home: Home, clips: Path) -> None:
    report = home.done("separate", clips / "song_demucs_test.mp3", "--preview", "6")
    song = decode(clips / "song_demucs_test.mp3").samples[:, : 6 * 44_100]
    stems = {name: decode(home.work / path) for name, path in report["stems"].items()}
    assert set(stems) == {"vocals", "drums", "bass", "other"}
    assert {(stem.frames, stem.rate, stem.channels) for stem in stems.values()} == {(6 * 44_100, 44_100, 2)}
    rest = song - sum(stem.samples.astype(np.float64) for stem in stems.values())
    assert rms_db(rest) - rms_db(song) < -90
    assert report["engine"] == "classical"
    assert report["notes"], "the fall-back says what it is"
    assert not home.scratch()


@pytest.mark.long
@pytest.mark.clips
def test_only_some_stems_from_standard_input(home: Home, clips: Path) -> None:
    song = (clips / "speech_jfk.flac").read_bytes()
    answer = home.sotto(
        "separate", "-", "--only", "vocals,no_vocals", "--format", "wav", "-o", "out", "--json", stdin=song
    )
    assert answer.code == 0, answer.out
    vocals, rest = (decode(home.work / "out" / f"{name}.wav").samples for name in ("vocals", "no_vocals"))
    whole = decode(clips / "speech_jfk.flac").samples
    assert home.files() == {"out", "out/vocals.wav", "out/no_vocals.wav"}
    assert rms_db(vocals.astype(np.float64) + rest - whole) - rms_db(whole) < -90


@pytest.mark.long
def test_a_stem_that_no_engine_has(quick: SameProcess) -> None:
    quick.done("generate", "x", "--engine", "tone", "--duration", "5", "-o", "x.wav")
    answer = quick.sotto("separate", "x.wav", "--engine", "classical", "--only", "strings", "--json")
    assert (answer.code, answer.json["error"]["code"]) == (2, "INVALID_PARAMETER")
    assert "vocals" in answer.json["error"]["message"]


def test_arrays_in_arrays_out() -> None:
    samples = np.random.default_rng(3).standard_normal((2, 50_000)).astype(np.float32) / np.float32(8)
    stages: list[sv.Progress] = []
    mix, parts = sv.separate_array(samples, rate=44_100, engine="classical", progress=stages.append)
    total = sum(part.samples.astype(np.float64) for part in parts.values())
    assert rms_db(total - mix.samples) - rms_db(samples) < -90
    assert stages


@pytest.mark.long
def test_the_same_song_is_separated_once(quick: SameProcess) -> None:
    quick.done("generate", "x", "--engine", "tone", "--duration", "5", "-o", "x.wav")
    first = quick.done("separate", "x.wav", "--engine", "tone", "-o", "one")
    (quick.work / "x.wav").rename(quick.work / "renamed.wav")
    again = quick.done("separate", "renamed.wav", "--engine", "tone", "-o", "two")
    assert (first["cached"], again["cached"]) == (False, True)
    assert again["stems"].keys() == first["stems"].keys()
    for stem, path in again["stems"].items():
        assert (quick.work / path).read_bytes() == (quick.work / first["stems"][stem]).read_bytes()
    assert not quick.done("separate", "renamed.wav", "--engine", "tone", "--no-cache")["cached"]
    assert not quick.scratch()


@pytest.mark.long
def test_two_identical_requests_at_once_do_the_work_once(home: Home) -> None:
    home.done("generate", "x", "--engine", "tone", "--duration", "5", "-o", "x.wav")
    words = ("separate", "x.wav", "--engine", "tone", "--option", "delay=5", "--json", "-o")
    both = [home.start(*words, folder) for folder in ("one", "two")]
    reports = [json.loads(process.communicate(timeout=900)[0]) for process in both]
    assert sorted(report["cached"] for report in reports) == [False, True]
    assert all((home.work / path).is_file() for report in reports for path in report["stems"].values())

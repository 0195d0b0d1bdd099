"""Music under a video, through the installed command, with real speech at known times."""

from __future__ import annotations

import hashlib
from pathlib import Path

import av
import numpy as np
import pytest
from tests.acceptance.home import Home, SameProcess
from tests.conftest import MakeVideo

from sottovoce.audio import Audio
from sottovoce.media.decode import decode

RATE = 48_000
#: Where the speech clip is put in a twenty-four-second video.
SPEECH_AT = 7.0


def packets(path: Path) -> str:
    """A hash of the picture's data, packet by packet."""
    digest = hashlib.sha256()
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            digest.update(bytes(packet))
    return digest.hexdigest()


@pytest.fixture
def holiday(home: Home, clips: Path, make_video: MakeVideo) -> Path:
    voice = decode(clips / "speech_jfk.flac", rate=RATE, channels=2).samples
    sound = np.random.default_rng(2).standard_normal((2, 24 * RATE)).astype(np.float32) * 0.0003
    start = round(SPEECH_AT * RATE)
    sound[:, start : start + voice.shape[1]] += voice
    return make_video(home.work / "holiday.mp4", 24.0, cuts=(8.0, 16.0), audio=Audio(sound, RATE))


@pytest.mark.long
@pytest.mark.clips
def test_a_video_gets_music_that_is_soft_under_speech(home: Home, holiday: Path) -> None:
    report = home.done("score", "holiday.mp4", "-o", "out.mp4", "--seed", "7", "--plot", "duck.png")
    assert packets(home.work / "out.mp4") == packets(holiday)
    assert decode(home.work / "out.mp4").frames == pytest.approx(24 * RATE, abs=1024)
    first = report["dips"][0]
    assert first["start"] < SPEECH_AT + 0.3
    assert "speech" in first["causes"]
    assert report["depth_db"] == pytest.approx(15.56, abs=0.01)
    assert report["engine"] == "composer"
    assert report["mood"]
    assert (home.work / "duck.png").read_bytes().startswith(b"\x89PNG")
    assert home.files() == {"holiday.mp4", "out.mp4", "duck.png"}
    assert not home.scratch()


@pytest.mark.long
@pytest.mark.clips
def test_another_take_is_mixed_without_making_music_again(quick: SameProcess, holiday: Path) -> None:
    made = quick.done("score", "holiday.mp4", "-o", "a.mp4", "--prompt", "calm piano", "--versions", "2", "--seed", "5")
    assert len(made["tracks"]) == 2
    again = quick.done("score", "holiday.mp4", "-o", "b.mp4", "--take", "2")
    assert again["tracks"] == []
    assert (quick.work / "b.mp4").exists()


@pytest.mark.long
@pytest.mark.clips
def test_own_music_is_used_as_it_is_or_refused_never_replaced(quick: SameProcess, holiday: Path, clips: Path) -> None:
    report = quick.done("score", "holiday.mp4", "--music", clips / "music_calm_acoustic_1.opus", "-o", "own.mp4")
    assert report["tracks"] == []
    answer = quick.sotto("score", "holiday.mp4", "--music", "none.mp3", "-o", "no.mp4", "--json")
    assert (answer.code, answer.json["error"]["code"]) == (2, "INPUT_UNREADABLE")
    assert not (quick.work / "no.mp4").exists()


@pytest.mark.long
@pytest.mark.clips
def test_the_mood_of_a_video_is_said_in_words(home: Home, holiday: Path) -> None:
    report = home.done("mood", "holiday.mp4")
    assert report["engine"] == "keyframes"
    assert report["mood"]["primary_mood"]
    assert 0 <= report["mood"]["confidence"] <= 1


@pytest.mark.long
def test_a_silent_video_gets_music_and_a_recording_without_picture_too(
    quick: SameProcess, make_video: MakeVideo
) -> None:
    make_video(quick.work / "silent.mp4", 6.0)
    assert quick.done("score", "silent.mp4", "--engine", "tone", "-o", "out.mp4")["tracks"]
    quick.done("generate", "x", "--engine", "tone", "--duration", "6", "-o", "talk.wav")
    quick.done("score", "talk.wav", "--no-music", "-o", "level.wav")
    assert decode(quick.work / "level.wav").frames == 6 * RATE

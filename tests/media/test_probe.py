from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import MakeVideo

from sottovoce.audio import Audio
from sottovoce.media.encode import Format, encode, format_of
from sottovoce.media.probe import VideoFacts, probe

Chord = Callable[..., Audio]


@pytest.mark.parametrize(
    ("name", "container", "codec"),
    [
        ("a.wav", "wav", "pcm_s24le"),
        ("a.flac", "flac", "flac"),
        ("a.mp3", "mp3", "mp3float"),
        ("a.opus", "ogg", "opus"),
        ("a.ogg", "ogg", "opus"),
        ("a.m4a", "mov", "aac"),
    ],
)
def test_sound_files(tmp_path: Path, chord: Chord, name: str, container: str, codec: str) -> None:
    path = tmp_path / name
    encode(chord(48_000, 2, 72_000), path, format_of(path))
    info = probe(path)
    assert (info.path, info.container, info.codec, info.rate, info.channels) == (path, container, codec, 48_000, 2)
    assert info.seconds == pytest.approx(1.5, abs=0.01)
    assert info.has_sound
    assert not info.has_video


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "webm"])
def test_videos(tmp_path: Path, make_video: MakeVideo, chord: Chord, ending: str) -> None:
    info = probe(make_video(tmp_path / f"a.{ending}", 3, fps=25, audio=chord()))
    assert info.video is not None
    assert (info.video.width, info.video.height, info.video.fps) == (64, 48, 25)
    assert info.seconds == pytest.approx(3.0, abs=0.03)
    assert info.rate == 48_000


def test_a_video_without_sound(tmp_path: Path, make_video: MakeVideo) -> None:
    info = probe(make_video(tmp_path / "a.mp4", 1))
    assert info.video == VideoFacts(64, 48, 10.0, "h264", 10)
    assert (info.rate, info.channels, info.codec, info.has_sound) == (None, None, None, False)


def test_a_name_says_nothing(tmp_path: Path, chord: Chord) -> None:
    encode(chord(), tmp_path / "a.mp3", Format("flac"))
    assert probe(tmp_path / "a.mp3").codec == "flac"


def test_a_live_recording_without_length(tmp_path: Path, make_video: MakeVideo, chord: Chord) -> None:
    path = make_video(tmp_path / "a.webm", 3, audio=chord())
    data = path.read_bytes()
    # Matroska's Duration element, as browsers leave it out of their recordings: an unknown element instead.
    assert data.count(b"\x44\x89\x88") == 1
    path.write_bytes(data.replace(b"\x44\x89\x88", b"\x44\x8a\x88"))
    assert probe(path).seconds == pytest.approx(3.0, abs=0.15)


def test_real_clips(clips: Path) -> None:
    info = probe(clips / "song_demucs_test.mp3")
    assert (info.rate, info.channels) == (44_100, 2)
    assert info.seconds == pytest.approx(20.0, abs=0.05)

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from tests.conftest import MakeVideo

from sottovoce.media import survey as surveying
from sottovoce.media.survey import difference
from sottovoce.media.video import cuts, glance, keyframes


@pytest.fixture
def sparing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every video were too long to decode each frame."""
    monkeypatch.setattr(surveying, "_ALL_PIXELS", 0)


def test_every_cut_of_a_short_clip_is_found(tmp_path: Path, make_video: MakeVideo) -> None:
    at = [1.0, 2.5, 2.9, 6.0]
    found = cuts(make_video(tmp_path / "a.mp4", 8, cuts=at))
    assert [cut.seconds for cut in found] == pytest.approx(at, abs=0.001)
    assert all(0.25 < cut.weight <= 1 and cut.within == 0 for cut in found)


def test_a_still_clip_has_no_cuts(tmp_path: Path, make_video: MakeVideo) -> None:
    assert cuts(make_video(tmp_path / "a.mp4", 4)) == []


def test_a_flash_and_a_pan_are_no_cuts(tmp_path: Path) -> None:
    scene = np.random.default_rng(0).integers(60, 190, (6, 20, 3)).astype(np.uint8).repeat(16, 0).repeat(16, 1)
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "12"})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for index in range(90):
            pixels = (
                np.full((96, 128, 3), 255, np.uint8)
                if index == 40
                else np.ascontiguousarray(scene[:, 2 * index : 2 * index + 128])
            )
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert cuts(tmp_path / "a.mp4") == []


@pytest.mark.long
@pytest.mark.usefixtures("sparing")
@pytest.mark.parametrize("gop", [10, 25])
def test_cuts_of_a_long_video_are_found_between_key_pictures(tmp_path: Path, make_video: MakeVideo, gop: int) -> None:
    at = [3.3, 9.7, 15.0, 22.4]
    found = cuts(make_video(tmp_path / "a.mp4", 30, cuts=at, gop=gop))
    assert [cut.seconds for cut in found] == pytest.approx(at, abs=0.11)


@pytest.mark.usefixtures("sparing")
def test_without_leave_to_look_closer_times_say_how_sharp_they_are(
    tmp_path: Path, make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surveying, "_CLOSE_PIXELS", 0)
    at = [3.3, 9.7]
    found = cuts(make_video(tmp_path / "a.mp4", 12, cuts=at))
    assert len(found) == 2
    for cut, truth in zip(found, at, strict=True):
        assert 0 < cut.within <= 1
        assert abs(cut.seconds - truth) <= cut.within + 0.05


@pytest.mark.usefixtures("sparing")
def test_a_key_picture_out_of_turn_is_a_cut(tmp_path: Path) -> None:
    # What x264 does by itself: a key picture where a new scene begins, else one in 20.
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream(
            "libx264", rate=10, options={"preset": "veryfast", "g": "20", "x264-params": "scenecut=60:min-keyint=1"}
        )
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        draw = np.random.default_rng(1)
        scenes = [draw.integers(0, 255, (6, 8, 3)).astype(np.uint8).repeat(8, 0).repeat(8, 1) for _ in range(2)]
        for index in range(100):
            frame = av.VideoFrame.from_ndarray(scenes[index >= 47], format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert [cut.seconds for cut in cuts(tmp_path / "a.mp4")] == pytest.approx([4.7])


@pytest.mark.long
def test_a_glance_is_small_even_and_bounded(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "a.mp4", 12, cuts=[6], size=(160, 90))
    pictures = glance(path, width=32, most=50)
    assert 25 <= len(pictures) <= 50
    assert {picture.pixels.shape for picture in pictures} == {(18, 32, 3)}
    times = np.array([picture.seconds for picture in pictures])
    assert np.ptp(np.diff(times)) < 1e-6
    assert times[0] == 0
    assert times[-1] > 11
    # The maker's first two colours, before and after the cut.
    assert pictures[0].pixels[-1, -1] == pytest.approx([40, 60, 160], abs=12)
    assert pictures[-1].pixels[-1, -1] == pytest.approx([190, 60, 40], abs=12)


@pytest.mark.long
@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov", "webm"])
def test_keyframes_are_where_they_should_be(tmp_path: Path, make_video: MakeVideo, ending: str) -> None:
    path = make_video(tmp_path / f"a.{ending}", 10, cuts=[5], size=(128, 72), gop=30)
    found = keyframes(path, count=4, width=64)
    assert [picture.seconds for picture in found] == pytest.approx([2, 4, 6, 8], abs=0.55)
    assert {picture.pixels.shape for picture in found} == {(36, 64, 3)}
    reds = [int(picture.pixels[-1, -1, 0]) for picture in found]
    assert reds == pytest.approx([40, 40, 190, 190], abs=12)


def test_more_keyframes_than_frames(tmp_path: Path, make_video: MakeVideo) -> None:
    found = keyframes(make_video(tmp_path / "a.mp4", 0.5), count=40)
    assert 1 <= len(found) <= 5
    assert len({picture.seconds for picture in found}) == len(found)


def test_a_turned_video_is_upright(tmp_path: Path) -> None:
    pixels = np.zeros((48, 96, 3), np.uint8)
    pixels[:, :48] = (200, 0, 0)
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=5)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 96, 48, "yuv420p"
        stream.set_display_rotation(90)
        for index in range(5):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 5)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    picture = keyframes(tmp_path / "a.mp4", count=1, width=64)[0].pixels
    assert picture.shape == (64, 32, 3)
    # Turned a quarter against the clock, what was left is below.
    assert picture[-4, 16, 0] > 150
    assert picture[4, 16, 0] < 60


def test_difference_is_a_measure() -> None:
    draw = np.random.default_rng(0)
    one, other = (draw.integers(0, 255, (20, 30, 3)).astype(np.uint8) for _ in range(2))
    black, white = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
    assert difference(one, one) == 0
    assert difference(one, other) == pytest.approx(difference(other, one))
    assert difference(black, white) == 1
    assert difference(one, np.roll(one, 1, axis=1)) < 0.6

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from tests.conftest import MakeVideo

from sottovoce.audio import ArrayReader, Audio
from sottovoce.errors import CorruptMedia, OutputNotWritable, UnsupportedFormat
from sottovoce.media.decode import FileReader, decode
from sottovoce.media.probe import probe
from sottovoce.media.video import replace_sound

Clicks = Callable[..., Audio]
Onsets = Callable[[Audio], np.ndarray]
Packets = Callable[[Path], list[str]]


def times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        begin = stream.start_time or 0
        return sorted(
            float((p.pts - begin) * p.time_base) for p in container.demux(stream) if p.pts is not None and p.size
        )


PAIRS = [
    (".mp4", ".mp4"),
    (".mov", ".mp4"),
    (".mkv", ".mp4"),
    (".mp4", ".mkv"),
    (".mkv", ".mov"),
    (".webm", ".webm"),
    (".webm", ".mkv"),
]


@pytest.mark.parametrize(("ending", "into"), PAIRS)
@pytest.mark.parametrize("rate", [48_000, 44_100])
def test_pictures_stay_and_sound_lies_where_it_should(
    tmp_path: Path,
    make_video: MakeVideo,
    clicks: Clicks,
    onsets: Onsets,
    picture_packets: Packets,
    ending: str,
    into: str,
    rate: int,
) -> None:
    video = make_video(tmp_path / f"in{ending}", 5, cuts=[2], audio=Audio(np.zeros((1, 96_000), np.float32), 48_000))
    output = tmp_path / f"out{into}"
    replace_sound(video, clicks(5, rate=rate), output, tags={"title": "Füße"})
    assert picture_packets(output) == picture_packets(video)
    assert times(output) == pytest.approx(times(video), abs=0.001)
    assert onsets(decode(output, rate=48_000)) == pytest.approx(np.arange(0.5, 5) * 48_000, abs=48)
    info = probe(output)
    assert info.seconds == pytest.approx(5.0, abs=0.025)
    assert (info.rate, info.channels, info.tags["title"]) == (48_000, 2, "Füße")


@pytest.mark.long
def test_ten_minutes_do_not_drift(
    tmp_path: Path, make_video: MakeVideo, clicks: Clicks, onsets: Onsets, picture_packets: Packets
) -> None:
    video = make_video(tmp_path / "long.mp4", 600, fps=5, size=(32, 32), gop=120)
    output = tmp_path / "out.mp4"
    # 44.1 kHz, so that resampling and AAC both could drift.
    sound = clicks(600, every=60, rate=44_100)
    replace_sound(video, ArrayReader(Audio(sound.samples[:1], sound.rate)), output)
    assert picture_packets(output) == picture_packets(video)
    found = onsets(decode(output))
    assert found == pytest.approx(np.arange(30, 600, 60) * 48_000, abs=8)
    with av.open(str(output)) as container:
        lengths = [
            float(stream.duration * stream.time_base)
            for stream in container.streams
            if stream.duration and stream.time_base
        ]
    assert lengths == pytest.approx([600, 600], abs=1e-4)


@pytest.mark.parametrize("seconds", [1.0, 9.0])
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_sound_gets_the_length_of_the_picture(
    tmp_path: Path, make_video: MakeVideo, clicks: Clicks, seconds: float, ending: str
) -> None:
    video = make_video(tmp_path / "in.mp4", 4)
    output = tmp_path / f"out.{ending}"
    replace_sound(video, clicks(seconds), output)
    heard = decode(output)
    assert heard.seconds == pytest.approx(4.0, abs=0.025)
    assert np.abs(heard.samples[:, 48_000:]).max() > 0.5 or seconds == 1.0


def test_mono_and_surround(tmp_path: Path, make_video: MakeVideo) -> None:
    video = make_video(tmp_path / "in.mp4", 1)
    for channels, kept in ((1, 1), (6, 2)):
        output = tmp_path / f"{channels}.mp4"
        replace_sound(video, Audio(np.full((channels, 48_000), 0.1, np.float32), 48_000), output)
        assert probe(output).channels == kept


def test_a_video_can_be_written_over_itself(
    tmp_path: Path, make_video: MakeVideo, clicks: Clicks, picture_packets: Packets
) -> None:
    video = make_video(tmp_path / "in.mp4", 2)
    before = picture_packets(video)
    replace_sound(video, clicks(2), video)
    assert picture_packets(video) == before
    assert FileReader(video).frames == 96_000
    assert list(tmp_path.iterdir()) == [video]


def test_the_same_again_gives_the_same_bytes(tmp_path: Path, make_video: MakeVideo, clicks: Clicks) -> None:
    video = make_video(tmp_path / "in.mp4", 2)
    for ending in ("mp4", "mkv"):
        outputs = [tmp_path / f"{half}.{ending}" for half in "ab"]
        for output in outputs:
            replace_sound(video, clicks(2), output)
        assert outputs[0].read_bytes() == outputs[1].read_bytes()


def _film(path: Path, codec: str, *, first: int = 0, turned: int = 0, words: str | None = None) -> Path:
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "Urlaub"
        stream = container.add_stream(codec, rate=10)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        if turned:
            stream.set_display_rotation(turned)
        if words:
            container.set_chapters(
                [{"id": 1, "start": 0, "end": 1000, "time_base": Fraction(1, 1000), "metadata": {"title": words}}]
            )
        for index in range(20):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), index * 10, np.uint8), format="rgb24")
            frame.pts, frame.time_base = index + first, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_what_players_need_is_kept(tmp_path: Path, clicks: Clicks) -> None:
    video = _film(tmp_path / "in.mp4", "libx264", turned=90, words="Anfang")
    output = tmp_path / "out.mp4"
    replace_sound(video, clicks(2), output, tags={"artist": "ich"})
    with av.open(str(output)) as container:
        assert next(container.decode(video=0)).rotation == 90
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["Anfang"]
        assert (container.metadata["title"], container.metadata["artist"]) == ("Urlaub", "ich")


def test_hevc_keeps_the_name_that_apple_plays(tmp_path: Path, clicks: Clicks) -> None:
    video = _film(tmp_path / "in.mkv", "libx265")
    replace_sound(video, clicks(2), tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"


@pytest.mark.parametrize("ending", ["mkv", "ts"])
def test_a_late_first_picture_is_time_zero(tmp_path: Path, clicks: Clicks, onsets: Onsets, ending: str) -> None:
    video = _film(tmp_path / f"in.{ending}", "mpeg4" if ending == "mkv" else "libx264", first=50)
    output = tmp_path / "out.mp4"
    replace_sound(video, clicks(2), output)
    assert times(output)[0] == 0
    assert probe(output).seconds == pytest.approx(2.0, abs=0.01)
    assert onsets(decode(output)) == pytest.approx([24_000, 72_000], abs=8)


def test_what_cannot_be_done_is_said_and_leaves_nothing(tmp_path: Path, make_video: MakeVideo, clicks: Clicks) -> None:
    video = make_video(tmp_path / "in.mp4", 1)
    for name in ("out.avi", "out", "out.webm"):
        with pytest.raises(UnsupportedFormat, match=r"out|webm"):
            replace_sound(video, clicks(1), tmp_path / name)
    with pytest.raises(OutputNotWritable):
        replace_sound(video, clicks(1), tmp_path / "none" / "out.mp4")
    sound = tmp_path / "sound.mp4"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("aac", rate=48_000)
        silence = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        silence.sample_rate = 48_000
        container.mux(stream.encode(silence))
        container.mux(stream.encode(None))
    with pytest.raises(UnsupportedFormat, match="no moving picture"):
        replace_sound(sound, clicks(1), tmp_path / "out.mp4")
    sound.unlink()
    data = video.read_bytes()
    video.write_bytes(data[: len(data) // 2])
    with pytest.raises(CorruptMedia):
        replace_sound(video, clicks(1), tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == [video]

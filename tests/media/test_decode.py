from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from tests.conftest import MakeVideo

from sottovoce.audio import Audio
from sottovoce.errors import CorruptMedia, InputUnreadable, InvalidParameter, UnsupportedFormat
from sottovoce.media.decode import FileReader, decode
from sottovoce.media.encode import Format, encode

Chord = Callable[..., Audio]


def test_blocks_begin_anew_each_time(tmp_path: Path, chord: Chord) -> None:
    encode(chord(44_100, 2, 30_000), tmp_path / "a.mp3", Format("mp3"))
    reader = FileReader(tmp_path / "a.mp3")
    first, second = list(reader.blocks(7000)), list(reader.blocks(7000))
    assert [block.shape for block in first] == [(2, 7000)] * 4 + [(2, 2000)]
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("size", [1, 777, 1 << 20])
def test_any_size_of_block_gives_the_same_sound(tmp_path: Path, chord: Chord, size: int) -> None:
    encode(chord(48_000, 1, 3000), tmp_path / "a.flac", Format("flac"))
    joined = np.concatenate(list(FileReader(tmp_path / "a.flac").blocks(size)), axis=1)
    assert np.array_equal(joined, decode(tmp_path / "a.flac").samples)


@pytest.mark.parametrize(("rate_in", "rate_out"), [(44_100, 48_000), (48_000, 16_000), (192_000, 44_100)])
def test_resampling_while_reading_has_the_promised_length(
    tmp_path: Path, chord: Chord, rate_in: int, rate_out: int
) -> None:
    encode(chord(rate_in, 2, rate_in + 13), tmp_path / "a.wav", Format("wav"))
    reader = FileReader(tmp_path / "a.wav", rate=rate_out)
    frames = sum(block.shape[1] for block in reader.blocks(1000))
    assert frames == reader.frames == round((rate_in + 13) * rate_out / rate_in)
    truth = chord(rate_out, 2, frames).samples
    heard = decode(tmp_path / "a.wav", rate=rate_out).samples
    middle = slice(rate_out // 10, -rate_out // 10)
    assert np.abs(truth - heard)[:, middle].max() < 1e-4


def test_surround_folds_with_its_centre_three_decibels_down(tmp_path: Path) -> None:
    # One tone per speaker: FL FR FC LFE BL BR.
    time = np.arange(48_000) / 48_000
    tones = np.array([0.2 * np.sin(2 * np.pi * 100 * (index + 1) * time) for index in range(6)]).astype(np.float32)
    encode(Audio(tones, 48_000), tmp_path / "a.wav", Format("wav", "float"))
    stereo = decode(tmp_path / "a.wav", channels=2).samples
    half = np.float32(np.sqrt(0.5))
    assert stereo[0] == pytest.approx(tones[0] + half * (tones[2] + tones[4]), abs=1e-6)
    assert stereo[1] == pytest.approx(tones[1] + half * (tones[2] + tones[5]), abs=1e-6)
    assert decode(tmp_path / "a.wav", channels=1).samples[0] == pytest.approx(stereo.mean(axis=0), abs=1e-6)


def test_mono_goes_to_both_sides_and_back(tmp_path: Path, chord: Chord) -> None:
    encode(chord(48_000, 1, 500), tmp_path / "a.wav", Format("wav", "float"))
    mono, stereo = decode(tmp_path / "a.wav").samples, decode(tmp_path / "a.wav", channels=2).samples
    assert np.array_equal(stereo, np.vstack([mono, mono]))


def test_impossible_wishes(tmp_path: Path, chord: Chord) -> None:
    encode(chord(48_000, 2, 500), tmp_path / "a.wav", Format("wav"))
    with pytest.raises(InvalidParameter, match="channels"):
        FileReader(tmp_path / "a.wav", channels=5)
    with pytest.raises(InvalidParameter, match="rate"):
        FileReader(tmp_path / "a.wav", rate=0)


@pytest.mark.parametrize("dtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_every_depth_is_scaled_to_one(tmp_path: Path, dtype: str) -> None:
    ramp = np.linspace(-1, 0.99, 1000, dtype=np.float32)
    soundfile.write(tmp_path / "a.wav", ramp, 8000, subtype=dtype)
    assert decode(tmp_path / "a.wav").samples[0] == pytest.approx(ramp, abs=0.009 if dtype == "PCM_U8" else 1e-4)


def test_real_clips_agree_with_libsndfile(clips: Path) -> None:
    for name in ("singing_vocadito_10.wav", "speech_jfk.flac", "song_demucs_test.mp3", "music_calm_acoustic_1.opus"):
        ours = decode(clips / name)
        theirs, rate = soundfile.read(str(clips / name), dtype="float32", always_2d=True)
        assert rate == ours.rate
        # libsndfile keeps the decoder's 529 samples of delay at the head of MP3, and the padding at its end.
        lag = max(0, theirs.shape[0] - ours.frames) if name.endswith("mp3") else 0
        best = min(
            float(np.abs(theirs.T[:, shift : shift + 100_000] - ours.samples[:, :100_000]).max())
            for shift in {0, lag, 529, 1105}
        )
        assert best < 1e-3, name


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".webm"])
@pytest.mark.parametrize("late", [0.0, 0.5])
def test_sound_in_a_video_counts_from_the_first_picture(
    tmp_path: Path,
    make_video: MakeVideo,
    clicks: Callable[..., Audio],
    onsets: Callable[[Audio], np.ndarray],
    ending: str,
    late: float,
) -> None:
    video = make_video(tmp_path / f"a{ending}", 4, audio=clicks(3), sound_at=late)
    found = onsets(decode(video, rate=48_000))
    # Matroska counts milliseconds, and so does the edit list that PyAV's muxer makes by default.
    assert found == pytest.approx(np.array([0.5, 1.5, 2.5]) * 48_000 + late * 48_000, abs=64)


def _packets(path: Path, starts: list[float], *, picture_at: float = 0.0) -> None:
    """A Matroska video with a tenth of a second of a 0.5 DC sound at each of `starts`."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=10)
        picture.width, picture.height, picture.pix_fmt = 32, 32, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=48_000, layout="mono")
        for index in range(20):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            frame.pts, frame.time_base = index + round(picture_at * 10), Fraction(1, 10)
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        for start in starts:
            block = av.AudioFrame.from_ndarray(np.full((1, 4800), 2**14, np.int16), format="s16", layout="mono")
            block.sample_rate, block.pts, block.time_base = 48_000, round(start * 48_000), Fraction(1, 48_000)
            container.mux(sound.encode(block))
        container.mux(sound.encode(None))


def test_gaps_become_silence_and_nothing_drifts(tmp_path: Path) -> None:
    _packets(tmp_path / "a.mkv", [0.0, 0.1, 0.5, 0.6, 1.3])
    heard = decode(tmp_path / "a.mkv").samples[0]
    truth = np.zeros(67_200, np.float32)
    for start in (0.0, 0.1, 0.5, 0.6, 1.3):
        truth[round(start * 48_000) : round((start + 0.1) * 48_000)] = 0.5
    assert heard.size == pytest.approx(truth.size, abs=48)
    assert np.mean(heard[:67_000] != truth[:67_000]) < 0.005


def test_jitter_of_timestamps_is_let_be(tmp_path: Path) -> None:
    _packets(tmp_path / "a.mkv", [0.0, 0.11, 0.19, 0.3])
    assert np.all(decode(tmp_path / "a.mkv").samples == 0.5)


def test_sound_before_the_first_picture_is_left_out(tmp_path: Path) -> None:
    _packets(tmp_path / "a.mkv", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5], picture_at=0.2)
    assert FileReader(tmp_path / "a.mkv").frames == pytest.approx(0.4 * 48_000, abs=48)


def test_a_video_without_sound(tmp_path: Path, make_video: MakeVideo) -> None:
    with pytest.raises(UnsupportedFormat, match="no sound"):
        FileReader(make_video(tmp_path / "mute.mp4"))


@pytest.mark.long
@pytest.mark.parametrize("ending", ["mp4", "mkv", "flac"])
def test_a_file_cut_short_says_so(tmp_path: Path, make_video: MakeVideo, chord: Chord, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    if ending == "flac":
        encode(chord(48_000, 2, 480_000), path, Format("flac"))
    else:
        make_video(path, 10, audio=chord(48_000, 2, 480_000))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptMedia, match="damaged or cut short"):
        decode(path)


def test_a_damaged_stretch_keeps_the_length(tmp_path: Path, chord: Chord) -> None:
    path = tmp_path / "a.mp3"
    encode(chord(44_100, 2, 441_000), path, Format("mp3"))
    whole = bytearray(path.read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 3000] = bytes(3000)
    path.write_bytes(whole)
    reader = FileReader(path)
    assert reader.frames == pytest.approx(441_000, abs=6 * 1152)
    heard = decode(path).samples
    assert np.abs(heard[:, :200_000] - chord(44_100, 2, 441_000).samples[:, :200_000]).max() < 0.05


def test_a_file_that_vanishes(tmp_path: Path, chord: Chord) -> None:
    path = tmp_path / "a.wav"
    encode(chord(), path, Format("wav"))
    reader = FileReader(path)
    path.unlink()
    with pytest.raises(InputUnreadable, match=r"a\.wav cannot be read: No such file"):
        next(reader.blocks(100))


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path, chord: Chord) -> None:
    path = tmp_path / "a.flac"
    encode(
        Audio(np.random.default_rng(0).normal(0, 0.1, (2, 480_000)).astype(np.float32), 48_000), path, Format("flac")
    )
    blocks = FileReader(path).blocks(4096)
    next(blocks)
    path.write_bytes(b"")
    with pytest.raises(CorruptMedia, match=r"ends after .* of 10\.0 seconds"):
        list(blocks)


def test_samples_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([0.1, np.nan, 0.2], np.float32), 8000, subtype="FLOAT")
    with pytest.raises(CorruptMedia, match="no numbers"):
        decode(tmp_path / "a.wav")

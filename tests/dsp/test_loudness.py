import math
from collections.abc import Callable

import av
import numpy as np
import pyloudnorm
import pytest

from sottovoce.audio import Samples
from sottovoce.dsp.loudness import (
    LoudnessMeter,
    gain_for,
    integrated,
    k_weighting,
    loudness_range,
    momentary,
    rms_db,
    short_term,
    true_peak_db,
)
from sottovoce.dsp.resample import resample


def ffmpeg_ebur128(samples: Samples, rate: int, layout: str) -> dict[str, float]:
    """FFmpeg's own meter: I (LUFS), LRA (LU) and true_peak (an amplitude)."""
    graph = av.filter.Graph()
    source = graph.add("abuffer", f"sample_rate={rate}:sample_fmt=flt:channel_layout={layout}:time_base=1/{rate}")
    meter = graph.add("ebur128", "metadata=1:peak=true")
    sink = graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T.reshape(1, -1)), format="flt", layout=layout)
    frame.sample_rate, frame.pts = rate, 0
    source.push(frame)
    source.push(None)
    read: dict[str, str] = {}
    while True:
        try:
            read = dict(sink.pull().metadata)
        except (av.error.EOFError, av.error.BlockingIOError):
            return {key.removeprefix("lavfi.r128."): float(value) for key, value in read.items()}


def speechlike(seconds: float, rate: int, channels: int, seed: int = 0) -> Samples:
    """Noise that falls towards the top and swells once a second or so, with a pause in the middle."""
    rng = np.random.default_rng(seed)
    frames = round(seconds * rate)
    noise = np.cumsum(rng.standard_normal((channels, frames)), axis=1)
    noise -= np.linspace(noise[:, 0], noise[:, -1], frames).T
    swell = 0.3 + np.abs(np.sin(np.arange(frames) / rate * 2.2))
    swell[frames // 2 : frames // 2 + frames // 8] *= 0.001
    sound = np.diff(noise, prepend=0.0) * 0.05 + noise * 0.0005
    return (sound * swell).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_integrated_agrees_with_ffmpeg_at_every_rate(rate: int, channels: int) -> None:
    sound = speechlike(8, rate, channels)
    theirs = ffmpeg_ebur128(sound, rate, "mono" if channels == 1 else "stereo")
    assert integrated(sound, rate) == pytest.approx(theirs["I"], abs=0.1)


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_integrated_agrees_with_pyloudnorm(rate: int) -> None:
    sound = speechlike(12, rate, 2, seed=3)
    theirs = pyloudnorm.meter.Meter(rate).integrated_loudness(sound.T.astype(np.float64))  # type: ignore[no-untyped-call]
    assert integrated(sound, rate) == pytest.approx(theirs, abs=0.1)


def test_surround_weights_agree_with_ffmpeg() -> None:
    sound = speechlike(6, 48_000, 6)
    sound[3] *= 30
    assert integrated(sound, 48_000) == pytest.approx(ffmpeg_ebur128(sound, 48_000, "5.1")["I"], abs=0.1)


@pytest.mark.long
@pytest.mark.clips
@pytest.mark.parametrize("name", ["music_energetic_electronic_2.opus", "speech_jfk.flac", "song_demucs_test.mp3"])
def test_real_clips_agree_with_ffmpeg(clip: Callable[[str], Samples], name: str) -> None:
    sound = clip(name)
    theirs = ffmpeg_ebur128(sound, 48_000, "stereo")
    assert integrated(sound, 48_000) == pytest.approx(theirs["I"], abs=0.05)
    assert loudness_range(sound, 48_000) == pytest.approx(theirs["LRA"], abs=0.3)
    assert true_peak_db(sound, 48_000) == pytest.approx(20 * math.log10(theirs["true_peak"]), abs=0.05)


def test_filter_is_the_tabulated_one_at_48_khz() -> None:
    table = [
        [1.53512485958697, -2.69169618940638, 1.19839281085285, 1, -1.69065929318241, 0.73248077421585],
        [1, -2, 1, 1, -1.99004745483398, 0.99007225036621],
    ]
    np.testing.assert_allclose(k_weighting(48_000), table, atol=1e-9)


def test_full_scale_sine_reads_as_the_standard_says() -> None:
    tone = np.sin(2 * np.pi * 997 * np.arange(96_000) / 48_000, dtype=np.float64).astype(np.float32)
    assert integrated(tone[None], 48_000) == pytest.approx(-3.01, abs=0.02)
    assert integrated(np.stack([tone, tone]), 48_000) == pytest.approx(0.0, abs=0.02)
    assert rms_db(tone[None]) == pytest.approx(-3.01, abs=0.01)


@pytest.mark.parametrize("frames", [0, 1, 100, 48_000])
def test_silence_and_nothing_are_minus_infinity(frames: int) -> None:
    silent = np.zeros((2, frames), np.float32)
    assert integrated(silent, 48_000) == -math.inf
    assert true_peak_db(silent, 48_000) == -math.inf
    assert rms_db(silent) == -math.inf
    assert loudness_range(silent, 48_000) == 0.0
    assert np.all(short_term(silent, 48_000) == -np.inf)


def test_shorter_than_a_window_is_one_window() -> None:
    tone = np.sin(np.arange(9_600) * 0.13, dtype=np.float64).astype(np.float32)[None]
    assert integrated(tone, 48_000) == pytest.approx(integrated(np.tile(tone, 20), 48_000), abs=0.3)
    assert momentary(tone, 48_000).shape == (1,)
    assert short_term(tone, 48_000).shape == (1,)


def test_windows_are_100_ms_apart() -> None:
    sound = speechlike(5.05, 48_000, 2)
    assert momentary(sound, 48_000).shape == (47,)
    assert short_term(sound, 48_000).shape == (21,)


def test_range_of_two_levels_is_their_difference() -> None:
    tone = np.sin(np.arange(48_000 * 20) * 0.13, dtype=np.float64).astype(np.float32)
    steps = np.concatenate([tone * 0.1, tone * 0.1 * 10**-0.5])[None]
    assert loudness_range(steps, 48_000) == pytest.approx(10.0, abs=0.2)


@pytest.mark.long
@pytest.mark.parametrize("size", [1, 37, 4_800, 10_000])
def test_meter_does_not_care_how_the_stream_is_cut(size: int) -> None:
    sound = speechlike(1.23, 16_000, 2)
    meter = LoudnessMeter(16_000, 2)
    for at in range(0, sound.shape[1], size):
        meter.push(sound[:, at : at + size])
    assert meter.integrated() == pytest.approx(integrated(sound, 16_000), abs=1e-9)
    np.testing.assert_allclose(meter.momentary(), momentary(sound, 16_000), atol=1e-9)


def test_gain_brings_to_the_target() -> None:
    sound = speechlike(6, 48_000, 2)
    brought = sound * np.float32(gain_for(-16.0, integrated(sound, 48_000)))
    assert integrated(brought, 48_000) == pytest.approx(-16.0, abs=0.01)
    assert gain_for(-16.0, -math.inf) == 1.0


def test_true_peak_sees_between_the_samples() -> None:
    # A sine at a quarter of the rate, sampled 45 degrees off its crests: every sample is 3 dB low.
    quarter = np.sin(np.pi / 2 * np.arange(4_800) + np.pi / 4, dtype=np.float64).astype(np.float32)[None]
    assert np.abs(quarter).max() == pytest.approx(math.sqrt(0.5), abs=1e-6)
    faded = quarter * np.hanning(4_800).astype(np.float32)
    assert true_peak_db(faded, 48_000) == pytest.approx(0.0, abs=0.02)


def test_true_peak_of_a_finer_rate_is_nearly_the_same() -> None:
    sound = speechlike(2, 48_000, 2)
    fine = true_peak_db(resample(sound, 48_000, 192_000), 192_000)
    assert true_peak_db(sound, 48_000) == pytest.approx(fine, abs=0.1)

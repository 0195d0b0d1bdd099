from collections.abc import Callable

import numpy as np
import pytest
from scipy import signal

from sottovoce.audio import Samples
from sottovoce.dsp.limiter import StreamLimiter, limit
from sottovoce.errors import InvalidParameter

RATE = 48_000


def reached_db(samples: Samples, times: int = 4) -> float:
    """True peak by scipy's polyphase filter, which is not ours."""
    fine = signal.resample_poly(samples, times, 1, axis=1, window=("kaiser", 8.0))
    return float(20 * np.log10(np.abs(fine).max()))


def bursts(seconds: float = 4.0, loud: float = 3.0) -> Samples:
    """Quiet noise with short loud bursts, low-passed at 15 kHz."""
    rng = np.random.default_rng(5)
    noise = rng.standard_normal((2, round(seconds * RATE))) * 0.02
    for start in rng.integers(0, noise.shape[1] - 4000, 12):
        noise[:, start : start + 3000] *= loud / 0.05
    return signal.sosfilt(signal.butter(8, 15_000, fs=RATE, output="sos"), noise, axis=1).astype(np.float32)


@pytest.mark.parametrize("ceiling", [-1.0, -3.0, 0.0])
@pytest.mark.parametrize("loud", [0.5, 1.0, 3.0, 30.0])
def test_no_true_peak_gets_through(ceiling: float, loud: float) -> None:
    made, gain = limit(bursts(loud=loud), RATE, ceiling_db=ceiling)
    assert reached_db(made) <= ceiling
    assert gain.dtype == made.dtype == np.float32
    assert gain.max() <= 1.0


def test_crests_between_samples_are_seen() -> None:
    # All samples of this tone are 0.9 of 0 dB crests: nothing clips, but the crests are 3 dB higher.
    off_crest = 0.9 * np.sign(np.sin(np.pi / 2 * np.arange(9_600) + np.pi / 4, dtype=np.float64))
    tone = np.stack([off_crest, off_crest]).astype(np.float32)
    assert reached_db(tone) > 1.9
    made, _ = limit(tone, RATE)
    assert reached_db(made, 16) <= -0.95


@pytest.mark.long
@pytest.mark.clips
@pytest.mark.parametrize("gain", [1.0, 2.0, 10.0])
def test_real_music_stays_under_a_finer_meter(clip: Callable[[str], Samples], gain: float) -> None:
    made, _ = limit(clip("song_demucs_test.mp3") * np.float32(gain), RATE)
    assert reached_db(made, 4) <= -1.0
    assert reached_db(made, 16) <= -0.98


def test_what_is_below_passes_untouched() -> None:
    quiet = bursts(loud=0.05)
    made, gain = limit(quiet, RATE)
    assert np.array_equal(made, quiet)
    assert np.all(gain == 1.0)


def test_gain_is_one_away_from_the_peaks_and_smooth_near_them() -> None:
    sound = np.zeros((2, RATE * 2), np.float32)
    sound[:, RATE : RATE + 480] = 2 * np.sin(np.arange(480) * 0.3, dtype=np.float64)
    _, gain = limit(sound, RATE)
    assert np.all(gain[: RATE - 1000] == 1.0)
    assert np.all(gain[RATE + RATE // 2 :] == 1.0)
    assert gain[RATE : RATE + 480].max() < 0.5
    assert np.abs(np.diff(gain)).max() < 0.003


def test_stems_times_the_gain_add_up_to_the_master() -> None:
    rng = np.random.default_rng(0)
    stems = rng.standard_normal((3, 2, RATE)).astype(np.float32)
    master, gain = limit(stems.sum(axis=0), RATE)
    np.testing.assert_allclose((stems * gain).sum(axis=0), master, atol=1e-6)


@pytest.mark.parametrize("size", [1000, 48_000, 500_000])
def test_stream_gives_the_same(size: int) -> None:
    sound = bursts(seconds=12)
    stream = StreamLimiter(RATE, 2)
    parts = [stream.push(sound[:, at : at + size]) for at in range(0, sound.shape[1], size)]
    parts.append(stream.flush())
    whole, curve = limit(sound, RATE)
    np.testing.assert_allclose(np.concatenate([part for part, _ in parts], axis=1), whole, atol=1e-6)
    np.testing.assert_allclose(np.concatenate([gain for _, gain in parts]), curve, atol=1e-6)


@pytest.mark.parametrize("frames", [0, 1, 15, 16, 17, 100])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_short_sounds_of_any_width(frames: int, channels: int) -> None:
    loud = np.full((channels, frames), 2.0, np.float32)
    made, gain = limit(loud, RATE)
    assert made.shape == loud.shape
    assert gain.shape == (frames,)
    assert np.abs(made).max(initial=0.0) < 0.9
    stream = StreamLimiter(RATE, channels)
    assert stream.push(loud)[0].shape[1] + stream.flush()[0].shape[1] == frames


@pytest.mark.parametrize("times", [{"look_ahead": 0.0}, {"release": -1.0}])
def test_impossible_times_are_refused(times: dict[str, float]) -> None:
    with pytest.raises(InvalidParameter, match="longer than 0"):
        limit(np.zeros((1, 10), np.float32), RATE, **times)

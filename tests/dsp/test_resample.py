import numpy as np
import pytest

from sottovoce.audio import Samples
from sottovoce.dsp.resample import StreamResampler, resample, resampled_frames
from sottovoce.errors import InvalidParameter

RATES = [(44100, 48000), (48000, 44100), (8000, 48000), (192000, 48000), (48000, 11025), (44100, 44100)]


def sine(hertz: float, rate: int, frames: int) -> Samples:
    return np.sin(2 * np.pi * hertz * np.arange(frames) / rate, dtype=np.float64).astype(np.float32)[None]


def streamed(samples: Samples, rates: tuple[int, int], size: int) -> Samples:
    stream = StreamResampler(*rates, samples.shape[0])
    blocks = [stream.push(samples[:, at : at + size]) for at in range(0, samples.shape[1], size)]
    return np.concatenate([*blocks, stream.flush()], axis=1)


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("frames", [1, 7, 441, 4410, 44_101])
def test_length_is_exact_and_streaming_equals_one_shot(rates: tuple[int, int], frames: int) -> None:
    noise = np.random.default_rng(frames).standard_normal((2, frames)).astype(np.float32)
    whole = resample(noise, *rates)
    assert whole.shape == (2, resampled_frames(frames, *rates))
    assert whole.dtype == np.float32
    assert whole.flags.c_contiguous
    np.testing.assert_allclose(streamed(noise, rates, 1000), whole, atol=1e-6)


@pytest.mark.parametrize("rates", [(44100, 48000), (48000, 44100), (96000, 48000)])
def test_tone_keeps_pitch_level_and_place(rates: tuple[int, int]) -> None:
    made = resample(sine(997, rates[0], rates[0]), *rates)[0]
    wanted = sine(997, rates[1], rates[1])[0]
    middle = slice(2000, -2000)
    assert np.abs(made[middle] - wanted[middle]).max() < 1e-5


def test_what_the_new_rate_cannot_hold_is_gone() -> None:
    made = resample(sine(15_000, 48_000, 48_000), 48_000, 24_000)
    assert np.abs(made[:, 1000:-1000]).max() < 1e-5


def test_empty_and_unchanged() -> None:
    empty = np.zeros((2, 0), np.float32)
    assert resample(empty, 44_100, 48_000).shape == (2, 0)
    assert streamed(empty, (44_100, 48_000), 100).shape == (2, 0)
    assert resample(sine(100, 8000, 50), 8000, 8000).shape == (1, 50)


def test_views_and_many_channels() -> None:
    wide = np.random.default_rng(1).standard_normal((6, 9000)).astype(np.float32)
    np.testing.assert_allclose(resample(wide, 48_000, 44_100)[3], resample(wide[3:4], 48_000, 44_100)[0], atol=1e-6)
    np.testing.assert_allclose(resample(wide[:, ::2], 2, 3), resample(wide[:, ::2].copy(), 2, 3), atol=0)


@pytest.mark.parametrize("rates", [(0, 48_000), (48_000, -1)])
def test_impossible_rates_are_refused(rates: tuple[int, int]) -> None:
    with pytest.raises(InvalidParameter, match="sample rate"):
        resample(np.zeros((1, 10), np.float32), *rates)
    with pytest.raises(InvalidParameter, match="sample rate"):
        StreamResampler(*rates, 1)

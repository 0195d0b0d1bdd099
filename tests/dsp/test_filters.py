import numpy as np
import pytest

from sottovoce.dsp import filters
from sottovoce.errors import InvalidParameter

RATE = 48_000


def gain_db(sections: filters.Sections, hertz: float) -> float:
    return float(20 * np.log10(abs(filters.response(sections, hertz, RATE))))


def test_passes_are_3_db_down_at_their_corner_and_12_db_an_octave_beyond() -> None:
    low, high = filters.low_pass(1000, RATE), filters.high_pass(1000, RATE)
    assert gain_db(low, 1000) == pytest.approx(-3.01, abs=0.01)
    assert gain_db(high, 1000) == pytest.approx(-3.01, abs=0.01)
    assert gain_db(low, 20) == pytest.approx(0, abs=0.01)
    assert gain_db(low, 4000) - gain_db(low, 2000) == pytest.approx(-12, abs=1)
    assert gain_db(high, 125) - gain_db(high, 250) == pytest.approx(-12, abs=0.2)


def test_shelf_and_bell_have_the_gain_they_were_given() -> None:
    assert gain_db(filters.high_shelf(5000, RATE, 4), 23_900) == pytest.approx(4, abs=0.05)
    assert gain_db(filters.high_shelf(5000, RATE, 4), 50) == pytest.approx(0, abs=0.05)
    assert gain_db(filters.peak(300, RATE, -2), 300) == pytest.approx(-2, abs=0.01)


@pytest.mark.parametrize("slope", [-3.0, 1.5])
def test_tilt_is_a_straight_line(slope: float) -> None:
    octaves = np.arange(-3.3, 3.6, 0.25)
    gains = [gain_db(filters.tilt(RATE, slope), 630 * 2**octave) for octave in octaves]
    np.testing.assert_allclose(gains, slope * octaves, atol=0.5)


@pytest.mark.parametrize("frames", [0, 1, 1000, 200_000])
def test_apply_is_float32_and_does_what_the_response_says(frames: int) -> None:
    tone = np.sin(2 * np.pi * 100 * np.arange(frames) / RATE, dtype=np.float64).astype(np.float32)
    made = filters.apply(filters.high_pass(400, RATE), np.stack([tone, -tone]))
    assert made.dtype == np.float32
    assert made.shape == (2, frames)
    if frames > 100_000:
        gain = np.abs(made[0, 10_000:]).max()
        assert 20 * np.log10(gain) == pytest.approx(gain_db(filters.high_pass(400, RATE), 100), abs=0.01)


def test_stream_equals_whole() -> None:
    noise = np.random.default_rng(0).standard_normal((2, 5000)).astype(np.float32)
    sections = np.concatenate([filters.low_pass(3000, RATE), filters.peak(500, RATE, 6)])
    stream = filters.StreamFilter(sections, 2)
    parts = [stream.push(noise[:, at : at + 700]) for at in range(0, 5000, 700)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), filters.apply(sections, noise), atol=1e-6)


@pytest.mark.parametrize("hertz", [0.0, -5.0, 24_000.0])
def test_impossible_corners_are_refused(hertz: float) -> None:
    with pytest.raises(InvalidParameter, match="filter"):
        filters.low_pass(hertz, RATE)


def test_impossible_q_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="q must be positive"):
        filters.low_pass(1000, RATE, q=0)

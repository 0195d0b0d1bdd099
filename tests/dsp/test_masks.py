import numpy as np
import pytest

from sottovoce.dsp import masks
from sottovoce.dsp.spectrum import Floats, frequencies

BINS, FRAMES = 65, 200


def magnitudes(seed: int = 0) -> Floats:
    return np.abs(np.random.default_rng(seed).standard_normal((BINS, FRAMES))).astype(np.float32)


def test_harmonic_and_percussive_sum_to_one() -> None:
    harmonic, percussive = masks.harmonic_percussive(magnitudes(), low_bins=5)
    np.testing.assert_allclose(harmonic + percussive, 1, atol=1e-6)
    assert harmonic.min() >= 0
    assert harmonic.max() <= 1


def test_a_line_in_time_is_harmonic_and_one_in_frequency_percussive() -> None:
    cross = np.full((BINS, FRAMES), 1e-3, np.float32)
    cross[20], cross[:, 100] = 1, 1
    harmonic, percussive = masks.harmonic_percussive(cross)
    assert harmonic[20, 30:70].min() > 0.99
    assert percussive[40:60, 100].min() > 0.99


def test_a_short_low_sound_is_struck_only_in_the_low_bins() -> None:
    kick = np.full((BINS, FRAMES), 1e-3, np.float32)
    kick[2, 100:104] = 1
    assert masks.harmonic_percussive(kick, low_bins=5)[1][2, 101] > 0.99
    assert masks.harmonic_percussive(kick)[1][2, 101] < 0.6


def test_centre_keeps_what_both_channels_share() -> None:
    draw = np.random.default_rng(3)
    left = (draw.standard_normal((BINS, FRAMES)) + 1j * draw.standard_normal((BINS, FRAMES))).astype(np.complex64)
    np.testing.assert_allclose(masks.centre(left, left), 1, atol=1e-4)
    assert masks.centre(left, -left).max() < 1e-4
    assert masks.centre(left, np.zeros_like(left)).max() < 1e-4
    assert np.median(masks.centre(left, 0.9 * left)) > 0.97


def test_silence_is_shared_out_without_a_warning() -> None:
    nothing = np.zeros((BINS, FRAMES), np.float32)
    back, front = masks.repet_sim(nothing, 0, FRAMES)
    np.testing.assert_allclose(back + front, 1)
    assert np.isfinite(masks.harmonic_percussive(nothing)[0]).all()


def test_repetition_is_background_and_the_rest_foreground() -> None:
    bar = np.abs(np.random.default_rng(5).standard_normal((BINS, 20))).astype(np.float32) + 0.1
    loop = np.tile(bar, 20)
    voiced = loop.copy()
    voiced[30, 150:158] += 5
    back, front = masks.repet_sim(voiced, 140, 30, alike=10, apart=3)
    np.testing.assert_allclose(back + front, 1, atol=1e-6)
    assert front[30, 10:18].min() > 0.6
    assert np.delete(front, 30, axis=0).max() < 0.05


def test_the_background_is_never_more_than_the_whole() -> None:
    whole = magnitudes(4)
    assert (masks.repeating(whole, 50, 40) <= whole[:, 50:90]).all()


def test_fewer_frames_than_are_asked_for_will_do() -> None:
    assert masks.repeating(magnitudes()[:, :3], 0, 3, alike=20).shape == (BINS, 3)


def test_the_low_band_is_half_at_its_edge() -> None:
    hertz = frequencies(48_000, 4800)
    share = masks.low_band(hertz, 200)
    assert share[hertz == 200] == pytest.approx(0.5, abs=1e-6)
    assert share[hertz <= 150].min() == 1
    assert share[hertz >= 260].max() == 0
    assert (np.diff(share) <= 0).all()

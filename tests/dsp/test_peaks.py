import numpy as np
import pytest
from scipy import signal

from sottovoce.audio import Samples
from sottovoce.dsp.peaks import BLOCK, TruePeakMeter, true_peaks


def noise(frames: int, seed: int = 0) -> Samples:
    white = np.random.default_rng(seed).standard_normal((2, frames))
    coloured = signal.sosfilt(signal.butter(6, 0.8, output="sos"), white, axis=1)
    return (coloured * 0.2).astype(np.float32)


def finely(samples: Samples) -> Samples:
    """Sixteen times as many points, with 64 taps on each side."""
    return np.asarray(signal.resample_poly(samples, 16, 1, axis=1, window=("kaiser", 9.0)), np.float32)


def test_blocks_reach_what_a_finer_interpolation_reaches() -> None:
    sound = noise(8_000)
    fine = np.abs(finely(sound)).max(axis=0).reshape(-1, 16 * BLOCK).max(axis=1)
    ours = true_peaks(sound)
    assert ours.shape == (500,)
    # A crest at a block's very end may be counted for the next one.
    assert np.all(np.maximum(ours, np.roll(ours, -1)) > 0.94 * fine)
    assert np.all(ours < 1.02 * fine)


def test_blocks_below_the_mark_are_cheap_but_never_hide_one_above() -> None:
    sound = noise(20_000)
    full = true_peaks(sound)
    mark = float(np.quantile(full, 0.9))
    sparse = true_peaks(sound, above=mark)
    assert np.array_equal(sparse[full > mark], full[full > mark])
    assert np.all(sparse <= full)


@pytest.mark.parametrize("frames", [1, 15, 16, 17, 47, 48, 49, 1000])
@pytest.mark.parametrize("size", [1, 16, 33, 400])
def test_meter_does_not_care_how_the_stream_is_cut(frames: int, size: int) -> None:
    sound = noise(frames, seed=frames)
    meter = TruePeakMeter(2)
    for at in range(0, frames, size):
        meter.push(sound[:, at : at + size])
    assert meter.peak() == pytest.approx(float(true_peaks(sound).max()), rel=1e-6)
    assert meter.peak() == meter.peak()


def test_nothing_reaches_nothing() -> None:
    assert TruePeakMeter(2).peak() == 0.0
    assert true_peaks(np.zeros((2, 0), np.float32)).shape == (0,)

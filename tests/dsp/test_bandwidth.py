import numpy as np
import pytest
from scipy import signal

from sottovoce.dsp.bandwidth import share_above_db, upper_edge

RATE = 48_000


def spectrum_below(hertz: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    noise = np.random.default_rng(0).standard_normal(10 * RATE)
    kept = signal.sosfiltfilt(signal.butter(20, hertz, fs=RATE, output="sos"), noise)
    _, power = signal.welch(kept, RATE, nperseg=1024)
    return np.asarray(power, np.float64)


@pytest.mark.parametrize("hertz", [3_000, 8_000, 16_000])
def test_edge_is_where_the_low_pass_is(hertz: float) -> None:
    assert hertz < upper_edge(spectrum_below(hertz), RATE) < 1.45 * hertz


def test_white_noise_reaches_to_the_top_and_silence_nowhere() -> None:
    flat = np.ones(513)
    assert upper_edge(flat, RATE) == RATE / 2
    assert upper_edge(np.zeros(513), RATE) == 0.0


def test_share_above() -> None:
    assert share_above_db(np.ones(513), RATE, 12_000) == pytest.approx(-3.0, abs=0.05)
    assert share_above_db(np.ones(513), 8_000, 8_000) is None
    assert share_above_db(np.zeros(513), RATE, 8_000) is None

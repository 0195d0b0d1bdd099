import math

import numpy as np
import pytest

from sottovoce.dsp.levels import amplitude, block_peaks, decibels, power_decibels


def test_decibels_and_back() -> None:
    assert decibels(0.5) == pytest.approx(-6.0206, abs=1e-4)
    assert power_decibels(0.5) == pytest.approx(-3.0103, abs=1e-4)
    assert amplitude(decibels(0.3)) == pytest.approx(0.3)
    assert decibels(0.0) == power_decibels(0.0) == -math.inf
    assert amplitude(-math.inf) == 0.0


@pytest.mark.parametrize("frames", [0, 1, 31, 32, 100])
def test_block_peaks_are_the_highest_samples(frames: int) -> None:
    sound = np.random.default_rng(frames).standard_normal((3, frames)).astype(np.float32)
    wanted = [[np.abs(part).max() for part in np.split(row, range(32, frames, 32)) if len(part)] for row in sound]
    np.testing.assert_array_equal(block_peaks(sound, 32), np.array(wanted, np.float32).reshape(3, -1))

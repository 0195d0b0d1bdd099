"""Modal synthesis: the matrix product is the sum of decaying sinusoids it stands for."""

from __future__ import annotations

import numpy as np
import pytest

from sottovoce.synth.modal import Modes, both, modes, ring

RATE = 48_000


def likeness(samples: np.ndarray) -> float:
    """Correlation of left and right."""
    left, right = samples.astype(np.float64)
    return float((left * right).sum() / np.sqrt((left**2).sum() * (right**2).sum()))


def summed(sound: Modes, frames: int) -> np.ndarray:
    time = np.arange(frames) / RATE
    waves = np.exp(-time / sound.decay[:, None] + 2j * np.pi * sound.frequency[:, None] * time)
    return np.imag(sound.amplitude @ waves)


@pytest.mark.parametrize("frames", [1, 511, 512, 513, 20_000, 100_001])
def test_ring_is_the_sum_of_its_modes(frames: int) -> None:
    hertz = 110 * np.arange(1, 31) * np.sqrt(1 + 1e-4 * np.arange(1, 31) ** 2)
    sound = modes(hertz, 2.0 / np.arange(1, 31), 1 / np.arange(1, 31), spread=np.linspace(0, 1, 30))
    made = ring(sound, frames)
    assert made.dtype == np.float32
    assert made.shape == (2, frames)
    assert np.abs(made - summed(sound, frames)).max() < 1e-3 * np.abs(sound.amplitude).sum()


def test_modes_above_hearing_cannot_alias() -> None:
    made = ring(modes([1_000.0, 30_000.0], 0.5, [0.0, 1.0]), 4_096)
    assert np.abs(made).max() < 1e-6


def test_spread_widens_and_its_absence_is_one_channel() -> None:
    mono = ring(modes([440.0], 1.0, 1.0), 4_096)
    wide = ring(modes([440.0], 1.0, 1.0, spread=np.array([0.8])), 4_096)
    assert mono.shape[0] == 1
    assert likeness(wide) == pytest.approx(np.cos(1.6), abs=0.05)


def test_both_adds() -> None:
    one, other = modes([200.0], 0.4, 1.0), modes([300.0], 0.2, 0.5)
    together = ring(both(one, other), 8_000)
    assert np.allclose(together, ring(one, 8_000) + ring(other, 8_000), atol=1e-4)

"""Tables and shaped noise: spectra as asked, loops without a seam."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft

from sottovoce.synth.spectral import TABLE, band, loop, noise, peaks, shaped, table

RATE = 48_000


def likeness(samples: np.ndarray) -> float:
    """Correlation of left and right."""
    left, right = samples.astype(np.float64)
    return float((left * right).sum() / np.sqrt((left**2).sum() * (right**2).sum()))


def energy(samples: np.ndarray, low: float, high: float) -> float:
    power = np.abs(np.fft.rfft(samples)) ** 2
    hertz = np.fft.rfftfreq(samples.size, 1 / RATE)
    return float(power[(hertz >= low) & (hertz < high)].sum() / power.sum())


def test_table_has_unit_power_and_its_harmonics_only() -> None:
    made = table(220.0, np.array([1.0, 0.0, 0.5]), cents=20, rng=np.random.default_rng(1))
    assert made.size == TABLE
    assert np.sqrt(np.mean(made**2)) == pytest.approx(1, abs=1e-3)
    assert energy(made, 200, 240) == pytest.approx(0.8, abs=0.05)
    assert energy(made, 620, 700) == pytest.approx(0.2, abs=0.05)
    assert energy(made, 400, 480) < 1e-3


def test_loop_goes_round_without_a_seam() -> None:
    made = table(220.0, np.array([1.0, 0.5]), cents=20, rng=np.random.default_rng(1))
    around = loop(made, TABLE - 50, 100)
    assert np.array_equal(around[:50], made[-50:])
    assert np.array_equal(around[50:], made[:50])
    assert np.abs(np.diff(around)).max() < 1.5 * np.abs(np.diff(made)).max()
    assert loop(made, 5, 3 * TABLE).size == 3 * TABLE


def test_noise_follows_its_response() -> None:
    made = noise(48_000, band(1_000, 2_000, order=4), np.random.default_rng(2), channels=2)
    assert made.shape == (2, 48_000)
    assert np.sqrt(np.mean(made**2)) == pytest.approx(1, abs=0.02)
    assert energy(made[0], 800, 2_500) > 0.9
    assert abs(likeness(made)) < 0.1


def test_noise_can_be_alike_in_the_lows_only() -> None:
    rng = np.random.default_rng(3)
    made = noise(scipy.fft.next_fast_len(96_000, real=True), lambda f: np.ones_like(f), rng, channels=2, mono_below=500)
    low = shaped(made, band(20, 300, order=4))
    high = shaped(made, band(2_000, 8_000, order=4))
    assert likeness(low) > 0.95
    assert abs(likeness(high)) < 0.1


def test_peaks_raise_what_they_name() -> None:
    gain = peaks((500.0, 1.0, 6.0))(np.array([500.0, 8_000.0]))
    assert 20 * np.log10(gain) == pytest.approx([6.0, 0.0], abs=0.1)

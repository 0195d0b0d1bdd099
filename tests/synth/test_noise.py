"""Textures: seamless, level, wide, and each what its name says."""

from __future__ import annotations

import numpy as np
import pytest

from sottovoce.synth.noise import TEXTURES, bed
from sottovoce.synth.strike import Tone

RATE = 48_000


def likeness(samples: np.ndarray) -> float:
    """Correlation of left and right."""
    left, right = samples.astype(np.float64)
    return float((left * right).sum() / np.sqrt((left**2).sum() * (right**2).sum()))


NAMES = ("rain", "storm", "vinyl", "tape", "cafe", "waves", "wind", "birds", "fire", "crickets")


def test_all_textures_are_there() -> None:
    assert set(TEXTURES) == set(NAMES)


@pytest.mark.long
@pytest.mark.parametrize("kind", NAMES)
def test_a_bed_is_level_wide_and_endless(kind: str) -> None:
    made = bed(kind, 0, 20 * RATE)
    assert made.dtype == np.float32
    assert made.shape == (2, 20 * RATE)
    assert np.sqrt(np.mean(np.square(made))) == pytest.approx(1, abs=0.25)
    assert likeness(made) < 0.95
    assert np.abs(made.mean(axis=1)).max() < 0.02


@pytest.mark.parametrize("kind", NAMES)
def test_blocks_join(kind: str) -> None:
    whole = bed(kind, 1_000, 15 * RATE)
    parts = [bed(kind, 1_000 + at, 3 * RATE) for at in range(0, 15 * RATE, 3 * RATE)]
    assert np.array_equal(np.concatenate(parts, axis=1), whole)


@pytest.mark.parametrize("kind", ["rain", "tape", "waves", "wind"])
def test_a_loop_has_no_seam(kind: str) -> None:
    made = bed(kind, 0, 25 * RATE)
    steps = np.abs(np.diff(made, axis=1)).max(axis=0)
    assert steps.max() < 3 * np.quantile(steps, 0.999)


def test_the_tone_darkens_a_bed() -> None:
    def high(samples: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(samples[0])) ** 2
        hertz = np.fft.rfftfreq(samples.shape[1], 1 / RATE)
        return float(power[hertz > 6_000].sum() / power.sum())

    assert high(bed("tape", 0, 4 * RATE, Tone(3_000.0))) < 0.02 * high(bed("tape", 0, 4 * RATE))

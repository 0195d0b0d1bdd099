"""A spectrogram shows each pitch where it is, whatever the length, the rate and the blocks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from sottovoce.dsp.spectrogram import HIGHEST, LOWEST, spectrogram

Floats = NDArray[np.float32]


def tone(hertz: float, seconds: float, rate: int) -> Floats:
    return np.asarray(0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate), np.float32)


def cut(sound: Floats, size: int) -> Iterator[Floats]:
    return (sound[start : start + size] for start in range(0, len(sound), size))


def drawn(sound: Floats, rate: int = 48_000, *, width: int = 64, height: int = 90, block: int = 1 << 16) -> Floats:
    levels = spectrogram(cut(sound, block), rate, len(sound), width=width, height=height)
    assert levels.shape == (height, width)
    assert 0 <= levels.min() <= levels.max() <= 1
    return levels


def row_of(hertz: float, height: int = 90, highest: float = HIGHEST) -> float:
    return float((height - 1) * np.log(hertz / LOWEST) / np.log(highest / LOWEST))


@pytest.mark.parametrize("hertz", [55.0, 110.0, 250.0, 440.0, 1000.0, 2000.0, 6000.0, 12_000.0])
def test_a_tone_is_brightest_in_its_row(hertz: float) -> None:
    middle = drawn(tone(hertz, 2.0, 48_000))[:, 8:-8]
    assert np.abs(middle.argmax(axis=0) - row_of(hertz)).max() <= 1.5
    assert middle.max(axis=0).min() > 0.9


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 96_000])
def test_rows_mean_the_same_at_every_rate(rate: int) -> None:
    middle = drawn(tone(880, 1.0, rate), rate)[:, 8:-8]
    expected = row_of(880, highest=min(HIGHEST, rate / 2))
    assert np.abs(middle.argmax(axis=0) - expected).max() <= 1.5


def test_time_runs_from_left_to_right() -> None:
    silence = np.zeros(48_000, np.float32)
    levels = drawn(np.concatenate([silence, tone(440, 1.0, 48_000)]))
    assert levels[:, :24].max() == 0
    assert levels[:, 36:].max(axis=0).min() > 0.9


@pytest.mark.parametrize("block", [100, 4096, 1 << 20])
def test_blocks_make_no_difference(block: int) -> None:
    sound = np.asarray(np.random.default_rng(0).normal(0, 0.1, 50_000), np.float32)
    assert np.allclose(drawn(sound, block=block), drawn(sound), atol=1e-5)


@pytest.mark.parametrize("frames", [1, 100, 3000])
def test_the_shortest_sounds_fill_the_picture(frames: int) -> None:
    assert drawn(np.ones(frames, np.float32), width=2048).max() > 0.9


@pytest.mark.parametrize("rate", [50, 1000, 192_000])
def test_odd_rates_are_drawn(rate: int) -> None:
    drawn(np.asarray(np.random.default_rng(0).normal(0, 0.1, 20_000), np.float32), rate)


def test_silence_is_dark_and_the_length_need_not_be_exact() -> None:
    assert drawn(np.zeros(10_000, np.float32)).max() == 0
    assert spectrogram(cut(tone(440, 1.0, 8000), 1000), 8000, 7000, width=64, height=32).max() > 0.9
    assert spectrogram([], 8000, 7000, width=64, height=32).max() == 0

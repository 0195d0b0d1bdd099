"""Effects: they do what they say, and a piece in blocks sounds like the piece as a whole."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sottovoce.synth.effects import Chorus, Wow, bend, duck, saturate, tremolo, widen

RATE = 48_000


def tone(hertz: float, seconds: float, *, level: float = 0.3) -> np.ndarray:
    wave = level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)
    return np.stack([wave, wave]).astype(np.float32)


def test_saturation_leaves_the_quiet_and_rounds_the_loud() -> None:
    quiet, loud = tone(300, 0.2, level=0.01), tone(300, 0.2, level=1.0)
    assert np.allclose(saturate(quiet.copy(), 6), quiet, atol=1e-4)
    assert np.abs(saturate(loud.copy(), 6)).max() < 0.5


def test_width_scales_the_side() -> None:
    block = np.stack([np.ones(4), np.zeros(4)]).astype(np.float32)
    assert np.allclose(widen(block.copy(), 0.0), 0.5)
    assert np.allclose(widen(block.copy(), 1.0), block)


def test_tremolo_moves_between_the_sides() -> None:
    made = tremolo(np.ones((2, RATE), np.float32), 0, depth=0.25, hz=4.0)
    assert made.max() == pytest.approx(1.25, abs=0.01)
    assert np.allclose(made.sum(axis=0), 2, atol=1e-4)


def test_ducking_goes_down_by_its_depth_and_comes_back() -> None:
    made = duck(np.ones((2, RATE), np.float32), 0, [24_000], depth_db=6.0, seconds=0.15)
    assert 20 * np.log10(made.min()) == pytest.approx(-6, abs=0.1)
    assert np.abs(made[0].argmin() - 24_000) < 100
    assert np.all(made[:, :23_000] == 1)
    assert np.all(made[:, 24_000 + round(0.5 * RATE) :] == 1)
    assert np.abs(np.diff(made)).max() < 0.01


@pytest.mark.parametrize("make", [lambda: Chorus(0.4), lambda: Wow(8.0, 0.6)])
def test_blocks_sound_like_the_whole(make: Callable[[], Chorus | Wow]) -> None:
    sound = tone(220, 2.0)
    whole = make().feed(sound.copy(), 0)
    effect, starts = make(), range(0, sound.shape[1], 12_800)
    parts = [effect.feed(sound[:, start : start + 12_800].copy(), start) for start in starts]
    assert np.allclose(np.concatenate(parts, axis=1), whole, atol=1e-5)


def test_wow_bends_the_pitch_by_its_cents() -> None:
    made = Wow(20.0, 0.6).feed(tone(1_000, 4.0), 0)[0]
    crossings = np.flatnonzero((made[:-1] < 0) & (made[1:] >= 0)).astype(float)
    exact = crossings + made[crossings.astype(int)] / (made[crossings.astype(int)] - made[crossings.astype(int) + 1])
    periods = np.convolve(np.diff(exact[200:]), np.ones(50) / 50, "valid")
    cents = 1200 * np.log2(48 / periods)
    assert 15 < cents.max() < 26
    assert -26 < cents.min() < -15


def test_wow_is_transparent_in_the_middle_band() -> None:
    made = Wow(8.0, 0.6).feed(tone(1_000, 2.0), 0)[0, 4_000:]
    power = np.abs(np.fft.rfft(made * np.hanning(made.size))) ** 2
    hertz = np.fft.rfftfreq(made.size, 1 / RATE)
    stray = power[(hertz < 900) | (hertz > 1_100)].sum() / power.sum()
    assert 10 * np.log10(stray) < -55


def test_a_bend_starts_where_it_should_and_arrives() -> None:
    made = bend(tone(440, 1.0), -2.0)[0]
    head, rest = made[:1_500], made[10_000:40_000]
    start = np.flatnonzero((head[:-1] < 0) & (head[1:] >= 0))
    assert RATE / np.diff(start).mean() == pytest.approx(440 * 2 ** (-2 / 12), rel=0.02)
    power = np.abs(np.fft.rfft(rest * np.hanning(rest.size)))
    assert power.argmax() * RATE / rest.size == pytest.approx(440, abs=2)

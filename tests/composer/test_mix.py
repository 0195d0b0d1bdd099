"""The desk: strips do what their numbers say, blocks of any size sound the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sottovoce.audio import Stem
from sottovoce.composer.mix import Bus, Desk, MixStyle, Strip

RATE = 48_000
HARMONY, PADS = Stem("harmony"), Stem("pads")
DRY = MixStyle(harmony=Strip(wet=0.0), pads=Strip(wet=0.0))


def sound(frames: int, *, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal((2, frames)).astype(np.float32)


def bus(samples: np.ndarray, send: float = 0.3) -> Bus:
    made = Bus.of(samples.shape[1])
    made.add(samples, send)
    return made


def passed(style: MixStyle, samples: np.ndarray, *, stem: Stem = HARMONY, send: float = 0.3) -> np.ndarray:
    desk = Desk(style, [stem], beat=0.5, kicks=[], frames=samples.shape[1])
    blocks = range(0, samples.shape[1], desk.block)
    made = [desk.feed({stem: bus(samples[:, at : at + desk.block], send)}, at)[stem] for at in blocks]
    return np.concatenate(made, axis=1)


def level(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-20))


def test_a_dry_strip_changes_nothing_but_the_level() -> None:
    samples = sound(RATE)
    made = passed(DRY, samples)
    assert np.corrcoef(made[0], samples[0])[0, 1] > 0.9999


def test_the_fader_is_in_decibels() -> None:
    samples = sound(RATE)
    lower = replace(DRY, harmony=Strip(wet=0.0, level_db=-6.0))
    assert level(passed(lower, samples)) - level(passed(DRY, samples)) == pytest.approx(-6, abs=0.01)


def test_the_send_reaches_the_space() -> None:
    samples = np.zeros((2, 3 * RATE), np.float32)
    samples[:, :1_000] = sound(1_000)
    wet = MixStyle(harmony=Strip(wet=1.0))
    tail = passed(wet, samples)[:, RATE // 2 : 2 * RATE]
    assert level(tail) > -90
    assert level(passed(wet, samples, send=0.0)[:, RATE // 2 : 2 * RATE]) < -150
    longer = replace(wet, reverb_seconds=4.0)
    assert level(passed(longer, samples)[:, RATE : 2 * RATE]) > level(passed(wet, samples)[:, RATE : 2 * RATE]) + 5


def test_echoes_come_on_the_beat() -> None:
    samples = np.zeros((2, 3 * RATE), np.float32)
    samples[:, :500] = sound(500)
    echoing = MixStyle(harmony=Strip(wet=0.0, echo=0.6), echo_beats=0.75)
    made = passed(echoing, samples)
    at = round(0.75 * 0.5 * RATE)
    assert level(made[:, at : at + 500]) > level(made[:, at // 2 : at // 2 + 500]) + 30


def test_width_zero_is_mono() -> None:
    made = passed(MixStyle(harmony=Strip(wet=0.0, width=0.0)), sound(RATE))
    assert np.allclose(made[0], made[1], atol=1e-7)


def test_pads_lie_under_the_chords() -> None:
    samples = sound(RATE)
    assert level(passed(DRY, samples, stem=PADS)) < level(passed(DRY, samples)) - 3


def test_every_stem_has_a_strip() -> None:
    style = MixStyle(drums=Strip(level_db=1.0), harmony=Strip(level_db=2.0))
    assert style.strip(Stem("drums")).level_db == 1.0
    assert style.strip(Stem("guitar")).level_db == 2.0


def test_the_tone_comes_from_the_style() -> None:
    tone = MixStyle(high_cut=9_000.0, tilt_db=-1.0).tone
    assert (tone.high_cut, tone.tilt_db) == (9_000.0, -1.0)

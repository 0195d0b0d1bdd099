"""The master: loudness, ceiling and fade as asked, one gain for all stems."""

from __future__ import annotations

import numpy as np
import pytest

from sottovoce.audio import Samples, Stem
from sottovoce.composer.master import CEILING, TEXTURE, Bed, Finish, Master
from sottovoce.dsp.loudness import integrated, true_peak_db

RATE = 48_000


def music(seconds: float = 6.0) -> tuple[np.ndarray, np.ndarray]:
    """Two stems: a steady tone that swells, and hits that stick out."""
    time = np.arange(round(seconds * RATE)) / RATE
    tone = np.stack([np.sin(2 * np.pi * 220 * time), np.sin(2 * np.pi * 221 * time)]) * (
        0.05 + 0.05 * np.sin(time) ** 2
    )
    hits = np.sin(2 * np.pi * 90 * time) * np.exp(-(time % 0.5) / 0.03) * 0.8
    return tone.astype(np.float32), np.stack([hits, hits]).astype(np.float32)


def silent(start: int, frames: int) -> Samples | None:
    return None


def mastered(
    finish: Finish, bed: Bed = silent, stems: tuple[Stem, ...] = ()
) -> tuple[np.ndarray, dict[Stem, np.ndarray]]:
    one, other = music()
    mix = one + other
    parts = {Stem("pads"): one, Stem("drums"): other} | {name: np.zeros_like(mix) for name in stems}
    master = Master(finish)
    for start in range(0, mix.shape[1], 64 * 1_024):
        master.hear(mix[:, start : start + 64 * 1_024])
    master.apply(mix, parts, bed)
    return mix, parts


@pytest.mark.parametrize("loudness", [-24.0, -18.0, -14.0, -9.0])
@pytest.mark.parametrize("glue_db", [0.0, 3.0])
def test_loudness_and_ceiling(loudness: float, glue_db: float) -> None:
    mix, parts = mastered(Finish(loudness, glue_db))
    assert integrated(mix, RATE) == pytest.approx(loudness, abs=0.1)
    assert true_peak_db(mix, RATE) <= CEILING
    assert np.abs(sum(parts.values()) - mix).max() < 1e-5


def test_glue_brings_loud_and_quiet_together() -> None:
    time = np.arange(6 * RATE) / RATE
    level = np.where(time % 3 < 1.5, 0.02, 0.2)

    def contrast(glue_db: float) -> float:
        mix = np.stack([level * np.sin(2 * np.pi * 300 * time)] * 2).astype(np.float32)
        master = Master(Finish(-24.0, glue_db))
        master.hear(mix)
        master.apply(mix, {}, silent)
        return float(20 * np.log10(np.abs(mix[0, 110_000:130_000]).mean() / np.abs(mix[0, 20_000:60_000]).mean()))

    assert contrast(0.0) == pytest.approx(20, abs=0.1)
    assert 15 < contrast(3.0) < 19


def test_the_fade_ends_in_silence_and_starts_unheard() -> None:
    faded, plain = (mastered(Finish(-24.0, 0.0, fade))[0] for fade in (1.0, 0.0))
    ratio = np.abs(faded[0, :-RATE]).mean() / np.abs(plain[0, :-RATE]).mean()
    assert np.abs(faded[:, -50:]).max() < 1e-5
    assert np.abs(faded[0, :-RATE] / ratio - plain[0, :-RATE]).max() < 1e-3


def test_a_bed_goes_in_at_its_own_level() -> None:
    level = np.float32(0.01)

    def bed(start: int, frames: int) -> Samples:
        rng = np.random.default_rng(start)
        return level * rng.standard_normal((2, frames)).astype(np.float32)

    mix, parts = mastered(Finish(-20.0), bed, (TEXTURE,))
    assert np.sqrt(np.mean(parts[TEXTURE] ** 2)) == pytest.approx(level, rel=0.1)
    assert np.abs(sum(parts.values()) - mix).max() < 1e-5


def test_silence_stays_silence() -> None:
    mix = np.zeros((2, RATE), np.float32)
    master = Master(Finish(-16.0, 2.0, 0.5))
    master.hear(mix)
    master.apply(mix, {}, silent)
    assert not mix.any()

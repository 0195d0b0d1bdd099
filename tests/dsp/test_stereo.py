import numpy as np
import pytest

from sottovoce.audio import Samples
from sottovoce.dsp.stereo import Image, ImageMeter

RATE = 48_000


def image_of(samples: Samples, size: int = 50_000) -> Image:
    meter = ImageMeter(RATE, samples.shape[0])
    for at in range(0, samples.shape[1], size):
        meter.push(samples[:, at : at + size])
    return meter.image()


def noise(seed: int = 0, frames: int = 5 * RATE) -> Samples:
    return (np.random.default_rng(seed).standard_normal(frames) * 0.1).astype(np.float32)


def test_the_same_opposite_and_unrelated_sides() -> None:
    assert image_of(np.stack([noise(), noise()])).correlation == pytest.approx(1.0, abs=1e-4)
    assert image_of(np.stack([noise(), -noise()])).correlation == pytest.approx(-1.0, abs=1e-4)
    assert image_of(np.stack([noise(), noise(1)])).correlation == pytest.approx(0.0, abs=0.02)


def test_bass_is_told_from_the_whole() -> None:
    time = np.arange(5 * RATE) / RATE
    bass = (np.sin(2 * np.pi * 60 * time) * 0.1).astype(np.float32)
    treble = (np.sin(2 * np.pi * 3000 * time) * 0.3).astype(np.float32)
    wide_bass = image_of(np.stack([bass + treble, treble - bass]))
    assert wide_bass.low_correlation == pytest.approx(-1.0, abs=0.01)
    assert wide_bass.correlation == pytest.approx(0.8, abs=0.01)
    assert image_of(np.stack([treble, treble])).low_correlation is None


def test_width_balance_offset_and_level() -> None:
    found = image_of(np.stack([noise() + 0.02, noise() / 2]))
    assert found.balance_db == pytest.approx(6.2, abs=0.2)
    assert found.dc == pytest.approx(0.02, abs=0.001)
    side_over_mid = 20 * np.log10(0.25 / 0.75)
    assert image_of(np.stack([noise(), noise() / 2])).side_mid_db == pytest.approx(side_over_mid, abs=0.05)
    assert image_of(np.stack([noise(), noise()])).rms == pytest.approx(0.1, rel=0.01)


def test_what_has_no_image() -> None:
    assert image_of(noise()[None]).correlation is None
    assert image_of(np.zeros((2, RATE), np.float32)) == Image()
    assert image_of(np.zeros((2, 0), np.float32)) == Image()
    one_side = image_of(np.stack([noise(), np.zeros_like(noise())]))
    assert one_side.correlation is None
    assert one_side.balance_db is None


def test_meter_does_not_care_how_the_stream_is_cut() -> None:
    sound = np.stack([noise(), noise() + noise(2)])
    whole, cut = image_of(sound, 10_000_000), image_of(sound, 777)
    assert cut.correlation == pytest.approx(whole.correlation, abs=1e-4)
    assert cut.low_correlation == pytest.approx(whole.low_correlation, abs=1e-4)

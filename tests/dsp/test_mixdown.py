import numpy as np
import pytest

from sottovoce.audio import Samples
from sottovoce.dsp.mixdown import fade, mix, with_gain
from sottovoce.errors import InvalidParameter


def noise(channels: int, frames: int = 1000, seed: int = 0) -> Samples:
    return (np.random.default_rng(seed).standard_normal((channels, frames)) * 0.1).astype(np.float32)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_parts_are_never_turned_down_for_their_number(count: int) -> None:
    silent: Samples = np.zeros((2, 1000), np.float32)
    made = mix([(noise(2), 0.0), *[(silent, 0.0)] * (count - 1)])
    np.testing.assert_allclose(made, noise(2), rtol=1e-6)


def test_levels_in_db_and_curves() -> None:
    curve = np.linspace(0, 1, 1000, dtype=np.float32)
    made = mix([(noise(2), -6.0206), (noise(2, seed=1), curve)])
    np.testing.assert_allclose(made, noise(2) * 0.5 + noise(2, seed=1) * curve, atol=1e-6)
    assert made.dtype == np.float32


def test_short_parts_and_mono_parts() -> None:
    made = mix([(noise(2, 1000), 0.0), (noise(1, 300), 0.0)])
    assert made.shape == (2, 1000)
    np.testing.assert_array_equal(made[:, 300:], noise(2, 1000)[:, 300:])
    np.testing.assert_allclose((made - noise(2, 1000))[:, :300], np.repeat(noise(1, 300), 2, axis=0), atol=1e-7)


def test_short_curve_keeps_its_last_value() -> None:
    held = with_gain(np.ones((1, 10), np.float32), np.array([1.0, 0.5], np.float32))
    np.testing.assert_array_equal(held[0], [1.0, *[0.5] * 9])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="nothing to mix"):
        mix([])
    with pytest.raises(InvalidParameter, match="does not fit"):
        mix([(noise(6), 0.0), (noise(2), 0.0)])


def test_fades_start_and_end_in_silence_and_leave_the_middle() -> None:
    faded = fade(np.ones((2, 48_000), np.float32), 48_000, 0.1, 0.2)
    assert faded[:, 0].max() < 1e-6
    assert faded[:, -1].max() < 1e-6
    assert np.all(faded[:, 4_800:-9_600] == 1.0)
    assert np.all(np.diff(faded[0, :4_800]) > 0)
    assert faded[0, 2_400] == pytest.approx(0.5, abs=0.001)


@pytest.mark.parametrize("frames", [0, 1, 50])
def test_fades_longer_than_the_sound(frames: int) -> None:
    assert fade(np.ones((1, frames), np.float32), 48_000, 5.0, 5.0).shape == (1, frames)
    assert np.array_equal(fade(noise(2), 48_000, 0, 0), noise(2))

"""Every instrument: right pitch, finite, no click at either end, velocity heard, the same each time."""

from __future__ import annotations

import numpy as np
import pytest

from sottovoce.errors import InvalidParameter
from sottovoce.synth.instruments import INSTRUMENTS, instrument, play
from sottovoce.synth.strike import Strike, Tone

RATE = 48_000
PITCHED = sorted(set(INSTRUMENTS) - {"drum_kit_lofi", "drum_kit_brush"})
KITS = ("drum_kit_lofi", "drum_kit_brush")
MIDDLE = {"upright_bass": 40, "electric_bass": 40, "sub_bass": 40, "pad_dark": 52, "flute": 72, "bell": 76}


def middle(name: str) -> int:
    return MIDDLE.get(name, 62)


def likeness(samples: np.ndarray) -> float:
    """Correlation of left and right."""
    left, right = samples.astype(np.float64)
    return float((left * right).sum() / np.sqrt((left**2).sum() * (right**2).sum()))


def level(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-20))


@pytest.mark.parametrize("name", sorted(INSTRUMENTS))
@pytest.mark.parametrize("seconds", [0.05, 1.0])
def test_sound_is_finite_stereo_and_ends_in_silence(name: str, seconds: float) -> None:
    pitch = 38 if name in KITS else middle(name)
    made = play(name, Strike(pitch, seconds, 0.7))
    assert made.dtype == np.float32
    assert made.shape[0] == 2
    assert np.isfinite(made).all()
    assert np.abs(made).max() > 0.01
    assert np.abs(made[:, :2]).max() < 0.05 * np.abs(made).max()
    assert np.abs(made[:, -4:]).max() < 1e-3 * np.abs(made).max()


@pytest.mark.long
@pytest.mark.parametrize("name", PITCHED)
@pytest.mark.parametrize("shift", [-5, 0, 7])
def test_pitch_is_right_within_eight_cents(name: str, shift: int) -> None:
    strike = Strike(middle(name) + shift, 3.0, 0.6)
    power = np.abs(np.fft.rfft(play(name, strike).mean(axis=0) * 1.0, 1 << 19)) ** 2
    hertz = np.fft.rfftfreq(1 << 19, 1 / RATE)
    near = np.abs(np.log2(hertz[1:] / strike.hz)) < 0.5 / 12
    weight = power[1:][near]
    centre = float((hertz[1:][near] * weight).sum() / weight.sum())
    assert abs(1200 * np.log2(centre / strike.hz)) < 8


@pytest.mark.parametrize("name", PITCHED)
def test_harder_is_louder(name: str) -> None:
    soft, hard = (play(name, Strike(middle(name), 1.0, v)) for v in (0.25, 0.9))
    assert level(hard) > level(soft) + 3


@pytest.mark.parametrize("name", ["grand_piano", "e_piano", "nylon_guitar", "electric_bass", "flute"])
def test_harder_is_brighter(name: str) -> None:
    def brightness(velocity: float) -> float:
        strike = Strike(middle(name), 1.0, velocity)
        power = np.abs(np.fft.rfft(play(name, strike).mean(axis=0), 1 << 17)) ** 2
        upper = np.fft.rfftfreq(1 << 17, 1 / RATE) > 3.5 * strike.hz
        return float(power[upper].sum() / power.sum())

    assert brightness(0.95) > 1.3 * brightness(0.25)


def test_instruments_are_about_equally_loud() -> None:
    levels = {name: level(play(name, Strike(middle(name), 1.5, 0.6))[:, :RATE]) for name in PITCHED}
    del levels["reversed_piano"], levels["bell"]
    assert max(levels.values()) - min(levels.values()) < 12, levels


@pytest.mark.parametrize("kit", KITS)
@pytest.mark.parametrize("key", [35, 36, 37, 38, 39, 40, 41, 42, 44, 45, 46, 48, 49, 51, 70, 99])
def test_every_drum_key_sounds(kit: str, key: int) -> None:
    made = play(kit, Strike(key, 0.1, 0.8))
    assert np.isfinite(made).all()
    assert 0.005 < np.abs(made).max() < 2


def test_a_hat_is_never_the_same_twice() -> None:
    takes = [play("drum_kit_lofi", Strike(42, 0.1, 0.6, variant))[0, :2_000] for variant in range(4)]
    likeness = [np.corrcoef(a, b)[0, 1] for k, a in enumerate(takes) for b in takes[:k]]
    assert max(likeness) < 0.9


@pytest.mark.parametrize("name", sorted(INSTRUMENTS))
def test_same_strike_same_samples(name: str) -> None:
    strike = Strike(38 if name in KITS else middle(name), 0.5, 0.6, 1)
    assert np.array_equal(play(name, strike), play(name, strike))


def test_the_tone_is_part_of_the_sound() -> None:
    bright, dull = (
        play("string_ensemble", Strike(60, 1.0, 0.7, tone=tone)).mean(axis=0) for tone in (Tone(), Tone(2_000.0))
    )
    upper = np.fft.rfftfreq(bright.size, 1 / RATE) > 4_000
    high = [float((np.abs(np.fft.rfft(wave))[upper] ** 2).sum()) for wave in (bright, dull)]
    assert high[1] < 0.01 * high[0]


def test_tilt_is_decibels_an_octave_above_one_kilohertz() -> None:
    gain = Tone(tilt_db=-1.5).gain(np.array([500.0, 1_000.0, 4_000.0]))
    assert 20 * np.log10(gain) == pytest.approx([0, 0, -3], abs=0.05)


@pytest.mark.parametrize("name", PITCHED)
def test_lows_stand_in_the_middle(name: str) -> None:
    made = play(name, Strike(36, 1.5, 0.7))
    assert likeness(made) > 0.6


def test_an_unknown_instrument_lists_the_known() -> None:
    with pytest.raises(InvalidParameter, match="felt_piano"):
        instrument("kazoo")

from collections.abc import Callable

import numpy as np
import pytest

from sottovoce.audio import Samples
from sottovoce.dsp.pulse import Pulse, PulseMeter, pulse

RATE = 48_000


def ticking(bpm: float, seconds: float, *, rate: int = RATE) -> Samples:
    """The same short beep on every beat over a little noise."""
    sound = np.random.default_rng(0).standard_normal(round(seconds * rate)) * 1e-3
    time = np.arange(rate // 40) / rate
    tick = np.sin(2 * np.pi * 1000 * time) * np.exp(-time * 200) * 0.7
    for at in np.arange(0, len(sound) - len(tick), 60 / bpm * rate).astype(int):
        sound[at : at + len(tick)] += tick
    return sound.astype(np.float32)[None]


@pytest.mark.parametrize("bpm", [70, 100, 120, 143, 180])
def test_a_tick_track_is_periodic_even_and_always_the_same(bpm: float) -> None:
    found = pulse(ticking(bpm, 30), RATE)
    assert found.periodicity > 0.85
    assert found.same_gap_share > 0.9
    assert found.onset_sameness > 0.7
    assert found.onsets_per_second == pytest.approx(bpm / 60, rel=0.05)


@pytest.mark.clips
@pytest.mark.parametrize(
    "name",
    [
        "music_calm_acoustic_1.opus",
        "music_energetic_electronic_2.opus",
        "music_happy_electronic_1.opus",
        "music_nostalgic_acoustic_1.opus",
        "song_demucs_test.mp3",
        "singing_vocadito_10.wav",
    ],
)
def test_real_music_is_far_from_ticking(clip: Callable[[str], Samples], name: str) -> None:
    found = pulse(clip(name), RATE)
    assert found.periodicity < 0.8
    assert found.same_gap_share < 0.6
    assert found.onset_sameness < 0.5
    assert found.onsets_per_second > 1


def test_long_sounds_are_judged_by_the_minute() -> None:
    tick = ticking(120, 70)
    noise = np.random.default_rng(1).standard_normal((1, 70 * RATE)).astype(np.float32) * 0.1
    half = pulse(np.concatenate([tick, noise], axis=1), RATE)
    assert 0.3 < half.periodicity < 0.8
    assert pulse(ticking(120, 65), RATE).periodicity == pytest.approx(
        pulse(ticking(120, 60), RATE).periodicity, abs=0.02
    )


def test_meter_does_not_care_how_the_stream_is_cut() -> None:
    sound = ticking(90, 12)
    meter = PulseMeter(RATE)
    for at in range(0, sound.shape[1], 7_001):
        meter.push(sound[0, at : at + 7_001])
    found, whole = meter.pulse(), pulse(sound, RATE)
    assert found.periodicity == pytest.approx(whole.periodicity, abs=1e-6)
    assert found.onset_sameness == pytest.approx(whole.onset_sameness, abs=1e-6)


@pytest.mark.parametrize("rate", [16_000, 44_100, 96_000])
def test_other_rates(rate: int) -> None:
    assert pulse(ticking(110, 20, rate=rate), rate).periodicity > 0.85


@pytest.mark.parametrize("frames", [0, 1, 1000, 3000, 20_000])
def test_short_or_silent_sounds_have_no_pulse(frames: int) -> None:
    found = pulse(np.zeros((2, frames), np.float32), RATE)
    assert found.periodicity == found.same_gap_share == found.onset_sameness == 0.0


def test_a_steady_chord_that_beats_has_no_pulse() -> None:
    time = np.arange(30 * 48_000) / 48_000
    chord = sum(0.05 * np.sin(2 * np.pi * hertz * time) for hertz in (130.81, 311.13, 392.0))
    assert pulse(np.stack([chord, chord]).astype(np.float32), 48_000) == Pulse()

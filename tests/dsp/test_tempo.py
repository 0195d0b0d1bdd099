from collections.abc import Callable

import numpy as np
import pytest

from sottovoce.audio import Samples
from sottovoce.dsp.tempo import Tempo, autocorrelation, octave_error, tempo


def clicks(bpm: float, rate: int, *, seconds: float = 20.0, first: float = 0.31) -> Samples:
    samples = np.zeros((1, round(seconds * rate)), np.float32)
    burst = np.random.default_rng(1).standard_normal(rate // 50) * np.exp(-np.arange(rate // 50) / (0.004 * rate))
    for beat in np.arange(first, seconds - 0.05, 60 / bpm):
        start = round(beat * rate)
        samples[0, start : start + len(burst)] += burst.astype(np.float32)
    return samples


def groove(bpm: float, rate: int = 44_100, bars: int = 12) -> Samples:
    """A kick on one and three, a snare on two and four, soft hats between, all a little off."""
    draw = np.random.default_rng(7)
    time = np.arange(rate // 4) / rate
    kick = np.sin(2 * np.pi * 55 * time) * np.exp(-12 * time)
    snare = 0.5 * draw.standard_normal(len(time)) * np.exp(-25 * time)
    hat = 0.15 * np.diff(draw.standard_normal(len(time) + 1)) * np.exp(-80 * time)
    samples = np.zeros((1, round((bars * 4 + 1) * 60 / bpm * rate)), np.float32)
    for eighth in range(bars * 8):
        for sound, plays in ((kick, eighth % 4 == 0), (snare, eighth % 4 == 2), (hat, True)):
            start = round((eighth / 2 * 60 / bpm + abs(draw.normal(0, 0.004))) * rate)
            if plays:
                samples[0, start : start + len(sound)] += sound[: samples.shape[1] - start].astype(np.float32)
    return samples


@pytest.mark.parametrize("rate", [22_050, 48_000])
@pytest.mark.parametrize("bpm", [60, 63.7, 78, 99.9, 123.4, 150, 174])
def test_clicks_give_their_tempo_and_beats(bpm: float, rate: int) -> None:
    found = tempo(clicks(bpm, rate), rate)
    assert octave_error(found.bpm, bpm) < 0.002
    assert found.confidence > 0.7
    halves = (np.array(found.beats) - 0.31) * bpm / 60 * 2
    assert np.abs(halves - np.round(halves)).max() * 30 / bpm < 0.02


@pytest.mark.parametrize("bpm", [66, 84, 96, 110, 128, 140])
def test_a_drum_groove_gives_its_tempo(bpm: float) -> None:
    assert octave_error(tempo(groove(bpm), 44_100).bpm, bpm) < 0.005


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("music_calm_acoustic_1.opus", 68),
        ("music_nostalgic_acoustic_1.opus", 78),
        ("music_happy_electronic_1.opus", 123),
        ("music_energetic_electronic_2.opus", 150),
    ],
)
def test_real_music_gives_the_asked_tempo(clip: Callable[[str], Samples], name: str, asked: float) -> None:
    found = tempo(clip(name), 48_000)
    assert octave_error(found.bpm, asked) < 0.03
    assert found.confidence > 0.3


def test_speech_is_less_sure_than_music(clip: Callable[[str], Samples]) -> None:
    assert tempo(clip("speech_jfk.flac"), 48_000).confidence < 0.25


@pytest.mark.parametrize("frames", [0, 1, 1000, 48_000, 480_000])
def test_silence_has_no_tempo(frames: int) -> None:
    assert tempo(np.zeros((2, frames), np.float32), 48_000) == Tempo(0.0, 0.0)


def test_the_downbeat_is_the_loud_beat() -> None:
    samples = clicks(100, 44_100) * 0.2
    loud = clicks(25, 44_100, first=0.31 + 2 * 0.6)
    found = tempo(samples + loud, 44_100)
    assert found.bpm == pytest.approx(100, rel=0.005)
    assert found.beats[found.downbeat] % 2.4 == pytest.approx(1.51, abs=0.03)


def test_octave_error_takes_half_and_double_as_the_same() -> None:
    assert octave_error(150, 75) == 0
    assert octave_error(75.75, 150) == pytest.approx(0.01)
    assert octave_error(100, 75) > 0.3
    assert octave_error(0, 75) == 1


def test_autocorrelation_is_one_at_lag_zero_and_at_the_period() -> None:
    values = np.tile([1.0, -1, 0, 0], 100)
    likeness = autocorrelation(values)
    assert likeness[0] == pytest.approx(1)
    assert likeness[4] == pytest.approx(1, abs=0.02)
    assert not autocorrelation(np.zeros(10)).any()

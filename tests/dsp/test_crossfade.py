from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from sottovoce.audio import Samples
from sottovoce.dsp.crossfade import correlation, equal_power, join, loop_to, zero_crossing
from sottovoce.dsp.loudness import rms_db, short_term
from sottovoce.dsp.spectrum import onset_envelope
from sottovoce.dsp.tempo import tempo
from sottovoce.errors import InvalidParameter

RATE = 48_000
BEAT = 0.6


def noise(frames: int, seed: int = 0) -> Samples:
    return (np.random.default_rng(seed).standard_normal((2, frames)) * 0.1).astype(np.float32)


def groove(bars: int) -> Samples:
    """Kick, hat and a chord for every bar (four chords, then again) at 100 beats a minute, with a beginning and an end."""
    rng = np.random.default_rng(4)
    beat = round(BEAT * RATE)
    time = np.arange(beat) / RATE
    kick = np.sin(2 * np.pi * 55 * time) * np.exp(-time * 18) * 0.5
    hat = rng.standard_normal(beat) * np.exp(-time * 90) * 0.1
    sound = np.tile(kick + np.roll(hat, beat // 2), bars * 4)
    for bar in range(bars):
        root = 220 * 2 ** ([0, -4, 3, -2][bar % 4] / 12)
        span = np.arange(4 * beat) / RATE
        chord = sum(np.sin(2 * np.pi * root * ratio * span) for ratio in (1, 1.25, 1.5)) * 0.06
        sound[bar * 4 * beat : (bar + 1) * 4 * beat] += chord * np.minimum(1, np.minimum(span, span[::-1]) * 50)
    return np.stack([sound, sound]).astype(np.float32)


def onset_phases(samples: Samples) -> NDArray[np.float64]:
    """Seconds by which each kick is off the grid of beats; a kick is a rise of the low-passed envelope."""
    envelope = np.convolve(np.abs(samples[0]), np.ones(96) / 96, "same")[::48]
    low = np.convolve(envelope, np.ones(5) / 5, "same")
    rises = np.maximum(0, low[4:] - low[:-4])
    beats = np.arange(0, samples.shape[1] / RATE - BEAT, BEAT)[1:]
    found = [rises[round(beat * 1000) - 60 : round(beat * 1000) + 60].argmax() - 60 + 2 for beat in beats]
    return np.array(found) / 1000


@pytest.mark.parametrize("frames", [0, 1, 500, 5000])
def test_joins_are_as_long_as_both_less_what_overlaps(frames: int) -> None:
    for crossfade in (equal_power, join):
        made = crossfade(noise(3000), noise(2000, seed=1), frames)
        assert made.shape == (2, 5000 - min(frames, 2000))
        assert made.dtype == np.float32
        np.testing.assert_array_equal(made[:, :900], noise(3000)[:, :900])


def test_equal_power_keeps_the_level_of_strangers() -> None:
    made = equal_power(noise(48_000), noise(48_000, seed=1), 24_000)
    assert rms_db(made[:, 30_000:42_000]) == pytest.approx(rms_db(noise(48_000)), abs=0.15)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_join_keeps_the_level_however_alike_the_sounds_are(share: float) -> None:
    one = noise(48_000)
    other = share * one + np.float32(np.sqrt(1 - share**2)) * noise(48_000, seed=1)
    made = join(one, other.astype(np.float32), 48_000)
    assert made.shape == (2, 48_000)
    for part in np.array_split(made, 6, axis=1):
        assert rms_db(part) == pytest.approx(rms_db(one), abs=0.2)


def test_correlation() -> None:
    assert correlation(noise(1000), noise(1000)) == pytest.approx(1.0)
    assert correlation(noise(1000), -noise(1000)) == pytest.approx(-1.0)
    assert abs(correlation(noise(10_000), noise(10_000, seed=1))) < 0.05
    assert correlation(noise(1000), np.zeros((2, 1000), np.float32)) == 0.0


def test_zero_crossing_is_the_nearest_upwards() -> None:
    tone = np.sin(2 * np.pi * np.arange(1000) / 100 + 0.01, dtype=np.float64).astype(np.float32)[None]
    assert zero_crossing(tone, 320, 100) == 300
    assert zero_crossing(tone, 370, 100) == 400
    assert zero_crossing(tone, 350, 10) in range(340, 361)
    falling = np.linspace(1, 0.5, 100, dtype=np.float32)[None]
    assert zero_crossing(falling, 50, 10) == 60
    assert zero_crossing(falling[:, :0], 5, 10) == 0


@pytest.mark.long
@pytest.mark.parametrize("seconds", [25.0, 40.0, 61.3])
@pytest.mark.parametrize("jitter", [0.0, 0.006])
def test_loops_keep_the_beat(seconds: float, jitter: float) -> None:
    music = groove(8)
    beats = np.arange(0, 8 * 4) * BEAT + np.random.default_rng(1).uniform(-jitter, jitter, 32)
    looped = loop_to(music, RATE, round(seconds * RATE), beats=np.maximum(beats, 0).tolist())
    assert looped.shape == (2, round(seconds * RATE))
    phases = onset_phases(looped[:, : -3 * RATE])
    assert np.abs(phases - np.median(phases)).max() <= 0.005


def test_loops_go_on_with_the_chord_that_was_to_come() -> None:
    music = groove(8)
    looped = loop_to(music, RATE, 40 * RATE, beats=(np.arange(32) * BEAT).tolist())
    expected = np.tile(groove(4), 5)[:, : 36 * RATE]
    middle = looped[:, : 36 * RATE]
    assert correlation(middle, expected) > 0.98


def test_the_same_input_gives_the_same_loop() -> None:
    music, beats = groove(8), (np.arange(32) * BEAT).tolist()
    first, second = (loop_to(music, RATE, 30 * RATE, beats=beats) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.long
@pytest.mark.clips
@pytest.mark.parametrize(
    "name", ["music_calm_acoustic_1.opus", "music_happy_electronic_1.opus", "song_demucs_test.mp3"]
)
def test_real_music_has_no_seam_in_it(clip: Callable[[str], Samples], name: str) -> None:
    music = clip(name)
    beats = tempo(music, RATE).beats
    looped = loop_to(music, RATE, 2 * music.shape[1] + 12_345, beats=beats)
    same = np.flatnonzero(np.any(looped[:, : music.shape[1]] != music, axis=0))
    begin = int(same[0])
    steps, own = np.abs(np.diff(looped, axis=1)), np.abs(np.diff(music, axis=1))
    assert steps[:, begin - 2 : begin + 2].max() <= np.quantile(own, 0.999)
    assert np.quantile(steps, 0.999) <= 1.1 * np.quantile(own, 0.999)
    around = short_term(looped[:, begin - 4 * RATE : begin + 4 * RATE], RATE)
    assert np.abs(np.diff(around)).max() < 1.5


@pytest.mark.clips
def test_tempo_of_looped_music_is_its_own(clip: Callable[[str], Samples]) -> None:
    music = clip("music_energetic_electronic_2.opus")
    pulse = tempo(music, RATE)
    looped = loop_to(music, RATE, 80 * RATE, beats=pulse.beats)
    assert tempo(looped, RATE).bpm == pytest.approx(pulse.bpm, rel=0.005)


def test_shorter_fades_out_and_is_untouched_before() -> None:
    music = groove(8)
    cut = loop_to(music, RATE, 10 * RATE, beats=(np.arange(32) * BEAT).tolist())
    assert cut.shape == (2, 10 * RATE)
    np.testing.assert_array_equal(cut[:, : 6 * RATE], music[:, : 6 * RATE])
    assert rms_db(cut[:, -RATE // 20 :]) < -50
    envelope, _ = onset_envelope(cut, RATE)
    assert envelope.max() > 0


def test_exact_length_is_left_alone() -> None:
    music = noise(1000)
    np.testing.assert_array_equal(loop_to(music, RATE, 1000), music)


@pytest.mark.parametrize("have", [1, 2, 100, 5000, 60_000, 300_000])
@pytest.mark.parametrize("want", [1, 4_999, 700_001])
def test_any_length_without_beats(have: int, want: int) -> None:
    made = loop_to(noise(have), RATE, want)
    assert made.shape == (2, want)
    assert np.isfinite(made).all()


def test_no_music_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="no music"):
        loop_to(np.zeros((2, 0), np.float32), RATE, 100)

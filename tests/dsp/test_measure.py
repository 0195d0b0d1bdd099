import numpy as np
import pytest

from sottovoce.audio import ArrayReader, Audio, Samples
from sottovoce.dsp.loudness import integrated, loudness_range, true_peak_db
from sottovoce.dsp.measure import measure

RATE = 48_000


def music(seconds: float = 12.0, channels: int = 2) -> Samples:
    rng = np.random.default_rng(2)
    noise = np.cumsum(rng.standard_normal((channels, round(seconds * RATE))), axis=1)
    steady = np.diff(noise, axis=1, prepend=0) * 0.05
    swell = 0.6 + 0.4 * np.sin(np.arange(noise.shape[1]) / RATE * 3)
    return (steady * swell).astype(np.float32)


def test_levels_are_those_of_the_meters() -> None:
    sound = music()
    found = measure(Audio(sound, RATE))
    assert found.lufs == pytest.approx(integrated(sound, RATE), abs=1e-6)
    assert found.loudness_range == pytest.approx(loudness_range(sound, RATE), abs=1e-6)
    assert found.true_peak_db == pytest.approx(true_peak_db(sound, RATE), abs=1e-6)
    assert found.peak_db == pytest.approx(20 * np.log10(np.abs(sound).max()), abs=1e-4)
    assert found.frames == 12 * RATE
    assert found.seconds == 12.0


def test_a_reader_and_its_samples_measure_the_same() -> None:
    audio = Audio(music(), RATE)
    assert measure(ArrayReader(audio)) == measure(audio)


@pytest.mark.long
@pytest.mark.parametrize("at", [1000, 131_070, 131_071, 131_072, 300_000])
@pytest.mark.parametrize("length", [2, 3, 7])
def test_clipping_is_counted_in_runs_even_across_blocks(at: int, length: int) -> None:
    sound = music()
    sound[1, at : at + length] = -1.0
    assert measure(Audio(sound, RATE)).clipped == (length if length >= 3 else 0)


def test_what_is_no_number_is_counted_and_harms_nothing_else() -> None:
    sound = music()
    clean = measure(Audio(sound, RATE))
    sound[0, 5000] = np.nan
    sound[1, 6000] = np.inf
    sound[1, 200_000:200_010] = -np.inf
    sound[0, 9000] = 1e20
    found = measure(Audio(sound, RATE))
    assert found.not_finite == 13
    assert found.lufs == pytest.approx(clean.lufs, abs=0.01)


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("frames", [0, 1, 2, 100, 5000])
def test_any_width_and_the_shortest_sounds(channels: int, frames: int) -> None:
    found = measure(Audio(music(1.0, channels)[:, :frames], RATE))
    assert found.frames == frames
    assert found.channels == channels


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 96_000, 192_000])
def test_any_rate(rate: int) -> None:
    found = measure(Audio(music(2.0), rate))
    assert found.upper_edge_hz == pytest.approx(rate / 2, rel=0.01)
    assert found.clicks == 0


def test_silence_has_no_levels() -> None:
    found = measure(Audio(np.zeros((2, RATE), np.float32), RATE))
    assert found.lufs is None
    assert found.true_peak_db is None
    assert found.crest_db is None
    assert found.silent_share == 1.0

import numpy as np
import pytest

from sottovoce.audio import Samples
from sottovoce.dsp.silence import Silence, SilenceMeter

RATE = 48_000


def silence_of(samples: Samples, size: int = 10_000) -> Silence:
    meter = SilenceMeter(RATE, samples.shape[0])
    for at in range(0, samples.shape[1], size):
        meter.push(samples[:, at : at + size])
    return meter.silence()


def sounding(*spans: tuple[float, float], seconds: float = 10.0) -> Samples:
    sound = np.zeros((2, round(seconds * RATE)), np.float32)
    noise = np.random.default_rng(0).standard_normal(sound.shape).astype(np.float32) * 0.1
    for start, stop in spans:
        sound[:, round(start * RATE) : round(stop * RATE)] = noise[:, round(start * RATE) : round(stop * RATE)]
    return sound


def test_lead_gap_and_tail_are_measured_where_they_are() -> None:
    found = silence_of(sounding((0.5, 3.0), (4.2, 6.0), (6.3, 8.0)))
    assert found.leading == pytest.approx(0.5, abs=0.011)
    assert found.longest_gap == pytest.approx(1.2, abs=0.011)
    assert found.gap_at == pytest.approx(3.0, abs=0.011)
    assert found.trailing == pytest.approx(2.0, abs=0.011)
    assert found.share == pytest.approx(0.4, abs=0.01)
    assert found.ending_db < -100


def test_sound_throughout_has_none() -> None:
    found = silence_of(sounding((0, 10)))
    assert found.leading == found.trailing == found.longest_gap == found.share == 0
    assert found.gap_at is None
    assert found.ending_db == pytest.approx(-20, abs=1)


def test_a_side_that_sounds_alone_is_no_silence() -> None:
    one_sided = sounding((0, 10))
    one_sided[0, 2 * RATE : 5 * RATE] = 0
    assert silence_of(one_sided).longest_gap == 0


def test_quiet_is_told_from_the_loudest() -> None:
    sound = sounding((0, 10)) * np.float32(0.02)
    sound[:, 4 * RATE : 5 * RATE] *= 10 ** (-65 / 20)
    assert silence_of(sound).longest_gap == pytest.approx(1.0, abs=0.011)


def test_all_silent_and_empty() -> None:
    found = silence_of(np.zeros((2, RATE), np.float32))
    assert found.leading == pytest.approx(1.0)
    assert found.share == 1.0
    assert silence_of(np.zeros((2, 0), np.float32)) == Silence()


def test_meter_does_not_care_how_the_stream_is_cut() -> None:
    sound = sounding((0.2, 3.0), (3.5, 9.0))
    assert silence_of(sound, 333) == silence_of(sound, 480_000)

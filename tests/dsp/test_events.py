from __future__ import annotations

import numpy as np
import pytest

from sottovoce.audio import Samples
from sottovoce.dsp.events import EnvelopeMeter, envelope, stand_out
from sottovoce.dsp.filters import apply, low_pass

RATE = 16_000


def noise(seconds: float, level: float, seed: int = 0) -> Samples:
    drawn = np.random.default_rng(seed).standard_normal((1, round(seconds * RATE)))
    return (level * drawn).astype(np.float32)


def bark() -> Samples:
    time = np.arange(round(0.18 * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(500 * np.exp(-1.5 * time)) / RATE
    voice = np.sum([np.sin(k * phase) / k for k in range(1, 8)], axis=0)
    return np.asarray(0.4 * np.exp(-15 * time) * voice, np.float32)


def applause(seconds: float) -> Samples:
    rng, clapped = np.random.default_rng(4), np.zeros((1, round(seconds * RATE)), np.float32)
    clap = np.exp(-np.arange(400) / 80)
    for start in rng.integers(0, clapped.shape[1] - 400, round(220 * seconds)):
        clapped[0, start : start + 400] += 0.1 * clap * rng.standard_normal(400)
    return clapped


def put(place: Samples, sound: Samples, at: float) -> Samples:
    mixed = place.copy()
    first = round(at * RATE)
    mixed[:, first : first + sound.shape[-1]] += sound
    return mixed


def spans_of(clip: Samples, threshold: float = 0.02) -> list[tuple[float, float]]:
    return [(sound.start, sound.end) for sound in stand_out(envelope(clip, RATE), threshold)]


def test_a_bark_in_a_quiet_room_is_found_to_a_few_hundredths() -> None:
    ((start, end),) = spans_of(put(noise(12, 0.002), bark(), 5))
    assert start == pytest.approx(5, abs=0.05)
    assert end == pytest.approx(5.18, abs=0.1)


def test_applause_is_one_sound_for_as_long_as_it_lasts() -> None:
    ((start, end),) = spans_of(put(noise(40, 0.003), applause(12), 10))
    assert start == pytest.approx(10, abs=0.1)
    assert end >= 20


@pytest.mark.parametrize("threshold", [0.0, 0.02])
def test_steady_noise_hum_and_silence_are_the_place_itself(threshold: float) -> None:
    time = np.arange(20 * RATE) / RATE
    hum = np.sum([0.1 * np.sin(2 * np.pi * 50 * k * time) / k for k in range(1, 9)], axis=0, keepdims=True)
    for clip in (noise(20, 0.1), hum.astype(np.float32) + noise(20, 0.003), noise(20, 0), noise(0, 0)):
        assert spans_of(clip, threshold) == []


def test_gusts_of_wind_and_waves_are_no_event() -> None:
    time = np.arange(60 * RATE) / RATE
    wind = apply(low_pass(300, RATE), noise(60, 0.6)) * (1 + 0.7 * np.sin(2 * np.pi * 0.3 * time)).astype(np.float32)
    waves = noise(60, 0.1) * (0.15 + np.clip(np.sin(2 * np.pi * time / 9), 0, 1) ** 2).astype(np.float32)
    assert spans_of(wind) == []
    assert spans_of(waves + noise(60, 0.003, 1)) == []


def test_a_machine_that_comes_on_is_no_event() -> None:
    time = np.arange(12 * RATE) / RATE
    hum = np.sum([0.1 * np.sin(2 * np.pi * 50 * k * time) / k for k in range(1, 9)], axis=0)
    assert spans_of(put(noise(22, 0.002), hum.astype(np.float32), 10)) == []
    assert spans_of(put(noise(40, 0.003), noise(22, 0.1, 2), 10)) == []


def test_a_bark_is_heard_over_wind() -> None:
    time = np.arange(12 * RATE) / RATE
    wind = apply(low_pass(300, RATE), noise(12, 0.3)) * (1 + 0.5 * np.sin(2 * np.pi * 0.3 * time)).astype(np.float32)
    (found,) = spans_of(put(wind, bark(), 5))
    assert found[0] == pytest.approx(5, abs=0.1)


def test_only_sounds_that_reach_the_threshold_count() -> None:
    clip = put(put(noise(12, 0.001), bark(), 3), bark() * np.float32(0.1), 8)
    assert [round(start) for start, _ in spans_of(clip, 0.01)] == [3, 8]
    assert [round(start) for start, _ in spans_of(clip, 0.05)] == [3]
    assert spans_of(clip, 0.5) == []


def test_the_envelope_is_the_rms_as_recorded_whatever_the_blocks() -> None:
    clip = np.concatenate([noise(3, 0.05), noise(3, 0.05, 7)])
    whole, meter = envelope(clip, RATE), EnvelopeMeter(RATE, 2)
    for start in range(0, clip.shape[1], 777):
        meter.push(clip[:, start : start + 777])
    pieces = meter.finish()
    assert np.allclose(pieces.rms, whole.rms, rtol=1e-5)
    assert np.allclose(pieces.heard, whole.heard, rtol=1e-4)
    assert whole.rms.mean() == pytest.approx(0.05, rel=0.02)
    assert whole.loudest((1, 2)) == pytest.approx(0.05, rel=0.1)
    assert whole.loudest((10, 11)) == 0

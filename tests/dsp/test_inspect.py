import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from sottovoce.audio import Audio, Samples
from sottovoce.dsp.inspect import Inspection, Limits, inspect
from sottovoce.dsp.limiter import limit
from sottovoce.dsp.loudness import gain_for, integrated
from sottovoce.media.decode import FileReader

RATE = 48_000


@pytest.fixture
def take(clip: Callable[[str], Samples]) -> Samples:
    """A real take, limited as deliveries are."""
    limited, _ = limit(clip("music_calm_acoustic_1.opus"), RATE)
    return limited


def codes(found: Inspection, *, hard: bool = True) -> set[str]:
    return {fault.code for fault in found.faults if fault.hard == hard}


@pytest.mark.long
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
        "speech_jfk.flac",
    ],
)
def test_real_recordings_pass_once_limited(clip: Callable[[str], Samples], name: str) -> None:
    limited, _ = limit(clip(name), RATE)
    found = inspect(Audio(limited, RATE), expected_frames=limited.shape[1], target_lufs=integrated(limited, RATE))
    assert found.passed, found.faults
    assert "MONOTONOUS" not in codes(found, hard=False)


@pytest.mark.long
@pytest.mark.clips
def test_each_defect_is_named_and_placed(take: Samples) -> None:
    def after(change: Callable[[Samples], object]) -> Inspection:
        changed = take.copy()
        change(changed)
        return inspect(Audio(changed, RATE))

    def at(code: str, found: Inspection) -> float:
        return next(fault.at for fault in found.faults if fault.code == code and fault.at is not None)

    def click(sound: Samples) -> None:
        sound[:, 10 * RATE] += 0.5

    def hole(sound: Samples) -> None:
        sound[:, 12 * RATE : 12 * RATE + 2000] = 0

    def pause(sound: Samples) -> None:
        sound[:, 14 * RATE : 17 * RATE] = 0

    assert at("CLICK", after(click)) == pytest.approx(10.0, abs=0.001)
    assert at("DROPOUT", after(hole)) == pytest.approx(12.0, abs=0.001)
    assert at("GAP", after(pause)) == pytest.approx(14.0, abs=0.02)
    assert "DC" in codes(after(lambda sound: np.add(sound, 0.01, out=sound)))
    assert "CLIPPED" in codes(after(lambda sound: np.clip(sound * 4, -1, 1, out=sound)))
    assert "NOT_FINITE" in codes(after(lambda sound: np.put(sound, [5], np.nan)))
    assert "PHASE" in codes(after(lambda sound: np.negative(sound[0], out=sound[1])))


@pytest.mark.clips
def test_length_loudness_and_ceiling_are_judged_when_asked_for(take: Samples) -> None:
    audio = Audio(take, RATE)
    loud = integrated(take, RATE)
    assert codes(inspect(audio, expected_frames=take.shape[1] - 1)) == {"LENGTH"}
    assert codes(inspect(audio, target_lufs=loud + 0.4)) == {"LOUDNESS"}
    assert codes(inspect(audio, target_lufs=loud + 0.2)) == set()
    assert codes(inspect(audio, ceiling_db=-1.5)) == {"TRUE_PEAK"}
    assert codes(inspect(Audio(take * np.float32(1.1), RATE), ceiling_db=None)) == set()
    assert gain_for(loud, loud) == 1.0


def test_silence_and_nothing_are_refused() -> None:
    assert codes(inspect(Audio(np.zeros((2, RATE), np.float32), RATE))) == {"SILENT"}
    assert codes(inspect(Audio(np.zeros((2, 0), np.float32), RATE))) == {"EMPTY"}


def test_a_tick_track_is_refused() -> None:
    sound = np.random.default_rng(0).standard_normal(30 * RATE).astype(np.float32) * np.float32(0.005)
    time = np.arange(1200) / RATE
    for start in range(0, len(sound) - 1200, RATE // 2):
        sound[start : start + 1200] += (np.sin(2 * np.pi * 800 * time) * np.exp(-time * 150) * 0.5).astype(np.float32)
    assert codes(inspect(Audio(np.stack([sound, sound]), RATE))) == {"TICKING"}


def test_limits_can_be_wider() -> None:
    sound = np.random.default_rng(0).standard_normal((2, 10 * RATE)).astype(np.float32) * np.float32(0.05)
    envelope = np.ones(10 * RATE, np.float32)
    envelope[3 * RATE : 5 * RATE] = 0
    envelope = np.convolve(envelope, np.hanning(2001) / 1000, "same").astype(np.float32)
    audio = Audio(sound * envelope, RATE)
    assert codes(inspect(audio)) == {"GAP"}
    assert codes(inspect(audio, limits=Limits(gap=(1.5, 3.0)))) == set()


@pytest.mark.clips
def test_it_goes_into_json(take: Samples) -> None:
    found = inspect(Audio(take, RATE))
    assert json.loads(json.dumps(found.model_dump(mode="json"), allow_nan=False))["channels"] == 2
    silent = inspect(Audio(np.zeros((1, RATE), np.float32), RATE))
    assert json.loads(json.dumps(silent.model_dump(mode="json"), allow_nan=False))["lufs"] is None


@pytest.mark.clips
def test_a_file_is_inspected_block_by_block(clips: Path, clip: Callable[[str], Samples]) -> None:
    name = "music_calm_acoustic_1.opus"
    found = inspect(FileReader(clips / name), ceiling_db=None)
    assert found.lufs == pytest.approx(integrated(clip(name), RATE), abs=0.01)
    assert found.passed


class Looping:
    """A block of noise again and again, so that its length costs no memory."""

    rate, channels = RATE, 2

    def __init__(self, times: int) -> None:
        self._times = times
        self._noise = np.random.default_rng(0).standard_normal((2, 1 << 17)).astype(np.float32) * np.float32(0.05)

    @property
    def frames(self) -> int:
        return self._times << 17

    def blocks(self, frames: int) -> Iterator[Samples]:
        assert frames == self._noise.shape[1]
        yield from [self._noise] * self._times


def memory_for(times: int) -> int:
    tracemalloc.start()
    found = inspect(Looping(times))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.frames == times << 17
    return most


@pytest.mark.long
def test_memory_does_not_grow_with_the_length() -> None:
    memory_for(1)
    assert memory_for(60) < 1.15 * memory_for(15)

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sottovoce.audio import ArrayReader, Audio, Samples
from sottovoce.dsp.loudness import integrated
from sottovoce.engines.base import Run
from sottovoce.tasks.listening import Heard, causes_of, listen, voice_level

RATE = 48_000
Babble = Callable[[float, int, int], Samples]


def heard(samples: Samples, *, voice: Samples | None = None) -> Heard:
    clip = Audio(samples.astype(np.float32), RATE)
    if voice is None:
        return listen(ArrayReader(clip), clip.seconds, Run())
    stems = [ArrayReader(Audio(stem.astype(np.float32), RATE)) for stem in (voice, samples - voice)]
    return listen(ArrayReader(clip), clip.seconds, Run(), voice=stems[0], rest=stems[1])


def room(seconds: float, level: float = 1e-3) -> Samples:
    return (level * np.random.default_rng(0).standard_normal((2, round(seconds * RATE)))).astype(np.float32)


def with_talk(babble: Babble, place: Samples, at: float, seconds: float = 3, gain: float = 1.0) -> Samples:
    talk = place.copy()
    first = round(at * RATE)
    talk[:, first : first + round(seconds * RATE)] += np.float32(gain) * babble(seconds, RATE, round(at))
    return talk


def bang(place: Samples, at: float) -> Samples:
    loud = place.copy()
    first, length = round(at * RATE), round(0.3 * RATE)
    burst = 0.3 * np.exp(-np.arange(length) / (0.08 * RATE)) * np.random.default_rng(1).standard_normal(length)
    loud[:, first : first + length] += burst.astype(np.float32)
    return loud


def test_speech_and_other_sounds_are_told_apart_and_come_in_order(babble: Babble) -> None:
    causes, notes = causes_of(heard(bang(with_talk(babble, room(16), 3), 10)), 0.02)
    assert [cause.kind for cause in causes] == ["speech", "sound"]
    assert causes[0].start == pytest.approx(3, abs=0.3)
    assert causes[1].start == pytest.approx(10, abs=0.1)
    assert causes[1].rms is not None
    assert causes[1].rms > 0.05
    assert notes == ()


def test_the_threshold_is_the_level_as_recorded(babble: Babble) -> None:
    clip = heard(with_talk(babble, with_talk(babble, room(16, 1e-4), 2), 9, gain=0.05))
    assert len(causes_of(clip, 0.001)[0]) == 2
    causes, notes = causes_of(clip, 0.05)
    assert [round(cause.start) for cause in causes] == [2]
    assert "fainter than ducking_threshold" in notes[0]
    assert causes_of(clip, 1.0)[0] == ()


def test_speech_is_brought_to_minus_sixteen(babble: Babble) -> None:
    clip = with_talk(babble, room(30, 1e-4), 10, seconds=8, gain=0.1)
    level = voice_level(heard(clip))
    spoken = clip[:, 10 * RATE : 18 * RATE]
    assert level.speech
    assert integrated(spoken, RATE) + level.gain_db == pytest.approx(-16, abs=0.7)


@pytest.mark.long
def test_rare_speech_in_loud_noise_is_measured_without_the_noise(babble: Babble) -> None:
    quiet, noisy = (
        voice_level(heard(with_talk(babble, room(60, level), 30, gain=0.5))).gain_db for level in (1e-4, 1e-2)
    )
    assert noisy == pytest.approx(quiet, abs=1)


def test_without_speech_the_clip_is_turned_down_but_never_up(babble: Babble) -> None:
    assert voice_level(heard(room(6, 0.001))).gain_db == 0
    loud = voice_level(heard(room(6, 0.4)))
    assert loud.gain_db < -3
    assert loud.note is not None
    silent = voice_level(heard(room(6, 0)))
    assert (silent.lufs, silent.gain_db) == (None, 0)


def test_voices_may_come_from_a_stem_while_other_sounds_still_count(babble: Babble) -> None:
    voice = with_talk(babble, np.zeros((2, 16 * RATE), np.float32), 4, gain=0.1)
    causes, _ = causes_of(heard(bang(room(16, 3e-3), 12) + voice, voice=voice), 0.01)
    assert [(cause.kind, round(cause.start)) for cause in causes] == [("speech", 4), ("sound", 12)]


def test_the_level_of_a_voice_is_that_of_its_stem(babble: Babble) -> None:
    voice = with_talk(babble, np.zeros((2, 12 * RATE), np.float32), 4, gain=0.02)
    noisy = heard(room(12, 0.1) + voice, voice=voice)
    causes, notes = causes_of(noisy, 0.05)
    assert "speech" not in [cause.kind for cause in causes]
    assert "fainter than ducking_threshold" in notes[0]
    assert "speech" in [cause.kind for cause in causes_of(noisy, 0.0005)[0]]


def test_a_clip_of_one_sample_and_an_empty_one_are_heard_too() -> None:
    for frames in (0, 1):
        clip = heard(np.zeros((2, frames), np.float32))
        assert causes_of(clip, 0.0)[0] == ()
        assert voice_level(clip).gain_db == 0

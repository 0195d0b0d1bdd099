from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sottovoce.audio import Samples
from sottovoce.dsp.speech import Method, SpeechDetector, speech
from sottovoce.media.decode import decode

RATE = 16_000
Babble = Callable[[float, int, int], Samples]


def silence(seconds: float) -> Samples:
    return np.zeros((1, round(seconds * RATE)), np.float32)


@pytest.fixture
def talk(babble: Babble) -> Samples:
    """Speech from 2 to 6 s and from 8 to 11 s, in faint noise."""
    spoken = [silence(2), babble(4, RATE, 1), silence(2), babble(3, RATE, 2), silence(2)]
    whole = np.concatenate(spoken, axis=1)
    return whole + np.float32(1e-4) * np.random.default_rng(0).standard_normal(whole.shape).astype(np.float32)


@pytest.mark.parametrize("method", ["silero", "energy"])
@pytest.mark.parametrize("gain_db", [0, -20, -40])
def test_speech_is_found_where_it_is_however_faint(talk: Samples, method: Method, gain_db: float) -> None:
    heard = speech(talk * np.float32(10 ** (gain_db / 20)), RATE, method=method)
    assert heard.method == method
    assert len(heard.spans) == 2
    for (start, end), (true_start, true_end) in zip(heard.spans, ((2, 6), (8, 11)), strict=True):
        assert true_start - 0.3 <= start <= true_start
        assert true_end <= end <= true_end + 0.4


def test_noise_hum_and_silence_are_no_speech() -> None:
    time = np.arange(20 * RATE) / RATE
    noise = np.random.default_rng(1).standard_normal((1, len(time))).astype(np.float32)
    hum = np.sum([np.sin(2 * np.pi * 50 * k * time) / k for k in range(1, 8)], axis=0, keepdims=True).astype(np.float32)
    for sound in (noise * np.float32(0.1), noise * np.float32(1e-4), hum * np.float32(0.1), silence(20), silence(0)):
        assert speech(sound, RATE).spans == ()


def test_blocks_of_any_size_give_the_same_answer(talk: Samples) -> None:
    whole, detector = speech(talk, RATE), SpeechDetector(RATE)
    for start in range(0, talk.shape[1], 7001):
        detector.push(talk[:, start : start + 7001])
    piecewise = detector.finish()
    assert piecewise.spans == whole.spans
    assert np.allclose(piecewise.probability, whole.probability, atol=1e-4)


def test_a_probability_for_every_window_and_spans_within_the_clip(talk: Samples) -> None:
    heard = speech(talk[:, : 5 * RATE], RATE)
    assert len(heard.probability) * heard.hop == pytest.approx(5, abs=heard.hop)
    assert heard.probability.dtype == np.float32
    assert heard.spans[-1][1] <= 5


def test_another_rate_and_stereo_change_nothing_to_speak_of(babble: Babble) -> None:
    spoken = np.pad(babble(3, 44_100, 3), ((0, 0), (44_100, 44_100)))
    ((start, end),) = speech(np.repeat(spoken, 2, axis=0), 44_100).spans
    assert 0.7 <= start <= 1
    assert 4 <= end <= 4.4


@pytest.mark.long
@pytest.mark.clips
def test_a_real_voice_is_found_and_real_music_is_none(clips: Path) -> None:
    voice = decode(clips / "speech_jfk.flac")
    assert speech(voice.samples, voice.rate).seconds == pytest.approx(8.8, abs=0.4)
    for name in ("song_demucs_test.mp3", "music_calm_acoustic_1.opus", "music_energetic_electronic_2.opus"):
        music = decode(clips / name)
        assert speech(music.samples, music.rate).spans == ()

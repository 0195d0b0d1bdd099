from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sottovoce.audio import Samples
from sottovoce.dsp.music_presence import MusicDetector, music_presence
from sottovoce.dsp.resample import resample
from sottovoce.dsp.speech import speech
from sottovoce.media.decode import decode

RATE = 16_000


def chords(seconds: float) -> Samples:
    """A chord a second."""
    rng = np.random.default_rng(5)
    time = np.arange(RATE) / RATE
    played = []
    for _ in range(round(seconds)):
        pitches = 220 * 2 ** (rng.integers(0, 24, 3) / 12)
        played.append(
            np.sum(
                [np.exp(-2 * time) * np.sin(2 * np.pi * pitch * k * time) / k for pitch in pitches for k in (1, 2, 3)],
                axis=0,
            )
        )
    return (0.05 * np.concatenate(played))[None].astype(np.float32)


def music_in(clip: Samples) -> tuple[tuple[float, float], ...]:
    return music_presence(clip, RATE).spans(speech(clip, RATE).spans)


def test_chords_among_talk_are_found_where_they_are(babble: Callable[[float, int, int], Samples]) -> None:
    clip = np.concatenate([babble(12, RATE, 1), chords(12), babble(12, RATE, 2)], axis=1)
    ((start, end),) = music_in(clip)
    assert start == pytest.approx(12, abs=2)
    assert end == pytest.approx(24, abs=2)


def test_talk_noise_hum_and_a_steady_tone_are_no_music(babble: Callable[[float, int, int], Samples]) -> None:
    time = np.arange(20 * RATE) / RATE
    noise = 0.05 * np.random.default_rng(1).standard_normal((1, len(time)))
    hum = (
        np.sum([0.1 * np.sin(2 * np.pi * 50 * k * time) / k for k in range(1, 9)], axis=0, keepdims=True) + 0.02 * noise
    )
    tone = 0.1 * np.sin(2 * np.pi * 440 * time)[None]
    for clip in (babble(20, RATE, 3), noise, hum, tone, np.zeros((1, RATE * 9)), np.zeros((1, 0))):
        assert music_in(clip.astype(np.float32)) == ()


def test_blocks_of_any_size_give_the_same_share() -> None:
    clip = chords(20)
    whole, detector = music_presence(clip, RATE), MusicDetector(RATE)
    for start in range(0, clip.shape[1], 5003):
        detector.push(clip[:, start : start + 5003])
    assert np.allclose(detector.finish().share, whole.share, atol=1e-3)


@pytest.mark.clips
def test_real_singing_and_songs_are_music_and_a_speech_is_none(clips: Path) -> None:
    def clip(name: str) -> Samples:
        audio = decode(clips / name, channels=1)
        return resample(audio.samples, audio.rate, RATE)

    assert music_in(clip("speech_jfk.flac")) == ()
    for name in ("singing_vocadito_10.wav", "song_demucs_test.mp3", "music_nostalgic_acoustic_1.opus"):
        ((start, end),) = music_in(clip(name))
        assert end - start > 8

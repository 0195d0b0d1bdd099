from collections.abc import Callable

import numpy as np
import pytest

from sottovoce.audio import Samples
from sottovoce.dsp.separation import BASS, DRUMS, OTHER, STEMS, VOCALS, StreamSplit

RATE = 48_000
MUSIC = ("music_nostalgic_acoustic_1.opus", "music_happy_electronic_1.opus")
VOICES = ("speech_jfk.flac", "singing_vocadito_10.wav")


def split(samples: Samples, rate: int = RATE, step: int | None = None, **options: float) -> dict[str, Samples]:
    stream = StreamSplit(rate, samples.shape[0], **options)
    found: dict[str, list[Samples]] = {stem: [] for stem in STEMS}
    step = step or max(1, samples.shape[1])
    for at in range(0, samples.shape[1], step):
        for stem, block in stream.push(samples[:, at : at + step]):
            found[stem].append(block)
    for stem, block in stream.flush():
        found[stem].append(block)
    return {stem: np.concatenate(blocks, axis=1) for stem, blocks in found.items()}


def si_sdr(found: Samples, wanted: Samples) -> float:
    """Scale-invariant signal to distortion in dB (Le Roux et al. 2019)."""
    f, w = found.astype(np.float64).ravel(), wanted.astype(np.float64).ravel()
    aimed = (f @ w) / (w @ w) * w
    return float(10 * np.log10((aimed @ aimed) / ((f - aimed) @ (f - aimed))))


def level(samples: Samples) -> float:
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))


def mixture(voice: Samples, music: Samples) -> tuple[Samples, Samples]:
    """The voice as loud as the music, six seconds after its beginning: (voice, music), both as long as the music."""
    placed = np.zeros_like(music)
    placed[:, 6 * RATE : 6 * RATE + voice.shape[1]] = voice * (level(music) / level(voice))
    return placed, music


def noise(channels: int, frames: int) -> Samples:
    return (0.1 * np.random.default_rng(frames).standard_normal((channels, frames))).astype(np.float32)


@pytest.mark.long
@pytest.mark.parametrize("name", VOICES)
def test_voices_are_cleaner_than_in_the_mix(clip: Callable[[str], Samples], name: str) -> None:
    gains = []
    for music in MUSIC:
        voice, rest = mixture(clip(name), clip(music)[:, : 18 * RATE])
        gains.append(si_sdr(split(voice + rest)[VOCALS], voice) - si_sdr(voice + rest, voice))
    assert min(gains) > 4
    assert np.mean(gains) > 5.5


def test_mono_voices_are_cleaner_too(clip: Callable[[str], Samples]) -> None:
    voice, music = (part[:1] for part in mixture(clip(VOICES[0]), clip(MUSIC[1])[:, : 18 * RATE]))
    assert si_sdr(split(voice + music)[VOCALS], voice) > si_sdr(voice + music, voice) + 5


@pytest.mark.long
def test_stems_null_against_the_mix(clip: Callable[[str], Samples]) -> None:
    song = clip("song_demucs_test.mp3")
    stems = split(song)
    assert level(sum(stems.values()) - song) < level(song) * 10 ** (-90 / 20)
    assert all(stem.shape == song.shape and stem.dtype == np.float32 for stem in stems.values())


def test_pushes_of_any_size_give_the_same_bits(clip: Callable[[str], Samples]) -> None:
    song = clip("song_demucs_test.mp3")[:, : 9 * RATE]
    whole, cut = split(song), split(song, step=37_123)
    for stem in STEMS:
        np.testing.assert_array_equal(whole[stem], cut[stem])


@pytest.mark.parametrize(
    ("rate", "channels", "frames"),
    [(8000, 1, 1), (8000, 1, 511), (44_100, 2, 44_101), (96_000, 2, 96_000), (48_000, 3, 20_000), (16_000, 8, 40_000)],
)
def test_any_rate_channels_and_length(rate: int, channels: int, frames: int) -> None:
    samples = noise(channels, frames)
    stems = split(samples, rate)
    assert {stem.shape for stem in stems.values()} == {samples.shape}
    np.testing.assert_allclose(sum(stems.values()), samples, atol=1e-6)


def test_silence_stays_silent() -> None:
    assert not any(stem.any() for stem in split(np.zeros((2, 3 * RATE), np.float32)).values())


def drums_and_bass() -> tuple[Samples, Samples]:
    """Hits of noise with a low thump twice a second, over a sustained low note that changes every two seconds."""
    time, draw = np.arange(12 * RATE) / RATE, np.random.default_rng(2)
    since = time % 0.5
    thump = np.sin(2 * np.pi * 60 * since) * np.exp(-25 * since)
    hits = 0.3 * thump + 0.1 * draw.standard_normal(len(time)) * np.exp(-60 * since)
    bass = 0.15 * np.sin(2 * np.pi * np.cumsum(np.where(time % 4 < 2, 82.4, 110.0)) / RATE)
    return hits[None].astype(np.float32), bass[None].astype(np.float32)


def test_hits_go_to_the_drums_and_low_notes_to_the_bass() -> None:
    hits, bass = drums_and_bass()
    stems = split(hits + bass)
    assert si_sdr(stems[DRUMS], hits) > si_sdr(hits + bass, hits) + 3
    assert si_sdr(stems[BASS], bass) > si_sdr(hits + bass, bass) + 4


def test_the_edge_of_the_bass_acts() -> None:
    tone = (0.1 * np.sin(2 * np.pi * 300 / RATE * np.arange(6 * RATE)))[None].astype(np.float32)
    assert level(split(tone)[BASS]) < 0.1 * level(tone)
    assert level(split(tone, bass_hz=500)[BASS]) > level(split(tone, bass_hz=500)[OTHER])


@pytest.mark.long
def test_a_wider_window_finds_repetitions_further_away() -> None:
    """Noise in a rhythm that never repeats, played twice: only a window that reaches the second time finds it again."""
    rhythm = np.repeat(np.random.default_rng(4).random(80), RATE // 8)
    once = noise(1, 10 * RATE) * rhythm.astype(np.float32)
    twice = np.concatenate([once, once], axis=1)
    near, far = (split(twice, window_seconds=seconds)[VOCALS] for seconds in (12, 60))
    assert level(near - far) > 0.1 * level(near)


def test_voices_are_looked_for_in_the_middle_channel(clip: Callable[[str], Samples]) -> None:
    surround = np.zeros((6, 6 * RATE), np.float32)
    surround[2] = clip(VOICES[0])[0, : 6 * RATE]
    surround[4] = noise(1, 6 * RATE)
    vocals = split(surround)[VOCALS]
    assert level(vocals[2]) > 0.3 * level(surround[2])
    assert not vocals[4].any()

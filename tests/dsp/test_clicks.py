from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from sottovoce.audio import Samples
from sottovoce.dsp.clicks import DefectMeter, find_defects

RATE = 48_000
MUSIC = [
    "music_calm_acoustic_1.opus",
    "music_energetic_electronic_2.opus",
    "music_happy_electronic_1.opus",
    "music_nostalgic_acoustic_1.opus",
    "song_demucs_test.mp3",
    "singing_vocadito_10.wav",
]
Doubles = NDArray[np.float64]
Clip = Callable[[str], Samples]


def places(frames: int, count: int, seed: int = 0) -> list[int]:
    """`count` moments at least a tenth of a second apart, away from the ends."""
    step = (frames - RATE) // count
    moved = np.random.default_rng(seed).integers(0, step - RATE // 10, count)
    return [int(RATE // 2 + index * step + move) for index, move in enumerate(moved)]


def share_found(found: tuple[int, ...], wanted: list[int], within: int) -> float:
    return float(np.mean([min((abs(at - place) for at in found), default=RATE) <= within for place in wanted]))


@pytest.mark.long
@pytest.mark.clips
@pytest.mark.parametrize("name", MUSIC)
def test_real_music_has_none(clip: Clip, name: str) -> None:
    found = find_defects(clip(name), RATE)
    assert found.clicks == ()
    assert found.pops == ()
    assert found.dropouts == ()


@pytest.mark.clips
@pytest.mark.parametrize("name", MUSIC)
def test_clicks_of_one_sample_are_found_where_they_are(clip: Clip, name: str) -> None:
    music = clip(name).copy()
    put = places(music.shape[1], 30)
    music[:, put] += 0.3
    found = find_defects(music, RATE)
    assert share_found(found.clicks, put, 2) >= 0.85
    assert len(found.clicks) <= len(put)


@pytest.mark.clips
@pytest.mark.parametrize("name", MUSIC[:4])
def test_a_click_on_one_side_is_found(clip: Clip, name: str) -> None:
    music = clip(name).copy()
    put = places(music.shape[1], 20, seed=1)
    music[1, put] -= 0.4
    assert share_found(find_defects(music, RATE).clicks, put, 2) >= 0.85


@pytest.mark.clips
@pytest.mark.parametrize("name", MUSIC[:4])
def test_hard_seams_are_found(clip: Clip, name: str) -> None:
    music = clip(name)
    rng = np.random.default_rng(7)
    cuts = rng.integers(RATE, music.shape[1] - RATE, (40, 2))
    steps = [np.abs(music[:, there] - music[:, here - 1]).max() for here, there in cuts]
    hard = [cut for cut, step in zip(cuts, steps, strict=True) if step > 0.25]
    parts = [music[:, span] for here, there in hard for span in (slice(here - 9600, here), slice(there, there + 9600))]
    found = find_defects(np.concatenate(parts, axis=1), RATE).clicks
    assert share_found(found, [9600 + 19_200 * index for index in range(len(hard))], 8) >= 0.75


@pytest.mark.clips
@pytest.mark.parametrize("name", MUSIC[:4])
def test_dropouts_are_found_with_their_length(clip: Clip, name: str) -> None:
    music = clip(name).copy()
    put = places(music.shape[1], 10, seed=2)
    for index, at in enumerate(put):
        music[:, at : at + 100 * (index + 1)] = 0
    found = find_defects(music, RATE)
    assert len(found.dropouts) >= 9
    for each in found.dropouts:
        nearest = min(range(10), key=lambda index: abs(put[index] - each.start))
        assert abs(each.start - put[nearest]) <= 3
        assert each.frames == pytest.approx(100 * (nearest + 1), abs=6)
    assert found.clicks == ()


@pytest.mark.clips
def test_meter_does_not_care_how_the_stream_is_cut(clip: Clip) -> None:
    music = clip(MUSIC[0]).copy()
    music[:, places(music.shape[1], 12)] += 0.4
    whole = find_defects(music, RATE)
    for size in (30_000, 700_000):
        meter = DefectMeter(RATE, 2)
        for at in range(0, music.shape[1], size):
            meter.push(music[:, at : at + size])
        assert meter.defects() == whole


@pytest.mark.parametrize("hertz", [55, 110, 440])
@pytest.mark.parametrize("shape", [signal.square, signal.sawtooth])
def test_edges_of_a_buzzing_wave_are_no_clicks(hertz: int, shape: Callable[[Doubles], Doubles]) -> None:
    time = np.arange(3 * RATE) / RATE
    wave = shape(2 * np.pi * hertz * time) * 0.3 * np.minimum(1, np.minimum(time, time[::-1]) * 2)
    found = find_defects(wave.astype(np.float32)[None], RATE)
    assert len(found.clicks) + len(found.dropouts) == 0


def test_struck_sounds_are_no_clicks() -> None:
    rng = np.random.default_rng(0)
    time = np.arange(RATE // 2) / RATE
    kick = np.sin(2 * np.pi * 60 * time) * np.exp(-time * 20)
    snare = rng.standard_normal(RATE // 2) * np.exp(-time * 25) * 0.4
    bell = np.sin(2 * np.pi * 1500 * time) * np.exp(-time * 9) * 0.3
    beat = np.concatenate([kick, snare, kick, bell])
    sound = np.tile(beat, 5) + rng.standard_normal(10 * RATE) * 1e-3
    assert find_defects((sound * 0.5).astype(np.float32)[None], RATE).clicks == ()


def test_crackle_is_told_from_clicks() -> None:
    rng = np.random.default_rng(3)
    bed = signal.sosfilt(signal.butter(2, 800, fs=RATE, output="sos"), rng.standard_normal(10 * RATE)) * 0.1
    put = places(len(bed), 20)
    impulses = np.zeros(len(bed))
    impulses[put] = 0.6
    round_pops = signal.sosfilt(signal.butter(2, 5000, fs=RATE, output="sos"), impulses)
    crackling = find_defects((bed + round_pops).astype(np.float32)[None], RATE)
    assert crackling.clicks == ()
    assert share_found(crackling.pops, put, 16) >= 0.9
    clicking = find_defects((bed + impulses).astype(np.float32)[None], RATE)
    assert share_found(clicking.clicks, put, 2) >= 0.9


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 96_000, 192_000])
def test_other_rates(rate: int) -> None:
    rng = np.random.default_rng(rate)
    bed = (signal.sosfilt(signal.butter(1, 0.2, output="sos"), rng.standard_normal(4 * rate)) * 0.1).astype(np.float32)
    assert find_defects(bed[None], rate).clicks == ()
    bed[rate * 2] += 0.7
    found = find_defects(bed[None], rate).clicks
    assert len(found) == 1
    assert abs(found[0] - 2 * rate) <= 2


@pytest.mark.parametrize("frames", [0, 1, 2, 100, 5000])
def test_short_sounds(frames: int) -> None:
    sound = np.random.default_rng(0).standard_normal((2, frames)).astype(np.float32)
    assert find_defects(sound, RATE).dropouts == ()


def test_silence_has_no_defects() -> None:
    found = find_defects(np.zeros((2, 20 * RATE), np.float32), RATE)
    assert found.clicks == ()
    assert found.dropouts == ()


def test_long_dropouts_are_found_wherever_they_lie() -> None:
    noise = np.random.default_rng(5).standard_normal((1, 30 * RATE)).astype(np.float32) * np.float32(0.1)
    put = list(range(RATE // 2, 29 * RATE, 17_000 + RATE // 4))
    for at in put:
        noise[:, at : at + RATE // 4] = 0
    assert [each.start for each in find_defects(noise, RATE).dropouts] == put

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sottovoce.audio import Audio, Samples
from sottovoce.engines.base import EngineOptions, NoConfig, Run
from sottovoce.engines.keyframes import Keyframes
from sottovoce.media.decode import decode
from sottovoce.media.picture import Keyframe
from sottovoce.moods import Mood

RATE = 16_000


def pictures(*colours: tuple[int, int, int], each: int = 4, step: float = 0.5) -> list[Keyframe]:
    shots = [colour for colour in colours for _ in range(each)]
    return [Keyframe(step * index, np.tile(np.array(shot, np.uint8), (36, 64, 1))) for index, shot in enumerate(shots)]


def moving(colour: tuple[int, int, int]) -> list[Keyframe]:
    still = np.tile(np.array(colour, np.uint8), (36, 64, 1))
    still[:, ::8] = 255
    return [Keyframe(0.1 * index, np.roll(still, index, axis=1)) for index in range(20)]


def read(frames: list[Keyframe], sound: Audio | None = None) -> Mood:
    return Keyframes(NoConfig()).read(frames, sound, EngineOptions(), Run())


def test_bright_warm_and_lively_pictures_are_gayer_than_dark_blue_still_ones() -> None:
    gay, gloomy = read(moving((250, 190, 60))), read(pictures((10, 20, 60)))
    assert gay.energy_level in {"medium", "high"}
    assert gay.primary_mood in {"happy", "uplifting", "playful", "exciting", "energetic"}
    assert gloomy.energy_level == "low"
    assert gloomy.primary_mood in {"sad", "melancholic", "mysterious"}


def test_palettes_are_named_by_saturation_and_warmth() -> None:
    palettes = [
        read(pictures(colour)).color_palette
        for colour in ((255, 30, 20), (170, 140, 100), (100, 130, 170), (200, 200, 200))
    ]
    assert palettes == ["vibrant", "warm", "cool", "neutral"]


def test_quick_cuts_raise_the_energy() -> None:
    levels = ["low", "medium", "high"]
    calm = read(pictures((120, 140, 90), each=40))
    hasty = read(pictures((120, 140, 90), (90, 60, 150), (200, 60, 40), (20, 200, 90), each=2, step=0.25))
    assert levels.index(hasty.energy_level) > levels.index(calm.energy_level)


def test_confidence_is_modest_and_grows_with_what_there_is(babble: Callable[[float, int, int], Samples]) -> None:
    sound = Audio(babble(8, RATE, 1), RATE)
    nothing, seen, both = read([]), read(moving((250, 190, 60))), read(moving((250, 190, 60)), sound)
    assert nothing.confidence < 0.2 < seen.confidence <= both.confidence <= 0.65


def test_the_description_says_what_was_measured(babble: Callable[[float, int, int], Samples]) -> None:
    mood = read(pictures((255, 30, 20), (20, 30, 255)), Audio(babble(8, RATE, 1), RATE))
    for word in ("vibrant", "cuts a minute", "LUFS", "speech"):
        assert word in mood.description


def test_silence_and_a_single_sample_are_read_too() -> None:
    for sound in (np.zeros((1, RATE * 3), np.float32), np.ones((1, 1), np.float32)):
        assert read([], Audio(sound, RATE)).confidence < 0.4


def test_the_same_clip_reads_the_same() -> None:
    assert read(moving((250, 190, 60))) == read(moving((250, 190, 60)))


@pytest.mark.clips
def test_real_music_reads_livelier_when_it_is(clips: Path) -> None:
    def heard(name: str) -> Mood:
        return read([], decode(clips / name, rate=RATE, channels=1))

    levels = ["low", "medium", "high"]
    calm, energetic = heard("music_calm_acoustic_1.opus"), heard("music_energetic_electronic_2.opus")
    assert levels.index(energetic.energy_level) > levels.index(calm.energy_level)
    assert "bpm" in energetic.description

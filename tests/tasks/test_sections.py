"""Music in sections: exact length, beats that go on across the joins, scenes where they were asked for."""

from __future__ import annotations

import itertools
from typing import cast

import numpy as np
import pytest

from sottovoce.audio import DELIVERY_RATE, Audio
from sottovoce.dsp.tempo import tempo
from sottovoce.engines.base import EngineOptions, Generated, Generator, Run
from sottovoce.engines.composer import Composer, ComposerOptions
from sottovoce.engines.tone import Pretence, Tone
from sottovoce.prompt import Prompt
from sottovoce.tasks.request import Scene
from sottovoce.tasks.sections import in_sections, pieces


class Clock(Tone):
    """A click every half second over a chord, beginning at a moment of its own for each seed, and dying away at its end."""

    def generate(self, prompt: Prompt, options: EngineOptions, run: Run) -> Generated:
        made = super().generate(prompt, options, run)
        sound = 0.3 * made.audio.samples.copy()
        click = 0.4 * np.exp(-np.arange(2400) / 300) * np.random.default_rng(0).standard_normal(2400)
        for at in range(round((prompt.seed % 7) * 0.05 * DELIVERY_RATE), sound.shape[1] - 2400, DELIVERY_RATE // 2):
            sound[:, at : at + 2400] += click.astype(np.float32)
        return Generated(Audio(sound, DELIVERY_RATE))


def test_what_fits_is_one_piece() -> None:
    assert [(piece.start, piece.end) for piece in pieces(60, 600, 5)] == [(0.0, 60)]


@pytest.mark.parametrize(("seconds", "longest"), [(150, 120), (240, 120), (700, 600), (100, 30)])
def test_no_piece_is_longer_than_the_engine_can_make(seconds: float, longest: float) -> None:
    plan = pieces(seconds, longest, 5)
    assert len(plan) > 1
    assert all(piece.end - piece.start <= longest for piece in plan)
    assert plan[0].start == 0
    assert plan[-1].end >= seconds
    assert all(later.start < earlier.end for earlier, later in itertools.pairwise(plan))


def test_scenes_that_are_too_short_go_to_the_one_before() -> None:
    scenes = (
        Scene(start=0, mood="calm"),
        Scene(start=40, mood="happy"),
        Scene(start=43, mood="sad"),
        Scene(start=97, mood="tender"),
    )
    assert [piece.scene.mood for piece in pieces(100, 600, 5, scenes)] == ["calm", "happy"]


def test_the_beat_goes_on_and_the_length_is_exact() -> None:
    engine, prompt = Clock(Clock.Config()), Prompt("x", 50.0, 3)
    made = in_sections(cast("Generator", engine), prompt, pieces(50, 35, 5), Pretence(), Run())
    assert made.audio.frames == 50 * DELIVERY_RATE
    found = tempo(made.audio.samples, DELIVERY_RATE)
    assert found.bpm == pytest.approx(120, abs=1)
    assert np.abs(np.diff(found.beats) - 0.5).max() < 0.03
    assert [section.name for section in made.sections] == ["part 1", "part 2", "part 3"]


@pytest.mark.long
def test_a_change_of_mood_is_a_section_of_the_music() -> None:
    plan = pieces(40, 600, 5, (Scene(start=0, mood="calm"), Scene(start=20, mood="happy")))
    made = in_sections(cast("Generator", Composer()), Prompt("piano", 40.0, 3), plan, ComposerOptions(), Run())
    assert made.audio.frames == 40 * DELIVERY_RATE
    assert [section.name for section in made.sections] == ["calm", "happy"]
    assert made.sections[1].start == pytest.approx(20, abs=2.5)


@pytest.mark.long
def test_the_same_seed_is_the_same() -> None:
    plan, prompt = pieces(30, 25, 5), Prompt("x", 30.0, 5)
    one, other = (
        in_sections(cast("Generator", Clock(Clock.Config())), prompt, plan, Pretence(), Run()).audio.samples
        for _ in range(2)
    )
    assert np.array_equal(one, other)

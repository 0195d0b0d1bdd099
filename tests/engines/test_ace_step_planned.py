"""ACE-Step with its planner: what the language model settles and sketches reaches the music, and what was asked for stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="the extra ace-step is not installed")

from tests.engines import tiny_ace_step, tiny_planner

from sottovoce.audio import ArrayReader, Audio
from sottovoce.engines.ace_step.engine import AceStep
from sottovoce.engines.ace_step.options import AceStepConfig, AceStepOptions
from sottovoce.engines.base import Run
from sottovoce.progress import Progress
from sottovoce.prompt import Edit, Prompt

RATE = 48_000
ASKED = Prompt("calm warm piano", 10.5, 7, bpm=84)
PLAIN, PLANNED = AceStepOptions(steps=1, use_lm=False), AceStepOptions(steps=1)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AceStep]:
    place: Path = tmp_path_factory.mktemp("tiny")
    models = {
        "acestep-v15-turbo": tiny_ace_step.save(place / "turbo"),
        "acestep-5hz-lm-0.6b": tiny_planner.save(place / "planner"),
    }
    config = AceStepConfig(use_lm=True, lm_model_size="0.6B", device="cpu")
    made = AceStep(config, tiny_ace_step.Folder(place, models))
    yield made
    made.close()


def test_plan_and_codes_reach_the_music_and_the_record(engine: AceStep) -> None:
    heard: list[Progress] = []
    takes = engine.generate_batch(ASKED, (7, 8), PLANNED, Run(heard.append))
    assert all(take.audio.frames == round(10.5 * RATE) for take in takes)
    used = takes[0].options
    assert used["codes"] == 53
    assert used["bpm"] == 84
    assert used["planner"]["bpm"] == "84"
    assert used["planner"]["model"] == "acestep-5hz-lm-0.6b"
    assert used["planner"]["asked_caption"].startswith("calm warm piano")
    assert used["planner"]["caption"].startswith(used["caption"])
    assert used["meter"] == used["planner"]["timesignature"]
    percents = [progress.percent for progress in heard]
    assert percents == sorted(percents)
    assert {"plan", "sketch", "render", "decode"} <= {progress.stage for progress in heard}


@pytest.mark.long
def test_the_same_seed_is_planned_the_same_and_not_as_without_a_plan(engine: AceStep) -> None:
    first, again = (engine.generate(ASKED, PLANNED, Run()) for _ in range(2))
    without = engine.generate(ASKED, PLAIN, Run())
    assert np.array_equal(first.audio.samples, again.audio.samples)
    assert not np.array_equal(first.audio.samples, without.audio.samples)
    assert "planner" not in without.options


@pytest.mark.long
def test_edits_are_never_planned(engine: AceStep) -> None:
    sound = 0.1 * np.random.default_rng(1).standard_normal((2, 11 * RATE))
    edit = Edit("repaint", ArrayReader(Audio(sound.astype(np.float32), RATE)), start=2, end=5)
    made = engine.generate(replace(ASKED, seconds=11.0, edit=edit), PLANNED, Run())
    assert "planner" not in made.options

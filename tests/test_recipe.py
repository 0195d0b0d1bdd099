"""Where recipes lie, and what tells two of them apart."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from sottovoce.recipe import AudioFacts, Batch, EngineUsed, Recipe, beside, differences, read_recipe


def recipe(**changed: Any) -> Recipe:
    """A recipe of a piece by `auto`, with some fields changed."""
    facts = AudioFacts(sha256_pcm="0" * 64, rate=48_000, channels=2, frames=240_000, lufs=-16.0, true_peak_db=-1.0)
    made = Recipe(
        sottovoce="1", kind="generate", request={"prompt": "x", "engine": "auto", "seed": None, "versions": 3},
        engine=EngineUsed(name="tone", version="1"), seed=8, batch=Batch(size=3, index=1, seeds=(7, 8, 9)), device="cpu", cpu="some",
        libraries={"numpy": "2"}, precision="float32", threads=2, started="2026-01-01T00:00:00+00:00", seconds=1.0, inspection={}, audio=facts,
    )  # fmt: skip
    return made.model_copy(update=changed)


def test_a_recipe_reads_as_it_was_written(tmp_path: Path) -> None:
    recipe().write(tmp_path / "a.sotto.json")
    assert read_recipe(tmp_path / "a.sotto.json") == recipe()


def test_a_replay_by_name_of_what_auto_chose_is_no_difference() -> None:
    again = {"prompt": "x", "engine": "tone", "seed": 8, "versions": 1}
    assert differences(recipe(), recipe(request=again, batch=Batch(seeds=(8,)), seconds=2.0)) == {}


@pytest.mark.parametrize(
    ("name", "value"), [("libraries", {"numpy": "3"}), ("request", {"prompt": "y"}), ("threads", 4), ("seed", 9)]
)
def test_what_can_change_the_sound_is_named(name: str, value: object) -> None:
    assert list(differences(recipe(), recipe(**{name: value}))) == [name]


@pytest.mark.parametrize("stem", ["night", "n" * 250, "\N{MUSICAL KEYBOARD}" * 62])
def test_the_recipe_of_any_file_has_a_name_that_can_be_written(tmp_path: Path, stem: str) -> None:
    path = beside(tmp_path / f"{stem}.wav")
    path.touch()
    assert path.name.endswith(".sotto.json")
    assert stem.startswith(path.name.removesuffix(".sotto.json"))
    assert len(os.fsencode(path.name)) <= 255


def test_what_belongs_to_a_file_is_named_after_it() -> None:
    assert beside(Path("out/night.flac"), "_stems.zip") == Path("out/night_stems.zip")

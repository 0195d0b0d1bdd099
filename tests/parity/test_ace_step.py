"""Our calls against the plain calls of diffusers' pipeline, on the same small random weights: equal, bit by bit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="the extra ace-step is not installed")

import torch
from diffusers import AceStepPipeline
from tests.engines import tiny_ace_step as tiny

from sottovoce.audio import ArrayReader, Audio, Samples
from sottovoce.engines.ace_step.course import Course
from sottovoce.engines.ace_step.engine import AceStep
from sottovoce.engines.ace_step.options import AceStepOptions
from sottovoce.engines.base import Run
from sottovoce.prompt import Edit, Prompt, parse_key

RATE = 48_000
pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("tiny") / "base", turbo=False)


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def raw(monkeypatch: pytest.MonkeyPatch) -> list[Samples]:
    """What the network gave to our engine, before it is finished."""
    from sottovoce.engines.ace_step import making as module

    given: list[Samples] = []
    called = module.Making.called

    def keep(making: Any, first: int, seeds: Sequence[int], course: Course) -> Samples:
        given.append(called(making, first, seeds, course))
        return given[-1]

    monkeypatch.setattr(module.Making, "called", keep)
    return given


def noise(seconds: float, seed: int = 0) -> Samples:
    return (0.2 * np.random.default_rng(seed).standard_normal((2, round(seconds * RATE)))).astype(np.float32)


def ours(folder: Path, prompt: Prompt, seeds: Sequence[int], **options: Any) -> None:
    AceStep().generate_batch(prompt, seeds, AceStepOptions(model=str(folder), steps=2, **options), Run())


def theirs(folder: Path, seeds: Sequence[int], **asked: Any) -> Samples:
    pipe = AceStepPipeline.from_pretrained(folder, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    pipe.vae.enable_tiling()
    count = len(seeds)
    torch.manual_seed(0)
    made: Samples = pipe(
        prompt=["calm warm piano"] * count,
        lyrics=asked.pop("lyrics", ["[Instrumental]"] * count),
        vocal_language=asked.pop("vocal_language", "unknown"),
        num_inference_steps=2,
        guidance_scale=asked.pop("guidance_scale", 7.0),
        shift=1.0,
        generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
        output_type="np",
        **asked,
    ).audios
    return made


@pytest.fixture(autouse=True)
def _plain_caption(monkeypatch: pytest.MonkeyPatch) -> None:
    """The words as they are, so that both sides say the same."""
    monkeypatch.setattr("sottovoce.engines.ace_step.request.ace_step_caption", lambda prompt: prompt.words)


@pytest.mark.long
def test_text_to_music_with_everything_said(folder: Path, raw: list[Samples]) -> None:
    prompt = Prompt(
        "calm warm piano",
        10.5,
        3,
        lyrics="la la",
        language="de",
        bpm=90,
        key=parse_key("A minor"),
        time_signature="3/4",
    )
    ours(folder, prompt, (3,), guidance=4.0)
    said = {"lyrics": ["la la"], "vocal_language": "de", "bpm": 90, "keyscale": "A minor", "timesignature": "3"}
    assert np.array_equal(raw[0], theirs(folder, (3,), audio_duration=10.5, guidance_scale=4.0, **said))


@pytest.mark.long
def test_a_batch_of_seeds(folder: Path, raw: list[Samples]) -> None:
    ours(folder, Prompt("calm warm piano", 10.0, 0), (5, 6))
    assert np.array_equal(raw[0], theirs(folder, (5, 6), audio_duration=10.0))


@pytest.mark.long
@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_cover(folder: Path, raw: list[Samples], strength: float) -> None:
    source = noise(10.0)
    edit = Edit("cover", ArrayReader(Audio(source, RATE)), strength=strength)
    ours(folder, Prompt("calm warm piano", 10.0, 0, edit=edit), (5,))
    asked = {"task_type": "cover", "src_audio": torch.from_numpy(source), "audio_cover_strength": strength}
    assert np.array_equal(raw[0], theirs(folder, (5,), audio_duration=None, **asked))


@pytest.mark.long
def test_repaint(folder: Path, raw: list[Samples]) -> None:
    source = noise(10.0)
    edit = Edit("repaint", ArrayReader(Audio(source, RATE)), start=2.0, end=5.0)
    ours(folder, Prompt("calm warm piano", 10.0, 0, edit=edit), (5, 6))
    asked = {
        "task_type": "repaint",
        "src_audio": torch.from_numpy(source),
        "repainting_start": 2.0,
        "repainting_end": 5.0,
    }
    assert np.array_equal(raw[0], theirs(folder, (5, 6), audio_duration=None, **asked))


@pytest.mark.long
def test_reference(folder: Path, raw: list[Samples]) -> None:
    reference = noise(4.0)
    prompt = Prompt("calm warm piano", 10.0, 0, reference=ArrayReader(Audio(reference, RATE)))
    ours(folder, prompt, (5,))
    asked = {"audio_duration": 10.0, "reference_audio": torch.from_numpy(reference)}
    assert np.array_equal(raw[0], theirs(folder, (5,), **asked))

"""ACE-Step over its real pipeline with random weights: what is asked is checked, made, cut, levelled and said."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="the extra ace-step is not installed")

import torch
from safetensors.torch import load_file, save_file
from tests.engines import tiny_ace_step as tiny

from sottovoce import errors
from sottovoce.audio import ArrayReader, Audio, Samples
from sottovoce.dsp.loudness import integrated, true_peak_db
from sottovoce.engines.ace_step.engine import AceStep
from sottovoce.engines.ace_step.options import AceStepConfig, AceStepOptions
from sottovoce.engines.base import BatchGenerator, Generated, Run
from sottovoce.progress import Progress
from sottovoce.prompt import Edit, Prompt, parse_key

RATE = 48_000
ASKED = Prompt("calm warm piano", 10.0, 7)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("tiny")
    return {
        "acestep-v15-turbo": tiny.save(place / "turbo"),
        "deaf": tiny.save(place / "deaf", hears=False),
        "base": tiny.save(place / "base", turbo=False),
    }


@pytest.fixture(scope="module")
def engine(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[AceStep]:
    made = AceStep(AceStepConfig(), tiny.Folder(tmp_path_factory.mktemp("models"), folders))
    yield made
    made.close()


def make(engine: AceStep, prompt: Prompt = ASKED, run: Run | None = None, **options: Any) -> Generated:
    return engine.generate(prompt, AceStepOptions(**{"steps": 2, **options}), run or Run())


def music(seconds: float, seed: int = 3) -> Samples:
    """Something with a level and a pitch."""
    time = np.arange(round(seconds * RATE)) / RATE
    draw = np.random.default_rng(seed).standard_normal((2, len(time)))
    return (0.2 * np.sin(2 * np.pi * 220 * time) + 0.02 * draw).astype(np.float32)


def reader(samples: Samples, rate: int = RATE) -> ArrayReader:
    return ArrayReader(Audio(samples, rate))


@pytest.mark.parametrize(
    ("changed", "options", "error", "said"),
    [
        ({"seconds": 601.0}, {}, errors.InvalidDuration, "10 to 600"),
        ({"words": "la " * 200}, {}, errors.InvalidPrompt, "512"),
        ({"lyrics": "la " * 1400}, {}, errors.InvalidParameter, "4096"),
        ({"lyrics": "la", "language": "xx"}, {}, errors.InvalidParameter, "xx"),
        ({"bpm": 20.0}, {}, errors.InvalidParameter, "30 to 300"),
        ({}, {"steps": 21}, errors.InvalidInferenceSteps, "1 to 20"),
        ({}, {"steps": 0}, errors.InvalidInferenceSteps, "1 to 20"),
        ({}, {"model": "base", "steps": 201}, errors.InvalidInferenceSteps, "1 to 200"),
        ({}, {"guidance": 3.0}, errors.InvalidGuidanceScale, "distilled"),
        ({}, {"model": "sft", "guidance": 16.0}, errors.InvalidGuidanceScale, "1 to 15"),
        ({}, {"scheduler": "pndm"}, errors.InvalidScheduler, "euler and heun"),
        ({}, {"shift": 9.0}, errors.InvalidParameter, "1 to 5"),
        ({}, {"model": "xxl"}, errors.InvalidParameter, "turbo, base, sft, xl-turbo"),
        ({}, {"lora": "somewhere.safetensors:9"}, errors.InvalidParameter, "scale"),
        ({}, {"lora": "nowhere.safetensors"}, errors.ModelNotFound, "nowhere"),
        ({}, {"model": "./nowhere"}, errors.ModelNotFound, "diffusers layout"),
    ],
)
def test_what_is_out_of_range_is_refused_before_any_work(
    changed: dict[str, Any], options: dict[str, Any], error: type[errors.SottovoceError], said: str
) -> None:
    nothing_here = AceStep(AceStepConfig(), None)
    with pytest.raises(error, match=said):
        nothing_here.generate(replace(ASKED, **changed), AceStepOptions(**options), Run())


@pytest.mark.long
def test_edits_that_cannot_be_are_refused(engine: AceStep) -> None:
    source = reader(music(12))
    for edit, error in (
        (Edit("repaint", source, start=5, end=3), errors.InvalidParameter),
        (Edit("repaint", source, start=5, end=20), errors.InvalidParameter),
        (Edit("extend", source), errors.InvalidDuration),
        (Edit("cover", source, strength=1.5), errors.InvalidParameter),
    ):
        with pytest.raises(error):
            make(engine, replace(ASKED, edit=edit))
    with pytest.raises(errors.InvalidParameter, match="silent"):
        make(engine, replace(ASKED, reference=reader(np.zeros((2, RATE), np.float32))))


def test_a_take_is_as_long_and_as_loud_as_asked(engine: AceStep) -> None:
    assert isinstance(cast("object", engine), BatchGenerator)
    made = make(
        engine, replace(ASKED, seconds=10.33, bpm=92.4, key=parse_key("Ebm"), time_signature="6/8", loudness=-20.0)
    )
    assert made.audio.samples.shape == (2, round(10.33 * RATE))
    assert made.audio.samples.dtype == np.float32
    assert abs(integrated(made.audio.samples, RATE) + 20) < 0.3
    assert true_peak_db(made.audio.samples, RATE) <= -1
    said = made.options
    assert (said["bpm"], said["key"], said["meter"]) == (92, "Eb minor", "6")
    assert (said["steps"], said["guidance"], said["shift"], said["scheduler"]) == (2, 1.0, 3.0, "euler")
    assert said["lyrics"] == "[Instrumental]"
    assert (made.model, made.revision, made.device, made.precision) == ("acestep-v15-turbo", "a" * 40, "cpu", "float32")
    assert AceStepOptions(**{name: said[name] for name in ("steps", "guidance", "shift", "scheduler", "batch")})


@pytest.mark.long
def test_presets_belong_to_the_model(engine: AceStep, folders: dict[str, Path]) -> None:
    turbo = engine.generate(ASKED, AceStepOptions(), Run()).options
    assert (turbo["steps"], turbo["shift"], turbo["guidance"]) == (8, 3.0, 1.0)
    base = make(engine, model=str(folders["base"]), steps=None).options
    assert (base["steps"], base["shift"], base["guidance"]) == (50, 1.0, 7.0)


def test_less_than_ten_seconds_end_where_they_are_to(engine: AceStep) -> None:
    made = make(engine, replace(ASKED, seconds=6.0))
    assert made.audio.frames == 6 * RATE
    assert "10 s at least" in made.notes[0]
    level = np.abs(made.audio.samples).max(axis=0)
    assert level[-480:].max() < 0.02 * level.max()


@pytest.mark.long
def test_seeds_at_once_are_the_seeds_one_by_one(engine: AceStep) -> None:
    together = engine.generate_batch(ASKED, (7, 8), AceStepOptions(steps=2), Run())
    alone = [make(engine, replace(ASKED, seed=seed)) for seed in (7, 8)]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.audio.samples, other.audio.samples, atol=2e-4)
    assert [one.options["seed"] for one in together] == [7, 8]
    assert together[0].options["batch"] == 2
    assert np.abs(together[0].audio.samples - together[1].audio.samples).max() > 0.05


def told(folder: str) -> str:
    """The hash of a take, and that of its model's files."""
    made = AceStep().generate(Prompt("calm warm piano", 10.0, 7), AceStepOptions(steps=2, model=folder), Run())
    return f"{hashlib.sha256(made.audio.samples.tobytes()).hexdigest()} {made.sha256}"


@pytest.mark.long
def test_the_same_seed_in_a_fresh_process_is_the_same_music(folders: dict[str, Path]) -> None:
    folder = str(folders["acestep-v15-turbo"])
    program = "import sys; from tests.engines.test_ace_step import told; print(told(sys.argv[1]))"
    command = [sys.executable, "-c", program, folder]
    there = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True).stdout
    assert there.strip() == told(folder)
    assert len(there.split()[1]) == 64, "a folder of one's own is told by the hash of its files"


def test_after_the_load_no_network_is_touched(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("something asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert make(AceStep(), model=str(folders["acestep-v15-turbo"])).audio.frames == 10 * RATE


def test_progress_rises_through_every_stage(engine: AceStep) -> None:
    seen: list[Progress] = []
    make(engine, run=Run(progress=seen.append), scheduler="heun", steps=3)
    percents = [progress.percent for progress in seen]
    assert percents == sorted(percents)
    assert 90 < percents[-1] <= 100
    stages = list(dict.fromkeys(progress.stage for progress in seen))
    assert stages[-4:] == ["prepare", "render", "decode", "finish"]
    assert [(one.step, one.total) for one in seen if one.stage == "render"] == [(step, 5) for step in range(1, 6)]


@pytest.mark.long
@pytest.mark.parametrize("stage", ["load transformer", "render", "decode"])
def test_a_cancel_stops_it_and_the_next_call_works(engine: AceStep, stage: str) -> None:
    seen: list[str] = []

    def stop(progress: Progress) -> None:
        seen.append(progress.stage)
        if progress.stage == stage:
            raise errors.Cancelled("stop")

    if stage.startswith("load"):
        engine.close()
    with pytest.raises(errors.Cancelled):
        make(engine, run=Run(progress=stop))
    assert seen[-1] == stage
    assert stage == "decode" or "decode" not in seen
    assert make(engine).audio.frames == 10 * RATE


def test_values_that_are_no_numbers_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    broken = tiny.save(tmp_path / "broken")
    weights = broken / "transformer" / "diffusion_pytorch_model.safetensors"
    save_file({name: torch.full_like(tensor, float("nan")) for name, tensor in load_file(weights).items()}, weights)
    with pytest.raises(errors.ModelInferenceFailed, match="no numbers") as failed:
        make(AceStep(), model=str(broken))
    assert "--seed" in failed.value.hint


def test_damaged_and_lacking_weights_are_refused(tmp_path: Path) -> None:
    place = tiny.save(tmp_path / "cut")
    weights = place / "vae" / "diffusion_pytorch_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(errors.ModelLoadFailed, match="damaged") as failed:
        make(AceStep(), model=str(place))
    assert "sotto models verify" in failed.value.hint
    weights.write_bytes(whole)
    state = load_file(weights)
    save_file({name: tensor for name, tensor in state.items() if not name.startswith("decoder.conv1")}, weights)
    with pytest.raises(errors.ModelLoadFailed, match=r"vae.*missing"):
        make(AceStep(), model=str(place))
    (place / "transformer" / "config.json").write_text(json.dumps({"_class_name": "os.system"}))
    with pytest.raises(errors.WeightsRefused):
        make(AceStep(), model=str(place))


def test_too_little_memory_is_said_before_the_load(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sottovoce.engines.ace_step.engine.free_memory", lambda device: 100_000_000)
    seen: list[str] = []
    with pytest.raises(errors.ModelLoadFailed, match=r"needs .* GB .* 0\.1 GB are free"):
        make(
            AceStep(),
            run=Run(progress=lambda progress: seen.append(progress.stage)),
            model=str(folders["acestep-v15-turbo"]),
        )
    assert not any(stage.startswith("load") for stage in seen)


@pytest.mark.long
def test_a_batch_that_does_not_fit_is_made_in_smaller_ones_and_replayed_so(
    engine: AceStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(engine)
    loaded = engine._loaded
    assert loaded is not None
    called = type(loaded.pipe).__call__

    def small(pipe: Any, *args: Any, **asked: Any) -> Any:
        if len(asked["prompt"]) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return called(pipe, *args, **asked)

    with monkeypatch.context() as patched:
        patched.setattr(type(loaded.pipe), "__call__", small)
        fallen = engine.generate_batch(ASKED, (7, 8), AceStepOptions(steps=2), Run())
        patched.setattr(
            type(loaded.pipe), "__call__", lambda *_, **__: (_ for _ in ()).throw(torch.OutOfMemoryError("x"))
        )
        with pytest.raises(errors.OutOfMemory, match="one track"):
            make(engine)
    assert [one.options["batch"] for one in fallen] == [1, 1]
    assert "memory ran out" in fallen[0].notes[0]
    again = engine.generate_batch(ASKED, (7, 8), AceStepOptions(steps=2, batch=1), Run())
    for one, other in zip(fallen, again, strict=True):
        assert np.array_equal(one.audio.samples, other.audio.samples)


@pytest.mark.long
def test_a_repaint_leaves_the_rest_as_it_is(engine: AceStep) -> None:
    source = music(12)
    made = make(engine, replace(ASKED, seconds=12.0, edit=Edit("repaint", reader(source), start=4.0, end=6.0)))
    changed = np.flatnonzero(np.abs(made.audio.samples - source).max(axis=0) > 1e-6)
    assert made.audio.frames == 12 * RATE
    assert 4.0 * RATE <= changed[0] < 4.1 * RATE
    assert 5.9 * RATE < changed[-1] <= 6.0 * RATE
    assert made.options["task"] == "repaint"


@pytest.mark.long
def test_what_is_extended_begins_as_it_was(engine: AceStep) -> None:
    source = music(8)
    made = make(engine, replace(ASKED, seconds=14.0, edit=Edit("extend", reader(source))))
    assert made.audio.frames == 14 * RATE
    np.testing.assert_allclose(made.audio.samples[:, : round(7.4 * RATE)], source[:, : round(7.4 * RATE)], atol=1e-6)
    assert np.abs(made.audio.samples[:, 9 * RATE :]).max() > 0.01


@pytest.mark.long
def test_a_cover_is_as_long_as_its_source_whatever_its_rate(engine: AceStep) -> None:
    mono = music(11)[:1, ::3]
    edit = Edit("cover", reader(mono, RATE // 3), strength=0.5)
    first, second = (make(engine, replace(ASKED, seconds=11.0, edit=edit)) for _ in range(2))
    assert first.audio.frames == 11 * RATE
    assert np.array_equal(first.audio.samples, second.audio.samples)
    assert first.options["task"] == "cover"


def test_a_cover_needs_the_audio_tokenizer(engine: AceStep, folders: dict[str, Path]) -> None:
    edit = Edit("cover", reader(music(10)))
    with pytest.raises(errors.InvalidParameter, match="no audio tokenizer"):
        make(engine, replace(ASKED, edit=edit), model=str(folders["deaf"]))


@pytest.mark.long
def test_a_lora_changes_the_music_and_goes_again(engine: AceStep, tmp_path: Path) -> None:
    plain = make(engine)
    torch.manual_seed(5)
    names = [f"layers.{layer}.self_attn.q_proj" for layer in range(2)]
    tensors = {f"base_model.model.{name}.lora_A.weight": torch.randn(4, 32) for name in names}
    tensors |= {f"base_model.model.{name}.lora_B.weight": torch.randn(32, 4) for name in names}
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    with_it = make(engine, lora=f"{tmp_path}:0.5")
    assert with_it.options["lora"]["scale"] == 0.5
    assert not np.allclose(with_it.audio.samples, plain.audio.samples, atol=1e-3)
    assert np.array_equal(make(engine).audio.samples, plain.audio.samples)
    (tmp_path / "adapter_config.json").write_text(json.dumps({"lora_alpha": 2, "r": 4}))
    halved = make(engine, lora=f"{tmp_path}:1.0")
    np.testing.assert_allclose(halved.audio.samples, with_it.audio.samples, atol=1e-5)
    save_file(
        {"base_model.model.layers.0.self_attn.q_proj.lora_A.weight": torch.randn(4, 999)}, tmp_path / "bad.safetensors"
    )
    with pytest.raises(errors.ModelLoadFailed, match=r"bad\.safetensors does not fit"):
        make(engine, lora=str(tmp_path / "bad.safetensors"))
    assert np.array_equal(make(engine).audio.samples, plain.audio.samples)


def test_without_weights_the_command_is_named() -> None:
    with pytest.raises(errors.ModelNotFound) as missing:
        AceStep().generate(ASKED, AceStepOptions(), Run())
    assert "sotto models pull acestep-v15-turbo" in missing.value.hint

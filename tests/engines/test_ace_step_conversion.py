"""The published layout brought into diffusers': the same tensors under their other names, and the same music."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="the extra ace-step is not installed")

import torch
from safetensors.torch import load_file, save_file
from tests.engines import tiny_ace_step as tiny

from sottovoce import errors
from sottovoce.engines.ace_step.conversion import convert, prepared
from sottovoce.engines.ace_step.engine import AceStep
from sottovoce.engines.ace_step.options import AceStepConfig, AceStepOptions
from sottovoce.engines.ace_step.tensors import entries
from sottovoce.engines.base import Run
from sottovoce.progress import Progress
from sottovoce.prompt import Prompt

PARTS = ("transformer", "condition_encoder", "audio_tokenizer", "audio_token_detokenizer")
WEIGHTS = "diffusion_pytorch_model.safetensors"


def store(folder: Path, own: Path, parts: Path) -> tiny.Folder:
    models = {"acestep-v15-base": own, "acestep-v15-parts": parts}
    return tiny.Folder(folder / "models", models, {"acestep-v15-base": ("acestep-v15-parts",)})


def test_every_tensor_keeps_its_bits(tmp_path: Path) -> None:
    own, parts = tiny.published(tmp_path, turbo=False)
    seen: list[Progress] = []
    convert(own, parts, tmp_path / "made", seen.append)
    for part in PARTS:
        made, wanted = (load_file(tmp_path / place / part / WEIGHTS) for place in ("made", "ready"))
        assert set(made) == set(wanted)
        assert all(torch.equal(made[name], tensor) for name, tensor in wanted.items()), part
        said, meant = (json.loads((tmp_path / place / part / "config.json").read_text()) for place in ("made", "ready"))
        assert {name: meant[name] for name in said if name != "layer_types"} == {
            name: value for name, value in said.items() if name != "layer_types"
        }
    percents = [progress.percent for progress in seen]
    assert percents == sorted(percents)
    assert {f"convert {part}" for part in PARTS} <= {progress.stage for progress in seen}


def test_a_converted_model_makes_the_music_of_the_one_it_was(tmp_path: Path) -> None:
    own, parts = tiny.published(tmp_path, turbo=False)
    weights = store(tmp_path, own, parts)
    prompt = Prompt("calm warm piano", 10.0, 7)
    converted = AceStep(AceStepConfig(model_variant="base"), weights).generate(prompt, AceStepOptions(steps=2), Run())
    direct = AceStep().generate(prompt, AceStepOptions(model=str(tmp_path / "ready"), steps=2), Run())
    assert np.array_equal(converted.audio.samples, direct.audio.samples)
    assert (converted.model, converted.revision) == ("acestep-v15-base", "a" * 40)


def test_a_conversion_is_done_once_and_checked_afterwards(tmp_path: Path) -> None:
    own, parts = tiny.published(tmp_path)
    weights = store(tmp_path, own, parts)
    made = prepared(weights, "acestep-v15-base")
    at = (made / "transformer" / WEIGHTS).stat().st_mtime_ns
    assert prepared(weights, "acestep-v15-base") == made
    assert (made / "transformer" / WEIGHTS).stat().st_mtime_ns == at
    with (made / "transformer" / WEIGHTS).open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x55")
    with pytest.raises(errors.ModelLoadFailed, match="damaged") as failed:
        prepared(weights, "acestep-v15-base")
    assert str(made) in failed.value.hint


def test_a_conversion_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    own, parts = tiny.published(tmp_path)

    def stop(progress: Progress) -> None:
        if progress.stage == "convert condition_encoder":
            raise errors.Cancelled("stop")

    with pytest.raises(errors.Cancelled):
        prepared(store(tmp_path, own, parts), "acestep-v15-base", stop)
    assert not list((tmp_path / "models" / "converted").iterdir())


@pytest.mark.parametrize("damage", ["cut", "prefix", "silence", "config"])
def test_files_of_another_kind_are_refused(tmp_path: Path, damage: str) -> None:
    own, parts = tiny.published(tmp_path)
    weights = own / "model.safetensors"
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-100])
    if damage == "prefix":
        save_file({name.replace("decoder.", "dit."): tensor for name, tensor in load_file(weights).items()}, weights)
    if damage == "silence":
        (own / "silence_latent.pt").write_bytes(b"not a tensor")
    if damage == "config":
        (own / "config.json").write_text("[]")
    with pytest.raises(errors.ModelLoadFailed):
        convert(own, parts, tmp_path / "made")


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00" * 8, b"\xff" * 64, (2).to_bytes(8, "little") + b"[]", b"\x10" + b"\x00" * 7 + b'{"a": {"x": 1}} '],
)
def test_a_file_that_is_no_tensor_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(errors.ModelLoadFailed):
        entries(tmp_path / "a.safetensors")

"""Weights files from strangers: nothing in them runs, and what does not fit is refused."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("demucs", reason="the extra demucs is not installed")

import torch
from demucs.demucs import Demucs
from demucs.htdemucs import HTDemucs
from tests.engines import tiny_demucs as tiny

from sottovoce import errors
from sottovoce.engines.demucs.checkpoint import load
from sottovoce.engines.demucs.header import read_header


@pytest.mark.parametrize("kind", ["htdemucs", "hdemucs", "demucs"])
def test_what_was_saved_is_loaded(tmp_path: Path, kind: str) -> None:
    network = getattr(tiny, kind)()
    loaded = load(tiny.save(network, tmp_path / "a.safetensors"))
    for one, other in zip(network.state_dict().values(), loaded.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    assert not loaded.training


def test_loading_leaves_the_random_numbers_of_others_alone(tmp_path: Path) -> None:
    path = tiny.save(tiny.htdemucs(), tmp_path / "a.safetensors")
    before = torch.get_rng_state()
    load(path)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    "named", ["os.system", "demucs.htdemucs.os.system", "subprocess.run", "demucs.solver.Solver", "", "HTDemucs"]
)
def test_a_file_that_names_anything_else_is_refused_and_nothing_runs(tmp_path: Path, named: str) -> None:
    witness = tmp_path / "pwned"
    path = tiny.save(
        tiny.htdemucs(), tmp_path / "a.safetensors", klass=named, args=json.dumps([f"touch {witness}"]), kwargs="{}"
    )
    with pytest.raises(errors.WeightsRefused, match="only demucs"):
        load(path)
    assert not witness.exists()


def test_a_structure_that_imports_classes_is_refused(tmp_path: Path) -> None:
    path = tiny.save(tiny.htdemucs(), tmp_path / "a.safetensors", structure='{"_class": "os.system"}')
    with pytest.raises(errors.WeightsRefused, match="quantised"):
        load(path)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"args": "{"}, errors.WeightsRefused),
        ({"kwargs": "[]"}, errors.WeightsRefused),
        ({"kwargs": '{"segment": {"_type": "fraction", "numerator": 1, "denominator": 0}}'}, errors.WeightsRefused),
        ({"kwargs": '{"sources": ["kazoo"]}'}, errors.WeightsRefused),
        ({"kwargs": '{"sources": ["drums", "bass", "other", "vocals"], "channels": 16}'}, errors.ModelLoadFailed),
        ({"kwargs": '{"sources": ["drums", "bass", "other", "vocals"], "channels": "many"}'}, errors.ModelLoadFailed),
    ],
)
def test_settings_that_do_not_fit_are_refused(tmp_path: Path, changed: dict[str, str], error: type[Exception]) -> None:
    path = tiny.save(tiny.htdemucs(), tmp_path / "a.safetensors", **changed)
    with pytest.raises(error):
        load(path)


def test_only_stereo_networks_run(tmp_path: Path) -> None:
    torch.manual_seed(0)
    mono = Demucs(sources=tiny.FOUR, channels=4, depth=4, audio_channels=1, samplerate=tiny.RATE)
    with pytest.raises(errors.ModelLoadFailed, match="stereo"):
        load(tiny.save(mono, tmp_path / "a.safetensors"))


@pytest.mark.parametrize("keep", [0, 4, 8, 100, 0.5, 0.99])
def test_a_cut_file_is_damaged(tmp_path: Path, keep: float) -> None:
    path = tiny.save(tiny.htdemucs(), tmp_path / "a.safetensors")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep if keep >= 1 else keep * len(whole))])
    with pytest.raises((errors.ModelLoadFailed, errors.WeightsRefused)):
        load(path)


def test_a_header_that_claims_to_be_huge_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes((1 << 60).to_bytes(8, "little") + b"{}")
    with pytest.raises(errors.ModelLoadFailed, match="damaged"):
        read_header(path)


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(errors.ModelNotFound):
        load(tmp_path / "a.safetensors")
    with pytest.raises(errors.ModelNotFound):
        load(tmp_path / "a.th", pickled=True)


def test_a_pickled_file_needs_its_flag(tmp_path: Path) -> None:
    network = tiny.htdemucs()
    built: Any = network._init_args_kwargs
    args, kwargs = built
    package = {
        "klass": type(network),
        "args": args,
        "kwargs": kwargs,
        "state": network.state_dict(),
        "training_args": {},
    }
    torch.save(package, tmp_path / "a.th")
    with pytest.raises(errors.WeightsRefused, match="pickled"):
        load(tmp_path / "a.th")
    assert load(tmp_path / "a.th", pickled=True).sources == tiny.FOUR


class Bomb:
    """Runs a command when it is unpickled."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.witness}",)


def test_a_booby_trapped_pickle_is_refused_even_with_the_flag(tmp_path: Path) -> None:
    witness = tmp_path / "pwned"
    torch.save({"klass": HTDemucs, "args": (), "kwargs": {}, "state": Bomb(witness)}, tmp_path / "a.th")
    (tmp_path / "b.th").write_bytes(pickle.dumps(Bomb(witness), protocol=2))
    for name in ("a.th", "b.th"):
        with pytest.raises(errors.WeightsRefused):
            load(tmp_path / name, pickled=True)
    assert not witness.exists()

"""Our block loop against demucs' own `apply_model`, on the same small random networks."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("demucs", reason="the extra demucs is not installed")

import torch
from demucs.apply import BagOfModels, apply_model
from demucs.demucs import Demucs
from demucs.hdemucs import HDemucs
from demucs.htdemucs import HTDemucs
from tests.engines import tiny_demucs as tiny

from sottovoce.audio import ArrayReader, ArrayWriter, Audio, Samples, Stem
from sottovoce.dsp.levels import power_decibels
from sottovoce.engines.base import Run
from sottovoce.engines.demucs import engine as demucs
from sottovoce.engines.demucs.models import MODELS
from sottovoce.engines.demucs.options import DemucsConfig, DemucsOptions

CLOSE = 1e-5
Network = Demucs | HDemucs | HTDemucs


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def noise(frames: int, seed: int = 0) -> Samples:
    """Loud enough, off centre, louder on the left: what normalising has to undo."""
    draw = np.random.default_rng(seed).standard_normal((2, frames)) * [[0.2], [0.1]] + 0.05
    return draw.astype(np.float32)


def ours(folder: Path, sound: Samples, seed: int = 0, **options: Any) -> dict[Stem, Samples]:
    engine = demucs.Demucs(DemucsConfig(precision="exact", cache=folder / "cache"), tiny.Folder(folder))
    sink = ArrayWriter(tiny.RATE)
    engine.separate(
        ArrayReader(Audio(sound, tiny.RATE)), sink, DemucsOptions(**{"runtime": "torch", **options}), Run(seed=seed)
    )
    return {stem: audio.samples for stem, audio in sink.stems().items()}


def theirs(network: Any, sound: Samples, **arguments: Any) -> dict[Stem, Samples]:
    """As `demucs.api.Separator.separate_tensor` does it."""
    wav = torch.from_numpy(sound)
    mean, deviation = wav.mean(0).mean(), wav.mean(0).std() + 1e-8
    stems = apply_model(network, ((wav - mean) / deviation)[None], **{"shifts": 0, **arguments})[0] * deviation + mean
    return {Stem(name): part.float().numpy() for name, part in zip(network.sources, stems, strict=True)}


def assert_same(made: dict[Stem, Samples], wanted: dict[Stem, Samples], stems: Sequence[str] = tiny.FOUR) -> None:
    for stem in map(Stem, stems):
        assert made[stem].shape == wanted[stem].shape
        assert np.abs(made[stem] - wanted[stem]).max() <= CLOSE
        assert np.abs(wanted[stem]).max() > 100 * CLOSE


@pytest.mark.long
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("seconds", [0.0003, 0.4, 1, 1.75, 3.3])
def test_any_length_and_chunking(tmp_path: Path, seconds: float, batch: int) -> None:
    network = tiny.htdemucs()
    tiny.save(network, tmp_path / "955717e8.safetensors")
    sound = noise(round(seconds * tiny.RATE) + 1)
    assert_same(ours(tmp_path, sound, batch=batch), theirs(network, sound))


@pytest.mark.long
@pytest.mark.parametrize("overlap", [0, 0.1, 0.6, 0.9])
def test_any_overlap(tmp_path: Path, overlap: float) -> None:
    network = tiny.htdemucs()
    tiny.save(network, tmp_path / "955717e8.safetensors")
    sound = noise(2 * tiny.RATE)
    assert_same(ours(tmp_path, sound, overlap=overlap), theirs(network, sound, overlap=overlap))


def test_shifts_where_demucs_is_given_the_same_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny.htdemucs()
    tiny.save(network, tmp_path / "955717e8.safetensors")
    sound = noise(2 * tiny.RATE + 11)
    drawn = iter(np.random.default_rng(5).integers(0, tiny.RATE // 2 + 1, 2).tolist())
    monkeypatch.setattr(random, "randint", lambda low, high: next(drawn))
    assert_same(ours(tmp_path, sound, seed=5, shifts=2), theirs(network, sound, shifts=2))


@pytest.mark.long
def test_a_specialist_gives_what_the_whole_bag_gives_for_its_stem(tmp_path: Path) -> None:
    networks: list[Network] = [tiny.htdemucs(seed) for seed in range(4)]
    model = MODELS["htdemucs_ft"]
    for network, signature in zip(networks, model.signatures, strict=True):
        tiny.save(network, tmp_path / f"{signature}.safetensors")
    sound = noise(2 * tiny.RATE)
    wanted = theirs(BagOfModels(networks, [list(map(float, row)) for row in model.weights]), sound)
    assert_same(ours(tmp_path, sound, model="htdemucs_ft"), wanted)
    for signature in model.signatures[:3]:
        (tmp_path / f"{signature}.safetensors").unlink()
    alone = ours(tmp_path, sound, model="htdemucs_ft", only=("vocals",))
    assert set(alone) == {"vocals"}
    assert_same(alone, wanted, ["vocals"])


@pytest.mark.long
@pytest.mark.parametrize("segment", [None, 1.2])
def test_hybrid_networks_of_any_segment(tmp_path: Path, segment: float | None) -> None:
    network = tiny.hdemucs()
    tiny.save(network, tmp_path / "75fc33f5.safetensors")
    sound = noise(round(3.1 * tiny.RATE))
    made = ours(tmp_path, sound, model="hdemucs_mmi", segment=segment)
    assert_same(made, theirs(network, sound, segment=segment or MODELS["hdemucs_mmi"].segment))


@pytest.mark.long
@pytest.mark.parametrize("name", ["mdx", "mdx_extra"])
def test_a_bag_of_unlike_networks(tmp_path: Path, name: str) -> None:
    networks: list[Network] = [tiny.demucs(1), tiny.hdemucs(2), tiny.demucs(3), tiny.hdemucs(4)]
    model = MODELS[name]
    for network, signature in zip(networks, model.signatures, strict=True):
        tiny.save(network, tmp_path / f"{signature}.safetensors")
    sound = noise(round(2.6 * tiny.RATE))
    weights = [list(map(float, row)) for row in model.weights] or None
    wanted = theirs(BagOfModels(networks, weights), sound, segment=1.5)
    assert_same(ours(tmp_path, sound, model=name, segment=1.5, batch=2), wanted)


@pytest.mark.long
def test_every_block_is_heard() -> None:
    """What the other tests compare depends on every block: without any of them the result is clearly another one."""
    network = tiny.htdemucs()
    sound = torch.from_numpy(noise(tiny.RATE))[None]
    with torch.no_grad():
        whole = network(sound)
        for name, parameter in network.named_parameters():
            if name.endswith(".scale"):
                kept = parameter.data.clone()
                parameter.data.zero_()
                change = 10 * torch.log10((network(sound) - whole).square().sum() / whole.square().sum())
                parameter.data.copy_(kept)
                assert change > -60, name


@pytest.mark.long
def test_compiled_for_the_processor(tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed")
    network = tiny.htdemucs()
    tiny.save(network, tmp_path / "955717e8.safetensors")
    sound = noise(round(2.3 * tiny.RATE))
    wanted = theirs(network, sound)
    for _ in range(2):  # the second time from the cache
        assert_same(ours(tmp_path, sound, runtime="openvino"), wanted)
    assert len(list((tmp_path / "cache").glob("*.xml"))) == 1


def test_the_compiler_reports_to_nobody() -> None:
    pytest.importorskip("openvino", reason="openvino is not installed")
    telemetry = pytest.importorskip("openvino.tools.ovc.telemetry_utils")
    assert telemetry.tm.__name__ == "openvino.tools.ovc.telemetry_stub"


def test_fast_is_as_close_as_torch_gets_in_bfloat16(tmp_path: Path) -> None:
    network = tiny.htdemucs()
    tiny.save(network, tmp_path / "955717e8.safetensors")
    sound = noise(tiny.RATE)
    wanted = theirs(network, sound)
    with torch.autocast("cpu", torch.bfloat16):
        reduced = apart(theirs(network, sound), wanted)
    for runtime in ("torch", "openvino"):
        made = ours(tmp_path, sound, precision="fast", runtime=runtime)
        assert apart(made, wanted) < reduced + 3


def apart(made: dict[Stem, Samples], wanted: dict[Stem, Samples]) -> float:
    """Deviation in dB of the stems' power."""
    difference = sum(float(np.square(made[stem] - wanted[stem]).sum()) for stem in wanted)
    return power_decibels(difference / sum(float(np.square(part).sum()) for part in wanted.values()))

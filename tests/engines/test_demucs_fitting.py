"""Where a device's memory does not do: smaller batches, then the processor, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("demucs", reason="the extra demucs is not installed")

import torch
from demucs.htdemucs import HTDemucs
from tests.engines import tiny_demucs as tiny

from sottovoce import errors
from sottovoce.audio import ArrayReader, ArrayWriter, Audio, Samples, Stem
from sottovoce.engines.base import Run, Separation
from sottovoce.engines.demucs.engine import Demucs
from sottovoce.engines.demucs.fitting import Fitting
from sottovoce.engines.demucs.network import TorchNetwork, torch_threads
from sottovoce.engines.demucs.options import DemucsConfig, DemucsOptions


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with torch_threads(1):
        yield


class Small(torch.nn.Module):
    """A real network on a device with room for so many chunks; as torch does, it fails beyond them."""

    def __init__(self, network: HTDemucs, room: int) -> None:
        super().__init__()
        self.network, self.room, self.seen = network, room, list[int]()
        self.samplerate, self.segment, self.sources = network.samplerate, network.segment, network.sources

    def forward(self, mix: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(mix))
        if len(mix) > self.room:
            raise torch.OutOfMemoryError(f"no room for {len(mix)}")
        made: torch.Tensor = self.network(mix)
        return made


class TwoPlaces(TorchNetwork):
    """A network for which `card` is a device with little room; the arithmetic is the processor's on both."""

    def __init__(self, room: int) -> None:
        self._card: Any = Small(tiny.htdemucs(), room)
        super().__init__(self._card.network)
        self.device = "card"

    @property
    def seen(self) -> list[int]:
        return list(self._card.seen)

    def split(self, chunks: Samples, still: Any) -> Samples:
        place, self._module = self.device, self._card if self.device == "card" else self._card.network
        self.device = "cpu"
        try:
            return super().split(chunks, still)
        finally:
            self.device = place


def chunks(count: int) -> Samples:
    return np.random.default_rng(0).standard_normal((count, 2, tiny.RATE)).astype(np.float32)


def ignore() -> None:
    """The work is always wanted."""


@pytest.mark.long
def test_a_batch_is_halved_until_it_fits_and_stays_so() -> None:
    network = TwoPlaces(room=2)
    fitting = Fitting(network, "card", cpu_fallback=False)
    sound = chunks(7)
    made = fitting.split(sound, ignore)
    assert network.seen == [7, 3, 1, 1, 1, 1, 1, 1, 1]
    assert (fitting.batch, fitting.device) == (1, "card")
    np.testing.assert_allclose(made, TorchNetwork(tiny.htdemucs()).split(sound, ignore), atol=1e-5)
    fitting.split(sound[:2], ignore)
    assert network.seen[-2:] == [1, 1]


def test_without_leave_the_processor_stays_out() -> None:
    with pytest.raises(errors.OutOfMemory, match="batch of 1") as raised:
        Fitting(TwoPlaces(room=0), "card", cpu_fallback=False).split(chunks(2), ignore)
    assert "cpu_fallback" in raised.value.hint


def test_with_leave_the_processor_takes_over_for_this_job_only() -> None:
    network = TwoPlaces(room=0)
    fitting = Fitting(network, "card", cpu_fallback=True)
    sound = chunks(2)
    np.testing.assert_allclose(
        fitting.split(sound, ignore), TorchNetwork(tiny.htdemucs()).split(sound, ignore), atol=1e-5
    )
    assert fitting.device == "cpu"
    assert Fitting(network, "card", cpu_fallback=True).device == "card"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights, and a device with room for two chunks."""
    tiny.save(tiny.htdemucs(), tmp_path / "955717e8.safetensors")
    real = HTDemucs.forward

    def forward(self: HTDemucs, mix: torch.Tensor) -> torch.Tensor:
        if len(mix) > 2:
            raise torch.OutOfMemoryError("no room")
        made: torch.Tensor = real(self, mix)
        return made

    monkeypatch.setattr(HTDemucs, "forward", forward)
    return tmp_path


def split(folder: Path, **options: Any) -> tuple[dict[Stem, Samples], Separation]:
    source = Audio(chunks(1)[0].repeat(4, axis=1), tiny.RATE)
    sink = ArrayWriter(tiny.RATE)
    engine = Demucs(DemucsConfig(), tiny.Folder(folder))
    done = engine.separate(ArrayReader(source), sink, DemucsOptions(runtime="torch", **options), Run())
    return {stem: audio.samples for stem, audio in sink.stems().items()}, done


@pytest.mark.long
def test_the_recipe_and_the_notes_say_it(small: Path) -> None:
    many, said = split(small, batch=5)
    one, silent = split(small, batch=1)
    assert said.options["batch"] == 2
    assert any("2 chunks went at once, not 5" in note for note in said.notes)
    assert (silent.options["batch"], silent.notes) == (1, ())
    for stem, sound in one.items():
        np.testing.assert_allclose(many[stem], sound, atol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_a_cancel_comes_in_the_middle_of_a_chunk(tmp_path: Path, runtime: Any) -> None:
    if runtime == "openvino":
        pytest.importorskip("openvino", reason="openvino is not installed")
    network = _network(tmp_path, runtime)
    calls = []

    def stop() -> None:
        calls.append(1)
        raise errors.Cancelled("enough")

    with pytest.raises(errors.Cancelled):
        network.split(chunks(3), stop)
    assert len(calls) == 1
    sound = chunks(1)
    np.testing.assert_allclose(
        network.split(sound, ignore), TorchNetwork(tiny.htdemucs()).split(sound, ignore), atol=1e-4
    )


def _network(folder: Path, runtime: str) -> Any:
    if runtime == "torch":
        return TorchNetwork(tiny.htdemucs())
    from sottovoce.engines.demucs import compiled

    class Impatient(compiled.CompiledNetwork):
        """Asks at once whether the result is still wanted, so that small networks are asked too."""

        patience_ms = 0

    path = tiny.save(tiny.htdemucs(), folder / "tiny.safetensors")
    module = tiny.htdemucs()
    return Impatient(module, compiled.converted(module, path, None), threads=1)

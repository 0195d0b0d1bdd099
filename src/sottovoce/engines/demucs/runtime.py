"""Which way a network runs on this machine: as it was written, or compiled, and then exactly or fast."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
from demucs.htdemucs import HTDemucs
from numpy.typing import NDArray

from sottovoce import errors, machine
from sottovoce.audio import Stem
from sottovoce.dsp.resample import resample
from sottovoce.engines.base import Run
from sottovoce.engines.composer import Composer, ComposerOptions
from sottovoce.engines.demucs.checkpoint import load, outline
from sottovoce.engines.demucs.network import Network, TorchNetwork
from sottovoce.prompt import Prompt

Runtime = Literal["auto", "torch", "openvino"]
Precision = Literal["auto", "exact", "fast"]
#: `auto` takes the fast way if it stays so far below the stems, in dB.
GOOD_ENOUGH_DB = -40.0


@dataclass(frozen=True)
class Way:
    """How a network is to run: on which device, by which runtime, how precisely, on how many threads."""

    device: str
    runtime: Runtime
    precision: Precision
    threads: int


@dataclass(frozen=True, eq=False)
class Ready:
    """A network, how it runs, and how far it is from exact in dB where that was measured."""

    network: Network
    runtime: Runtime
    precision: Precision
    deviation_db: float | None = None


def ready(path: Path, stems: tuple[Stem, ...], way: Way, *, cache: Path | None, pickled: bool = False) -> Ready:
    """The network in a weights file that gives these stems; compiled ones are kept in the folder `cache`."""
    module = outline(path) if _is_kept(path, way, cache) else load(path, pickled=pickled)
    if tuple(module.sources) != stems:
        raise errors.WeightsRefused(f"{path.name} gives {', '.join(module.sources)}, not {', '.join(stems)}")
    if isinstance(module, HTDemucs) and _compiles(way):
        return _compiled(module, path, way, cache)
    precision: Precision = "fast" if way.precision == "fast" else "exact"
    return Ready(TorchNetwork(module, way.device, reduced=precision == "fast"), "torch", precision)


def _is_kept(path: Path, way: Way, cache: Path | None) -> bool:
    """Whether the network is compiled already, so that its weights need not be read."""
    if path.suffix != ".safetensors" or not path.exists() or not _compiles(way):
        return False
    from sottovoce.engines.demucs.compiled import kept_as

    kept = kept_as(path, cache)
    return kept is not None and kept.exists()


def _compiles(way: Way) -> bool:
    if way.runtime == "auto":
        return way.device == "cpu" and find_spec("openvino") is not None
    if way.runtime == "openvino" and find_spec("openvino") is None:
        raise errors.BackendNotInstalled("openvino is not installed", hint="pip install 'sottovoce[demucs]'")
    return way.runtime == "openvino"


def _compiled(module: HTDemucs, path: Path, way: Way, cache: Path | None) -> Ready:
    from sottovoce.engines.demucs.compiled import CompiledNetwork, converted, fingerprint, has_bfloat16

    build = partial(CompiledNetwork, module, converted(module, path, cache), threads=way.threads)
    if way.precision == "exact" or not has_bfloat16():
        return Ready(build(reduced=False), "openvino", "exact")
    record = cache / f"{fingerprint(path)}.json" if cache else None
    measured = _recorded(record)
    if measured is None and way.precision == "auto":
        chunk = _music(int(module.samplerate), int(module.segment * module.samplerate))
        # One after the other, so that only one of them is in memory.
        measured = _apart(*(build(reduced=reduced).split(chunk, lambda: None) for reduced in (False, True)))
        _record(record, measured)
    if way.precision == "auto" and measured is not None and measured > GOOD_ENOUGH_DB:
        return Ready(build(reduced=False), "openvino", "exact", measured)
    return Ready(build(reduced=True), "openvino", "fast", measured)


def _apart(exact: NDArray[np.float32], fast: NDArray[np.float32]) -> float:
    """How far the fast stems are from the exact ones, in dB of their power, to a hundredth."""
    return round(float(10 * np.log10(np.square(fast - exact).sum() / np.square(exact).sum() + 1e-30)), 2)


def _music(rate: int, frames: int) -> NDArray[np.float32]:
    """A chunk [1, 2, frames] of lofi, at mean 0 and deviation 1 as networks get it."""
    prompt = Prompt("lofi", max(5.0, frames / rate + 1), 0)
    audio = Composer().generate(prompt, ComposerOptions(style="lofi"), Run()).audio
    sound = resample(audio.samples, audio.rate, rate)[:, -frames:]
    return np.asarray((sound - sound.mean()) / sound.std(), np.float32)[None]


def _recorded(record: Path | None) -> float | None:
    """What was measured on this processor before."""
    if record is None or not record.exists():
        return None
    try:
        measured = json.loads(record.read_text(encoding="utf-8")).get(machine.processor())
    except (ValueError, AttributeError):
        return None
    return float(measured) if isinstance(measured, int | float) else None


def _record(record: Path | None, measured: float) -> None:
    if record is not None:
        draft = record.with_suffix(".draft.json")
        draft.write_text(json.dumps({machine.processor(): measured}) + "\n", encoding="utf-8")
        draft.replace(record)

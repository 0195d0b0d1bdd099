"""Networks of demucs that are small enough for tests, with random weights, in files of the real format."""

from __future__ import annotations

import json
from collections.abc import Collection
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import torch
from demucs.demucs import Demucs
from demucs.hdemucs import HDemucs
from demucs.htdemucs import HTDemucs
from safetensors.torch import save_file

from sottovoce import errors
from sottovoce.progress import OnProgress, ignore

FOUR = ["drums", "bass", "other", "vocals"]
RATE = 44_100
NetworkT = TypeVar("NetworkT", HTDemucs, HDemucs, Demucs)


def htdemucs(
    seed: int = 1, *, sources: list[str] | None = None, segment: Fraction = Fraction(1), scale: float = 8.0
) -> HTDemucs:
    """A hybrid transformer of 0.3 million parameters, with LayerScales at which even its narrow bottom is heard."""
    torch.manual_seed(seed)
    network: HTDemucs = HTDemucs(
        sources=sources or FOUR,
        channels=8,
        dconv_comp=4,
        t_layers=1,
        t_heads=2,
        t_hidden_scale=1.0,
        nfft=2048,
        segment=segment,
        samplerate=RATE,
    )
    network.eval()
    return scaled(network, scale)


def hdemucs(seed: int = 1) -> HDemucs:
    """A hybrid network without a transformer."""
    torch.manual_seed(seed)
    network: HDemucs = HDemucs(sources=FOUR, channels=8, segment=2, samplerate=RATE)
    network.eval()
    return scaled(network, 0.3)


def demucs(seed: int = 1) -> Demucs:
    """A network on the waveform alone."""
    torch.manual_seed(seed)
    network: Demucs = Demucs(sources=FOUR, channels=4, depth=4, segment=2, samplerate=RATE)
    network.eval()
    return scaled(network, 0.3)


def scaled(network: NetworkT, value: float) -> NetworkT:
    """Every LayerScale at a value where its block is heard: fresh networks have them near zero."""
    for name, parameter in network.named_parameters():
        if name.endswith(".scale"):
            parameter.data[:] = value
    return network


def save(network: Any, path: Path, **changed: str) -> Path:
    """Write a network as demucs writes it; `changed` replaces parts of the metadata."""
    args, kwargs = network._init_args_kwargs
    metadata = {
        "klass": f"{type(network).__module__}.{type(network).__qualname__}",
        "args": json.dumps(encoded(list(args))),
        "kwargs": json.dumps(encoded(kwargs)),
    }
    state = {key: value.contiguous().clone() for key, value in network.state_dict().items()}
    save_file(state, path, metadata=metadata | changed)
    return path


def encoded(value: Any) -> Any:
    """Fractions as demucs writes them into JSON."""
    if isinstance(value, Fraction):
        return {"_type": "fraction", "numerator": value.numerator, "denominator": value.denominator}
    if isinstance(value, dict):
        return {key: encoded(item) for key, item in value.items()}
    return [encoded(item) for item in value] if isinstance(value, list | tuple) else value


class Folder:
    """Weights in a folder, each model's files found by its signatures."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def located(self, name: str, *, only: Collection[str] = (), progress: OnProgress = ignore) -> tuple[Path, ...]:
        """The files of these names; MODEL_NOT_FOUND if one is missing."""
        paths = tuple(self.path / name for name in only)
        missing = [path for path in paths if not path.exists()]
        if missing:
            raise errors.ModelNotFound(f"{name} is not here", hint=f"`sotto models pull {name}`")
        return paths

"""Weights from a file into a network of demucs, with nothing in the file being run."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import torch
from demucs.demucs import Demucs
from demucs.hdemucs import HDemucs
from demucs.htdemucs import HTDemucs
from safetensors import SafetensorError
from safetensors.torch import load_file

from sottovoce import errors
from sottovoce.engines.demucs.header import Header, checked, read_header

#: One of demucs' networks.
Module: TypeAlias = HTDemucs | HDemucs | Demucs
_CLASSES: dict[str, type[Module]] = {f"{cls.__module__}.{cls.__qualname__}": cls for cls in (HTDemucs, HDemucs, Demucs)}
#: Stereo is what the block loop gives to a network.
_CHANNELS = 2


def load(path: Path, *, pickled: bool = False) -> Module:
    """The network in a file, in float32 on the CPU, ready to run.

    A `.safetensors` file is read always, a pickled `.th` file only if `pickled` says so, and then with nothing but weights let through.
    WeightsRefused, ModelLoadFailed (damaged, of another shape, or built for something else than stereo), ModelNotFound.
    """
    if path.suffix == ".safetensors":
        header = read_header(path)
        state = _state(path)
    elif path.suffix == ".th":
        header, state = _unpickled(path, allowed=pickled)
    else:
        raise errors.WeightsRefused(f"{path.name} is no weights file; a .safetensors file in demucs' layout is")
    return _built(header, state, path.name)


def _state(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise errors.ModelLoadFailed(f"{path.name} is damaged: {error}") from error


def _unpickled(path: Path, *, allowed: bool) -> tuple[Header, dict[str, torch.Tensor]]:
    if not allowed:
        raise errors.WeightsRefused(
            f"{path.name} is a pickled file, which can run programs when it is read",
            hint="Use the .safetensors file, or say `--option pickled=true` if you trust where it comes from.",
        )
    try:
        with torch.serialization.safe_globals([HTDemucs, HDemucs, Demucs, Fraction]):
            package = torch.load(path, "cpu", weights_only=True)
        cls = package["klass"]
        return checked(f"{cls.__module__}.{cls.__qualname__}", package["args"], package["kwargs"], path.name), package[
            "state"
        ]
    except FileNotFoundError as error:
        raise errors.ModelNotFound(f"{path.name} is not there") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError, AttributeError) as error:
        raise errors.WeightsRefused(
            f"{path.name} holds more than weights, or is damaged: {str(error).splitlines()[0]}"
        ) from error


def outline(path: Path) -> Module:
    """The network of a `.safetensors` file without its weights, which takes no memory; errors as of `load`."""
    return _outline(read_header(path), path.name)


def _outline(header: Header, name: str) -> Module:
    cls = _CLASSES[header.network]
    known = inspect.signature(cls).parameters
    kwargs = {key: value for key, value in header.kwargs.items() if key in known}
    with _fitting(name), torch.device("meta"):
        network = cls(*header.args, **kwargs)
    if network.audio_channels != _CHANNELS:
        raise errors.ModelLoadFailed(f"{name} is a network for {network.audio_channels} channels; only stereo ones run")
    outlined: Module = network.eval().requires_grad_(requires_grad=False)
    return outlined


def _built(header: Header, state: dict[str, Any], name: str) -> Module:
    network = _outline(header, name)
    with _fitting(name):
        network.to_empty(device="cpu").load_state_dict({key: value.float() for key, value in state.items()})
    return network


@contextmanager
def _fitting(name: str) -> Iterator[None]:
    """Says of which file it was that something does not fit."""
    try:
        yield
    except (RuntimeError, TypeError, ValueError, AssertionError, AttributeError, ZeroDivisionError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise errors.ModelLoadFailed(f"the weights in {name} do not fit the network they name: {reason}") from error

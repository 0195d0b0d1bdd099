"""LoRA adapters from the user's own files: read without running anything, scaled as they were trained."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sottovoce import errors

if TYPE_CHECKING:
    from diffusers import AceStepPipeline

_NAMES = ("adapter_model.safetensors", "pytorch_lora_weights.safetensors")
_ADAPTER = "sottovoce"
_MOST = 4.0


@dataclass(frozen=True)
class Lora:
    """An adapter's file and how strongly it acts."""

    path: Path
    scale: float


def parse_lora(text: str) -> Lora:
    """`PATH` or `PATH:SCALE`, a safetensors file or the folder of one; InvalidParameter for a bad scale, ModelNotFound for no file."""
    name, _, last = text.rpartition(":")
    scale = _number(last) if name else None
    path = Path(name if scale is not None else text).expanduser()
    if scale is None:
        scale = 1.0
    if not 0 < abs(scale) <= _MOST:
        raise errors.InvalidParameter(f"a LoRA's scale is -{_MOST:g} to {_MOST:g} and not 0, not {scale:g}")
    return Lora(_file(path), scale)


def apply_lora(pipe: AceStepPipeline, lora: Lora | None) -> None:
    """Make a pipeline run with an adapter, or with none; ModelLoadFailed if it does not fit the network."""
    if _ADAPTER in getattr(pipe.transformer, "peft_config", {}):
        pipe.delete_adapters(_ADAPTER)
    if lora is None:
        return
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        pipe.load_lora_weights(load_file(lora.path), adapter_name=_ADAPTER)
        pipe.set_adapters(_ADAPTER, lora.scale * _trained_scale(lora.path))
    except (SafetensorError, OSError, ValueError, RuntimeError, KeyError, IndexError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise errors.ModelLoadFailed(
            f"the LoRA {lora.path.name} does not fit this model: {reason}",
            hint="A LoRA of the 2B models does not fit xl-turbo; take the model that it was trained on.",
        ) from error


def _trained_scale(path: Path) -> float:
    """PEFT keeps what an adapter is to be multiplied by beside it: alpha over rank (or its root)."""
    beside = path.with_name("adapter_config.json")
    if not beside.exists():
        return 1.0
    said: dict[str, Any] = json.loads(beside.read_text(encoding="utf-8"))
    alpha, rank = said.get("lora_alpha"), said.get("r")
    if not alpha or not rank:
        return 1.0
    return float(alpha) / (float(rank) ** 0.5 if said.get("use_rslora") else float(rank))


def _file(path: Path) -> Path:
    found = next((path / name for name in _NAMES if (path / name).is_file()), path)
    if not found.is_file():
        raise errors.ModelNotFound(f"the LoRA {path} is not there", hint="Give the path of a .safetensors file.")
    if found.suffix != ".safetensors":
        raise errors.WeightsRefused(
            f"{found.name} is no .safetensors file; others can run programs when they are read",
            hint="Convert it first.",
        )
    return found


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None

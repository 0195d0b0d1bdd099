"""diffusers' pipeline in memory: put together from a folder's parts, with nothing in the folder run and nothing asked of the network."""

from __future__ import annotations

import logging
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from diffusers import (
    AceStepAudioTokenDetokenizer,
    AceStepAudioTokenizer,
    AceStepConditionEncoder,
    AceStepPipeline,
    AceStepTransformer1DModel,
    AutoencoderOobleck,
    FlowMatchEulerDiscreteScheduler,
)
from safetensors import SafetensorError
from transformers import AutoTokenizer, Qwen3Model

from sottovoce import errors
from sottovoce.audio import DELIVERY_RATE
from sottovoce.engines.ace_step.heun import FlowMatchHeunScheduler
from sottovoce.engines.ace_step.memory import Tier
from sottovoce.engines.ace_step.request import FRAMES_A_SECOND
from sottovoce.engines.ace_step.tensors import entries_of

#: Called before each part with its name and the share of all that is done, 0-1; raising from it stops the loading.
OnPart = Callable[[str, float], None]

_MODELS: dict[str, Any] = {
    "text_encoder": Qwen3Model,
    "condition_encoder": AceStepConditionEncoder,
    "transformer": AceStepTransformer1DModel,
    "vae": AutoencoderOobleck,
}
_OPTIONAL: dict[str, Any] = {
    "audio_tokenizer": AceStepAudioTokenizer,
    "audio_token_detokenizer": AceStepAudioTokenDetokenizer,
}
_SCHEDULERS = {"euler": FlowMatchEulerDiscreteScheduler, "heun": FlowMatchHeunScheduler}
_DAMAGED = (SafetensorError, OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, ImportError)


@dataclass(frozen=True)
class Way:
    """How a pipeline is kept: on which device, in which precision, how much of it there at once."""

    device: str
    precision: str
    tier: Tier


def load(folder: Path, way: Way, on_part: OnPart) -> AceStepPipeline:
    """The pipeline of a folder in diffusers' layout, ready to run; ModelLoadFailed for files that are damaged or do not fit."""
    optional = {name: model for name, model in _OPTIONAL.items() if (folder / name / "config.json").is_file()}
    wanted = {**_MODELS, **optional}
    weights = {name: sum(path.stat().st_size for path in (folder / name).glob("*.safetensors")) for name in wanted}
    parts: dict[str, Any] = {}
    for name, model in wanted.items():
        on_part(name, sum(weights[part] for part in parts) / max(1, sum(weights.values())))
        parts[name] = _part(folder / name, model, way)
    with _reading(folder / "tokenizer"):
        parts["tokenizer"] = AutoTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    pipe = AceStepPipeline(**parts, scheduler=scheduler("euler"))
    if (pipe.sample_rate, pipe.latents_per_second) != (DELIVERY_RATE, FRAMES_A_SECOND):
        raise errors.ModelLoadFailed(f"{folder} makes sound at {pipe.sample_rate} Hz, which is none of ACE-Step 1.5's")
    pipe.set_progress_bar_config(disable=True)
    pipe.vae.enable_tiling()
    _place(pipe, way)
    return pipe


def scheduler(name: str) -> Any:
    """A scheduler that takes the pipeline's own schedule as it is."""
    return _SCHEDULERS[name](num_train_timesteps=1, shift=1.0)


@contextmanager
def threads_of(count: int) -> Iterator[None]:
    """So many threads of the processor for the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Freeing:
    """A run of a pipeline; however it ends, nothing of it stays in memory but the pipeline itself."""

    def __init__(self, pipe: AceStepPipeline, device: str) -> None:
        self._pipe, self._device = pipe, device

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            # What is raised from within a step would keep the step's tensors alive for as long as it travels.
            traceback.clear_frames(trace)
            self._pipe.maybe_free_model_hooks()
        if self._device.startswith("cuda"):
            torch.cuda.empty_cache()


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch ran out of memory, on a card or on the processor, which has no error of its own for it."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _part(folder: Path, model: Any, way: Way) -> Any:
    dtype = getattr(torch, way.precision)
    named = {"dtype": dtype} if model is Qwen3Model else {"torch_dtype": dtype}
    with _reading(folder):
        part = model.from_pretrained(folder, local_files_only=True, use_safetensors=True, **named)
        _check_whole(folder, part)
        if way.tier == "resident":
            part.to(way.device)
    return part.eval()


def _check_whole(folder: Path, part: Any) -> None:
    """Libraries make up what a file lacks at random, and only log it."""
    there = {name.removeprefix("model.") for name in entries_of(folder)}
    missing = [name for name in part.state_dict() if name.removeprefix("model.") not in there]
    if missing:
        raise ValueError(f"{len(missing)} tensors are missing, such as {missing[0]}")


def _place(pipe: AceStepPipeline, way: Way) -> None:
    """Where not all of it stays on the card: each part goes there while it works."""
    if way.tier == "parts":
        pipe.enable_model_cpu_offload(device=way.device)
    elif way.tier == "layers":
        pipe.vae.enable_slicing()
        pipe.enable_sequential_cpu_offload(device=way.device)


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """Says of which part it was that something is damaged, missing or does not fit; libraries keep their own words to themselves."""
    quiet = [logging.getLogger(name) for name in ("diffusers", "transformers")]
    levels = [logger.level for logger in quiet]
    for logger in quiet:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # diffusers still builds its decoder with torch's older weight_norm.
            warnings.filterwarnings("ignore", ".*weight_norm", FutureWarning)
            yield
    except torch.OutOfMemoryError as error:
        raise errors.ModelLoadFailed(f"no memory is left for {folder.name}", hint="Close other programs.") from error
    except _DAMAGED as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise errors.ModelLoadFailed(f"the weights in {folder} cannot be used: {reason}") from error
    finally:
        for logger, level in zip(quiet, levels, strict=True):
            logger.setLevel(level)

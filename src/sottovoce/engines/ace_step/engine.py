"""The engine: ACE-Step 1.5 by diffusers' pipeline, kept loaded between calls, one call at a time."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import ClassVar

from sottovoce import errors
from sottovoce.audio import DELIVERY_RATE
from sottovoce.engines.accelerator import free_memory, resolved_device
from sottovoce.engines.ace_step.codes import Planner
from sottovoce.engines.ace_step.conversion import Weights
from sottovoce.engines.ace_step.expectation import loading_share
from sottovoce.engines.ace_step.loaded import Loaded, time_of
from sottovoce.engines.ace_step.lora import apply_lora
from sottovoce.engines.ace_step.making import Making
from sottovoce.engines.ace_step.memory import needs_of, tier_for, working
from sottovoce.engines.ace_step.options import AceStepConfig, AceStepOptions
from sottovoce.engines.ace_step.places import Place, place_of
from sottovoce.engines.ace_step.planner.planner import FiveHzPlanner
from sottovoce.engines.ace_step.presets import LONGEST_SECONDS
from sottovoce.engines.ace_step.request import Asked, asked_of
from sottovoce.engines.base import Capabilities, EngineOptions, Generated, Run, Unavailable
from sottovoce.progress import within
from sottovoce.prompt import Prompt
from sottovoce.version import __version__

_PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "peft", "safetensors")
_INSTALL = "pip install 'sottovoce[ace-step]'"
#: Shares of a whole run in percent: finding the files, and what loading them is never below or above.
_FOUND, _LEAST_LOAD, _MOST_LOAD = 1.0, 2.0, 80.0


class AceStep:
    """Music with or without a voice by ACE-Step 1.5; the same prompt, options and seed give the same music on one machine."""

    name: ClassVar[str] = "ace-step"
    title: ClassVar[str] = "ACE-Step"
    version: ClassVar[str] = __version__
    Config: ClassVar[type[AceStepConfig]] = AceStepConfig
    section: ClassVar[str | None] = "ace_step"
    Options: ClassVar[type[AceStepOptions]] = AceStepOptions
    capabilities: ClassVar[Capabilities] = Capabilities(
        seconds=(5.0, LONGEST_SECONDS),
        rate=DELIVERY_RATE,
        lyrics=True,
        tasks=("generate", "cover", "repaint", "extend", "reference"),
        needs="torch and diffusers, weights of 6 to 11 GB, and a graphics card for speed",
        licence="MIT",
        quality="neural: songs and instrumental music of 10 to 600 s; turbo in 8 steps, base and sft in 50",
    )

    def __init__(
        self,
        config: AceStepConfig | None = None,
        weights: Weights | None = None,
        device: str = "cpu",
        *,
        planner: Planner | None = None,
    ) -> None:
        self.config, self.weights, self.device = config or AceStepConfig(), weights, device
        self.planner = planner or FiveHzPlanner(self.config, weights)
        self._plans = self.config.use_lm or planner is not None
        self._loaded: Loaded | None = None
        self._places: dict[str, Place] = {}
        self._lock = threading.RLock()

    def unavailable(self) -> Unavailable | None:
        """Whether it is switched on and its packages are here; weights are asked for when their model is known."""
        if not self.config.enabled:
            return Unavailable("it is switched off", "sotto config set ace_step.enabled true")
        if self.config.mode == "api":
            return Unavailable("ace_step.mode is api, so only servers are asked", "sotto config set ace_step.mode auto")
        missing = [name for name in _PACKAGES if find_spec(name) is None]
        return Unavailable(f"the packages {', '.join(missing)} are missing", _INSTALL) if missing else None

    def close(self) -> None:
        """Give the memory back; waits for a call that is on its way."""
        with self._lock:
            self._forget()
            self.planner.close()

    def generate(self, prompt: Prompt, options: EngineOptions, run: Run) -> Generated:
        """One take of exactly `round(prompt.seconds * 48000)` frames; errors as of `generate_batch`."""
        return self.generate_batch(prompt, (prompt.seed,), options, run)[0]

    def generate_batch(
        self, prompt: Prompt, seeds: Sequence[int], options: EngineOptions, run: Run
    ) -> tuple[Generated, ...]:
        """A take for each seed, in their order.

        A RequestError for what is out of the model's range, before anything is loaded; MODEL_NOT_FOUND, MODEL_LOAD_FAILED;
        MODEL_INFERENCE_FAILED for a result that is no sound; OUT_OF_MEMORY when not even one track at a time fits.
        """
        assert isinstance(options, AceStepOptions)
        asked = asked_of(prompt, seeds, self.config, options)
        with self._lock:
            place = self._place(asked, run)
            _check_parts(asked, place)
            loaded = self._loaded_as(place)
            if loaded is None:
                loaded, run = self._load(asked, place, run)
            apply_lora(loaded.pipe, asked.lora)
            making = Making(loaded, asked, prompt, run)
            plans = self._plans if options.use_lm is None else options.use_lm
            if plans and asked.editing is None:
                making.plan(self.planner)
            return making.takes()

    def _place(self, asked: Asked, run: Run) -> Place:
        """Where the model lies; its files are read and hashed once while this engine lives."""
        if asked.model not in self._places:
            run.report("find the model", 0)
            self._places[asked.model] = place_of(
                asked.model, asked.preset, self.weights, within(run.progress, 0, _FOUND)
            )
        return self._places[asked.model]

    def _loaded_as(self, place: Place) -> Loaded | None:
        """The pipeline that is in memory, if it is this one and kept as the settings say."""
        loaded = self._loaded
        same = loaded is not None and loaded.place == place
        return (
            loaded
            if same and loaded is not None and (loaded.way.device, loaded.way.precision) == self._device()
            else None
        )

    def _device(self) -> tuple[str, str]:
        """Where the network runs, and in which precision."""
        device = resolved_device(self.config.device)
        return device, "bfloat16" if device.startswith("cuda") and self.config.bf16 else "float32"

    def _load(self, asked: Asked, place: Place, run: Run) -> tuple[Loaded, Run]:
        """The pipeline, and the part of the run that is left; ModelLoadFailed before anything is read if it cannot fit."""
        from sottovoce.engines.ace_step.pipeline import Way, load

        self._forget()
        device, precision = self._device()
        needs = needs_of(place.folder, precision)
        way = Way(device, precision, tier_for(needs, free_memory(device), working(asked.frames, 1, precision), device))
        rest = time_of(asked, len(asked.seeds), needs, way, {})
        share = min(_MOST_LOAD, max(_LEAST_LOAD, 100 * loading_share(needs.whole, rest)))

        def on_part(part: str, done: float) -> None:
            run.report(f"load {part}", _FOUND + (share - _FOUND) * done)

        self._loaded = Loaded(load(place.folder, way, on_part), place, way, needs)
        return self._loaded, replace(run, progress=within(run.progress, share, 100))

    def _forget(self) -> None:
        if self._loaded is None:
            return
        self._loaded = None
        import gc

        import torch

        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _check_parts(asked: Asked, place: Place) -> None:
    if asked.task == "cover" and not place.has_audio_tokenizer:
        raise errors.InvalidParameter(
            f"the files of {place.name} have no audio tokenizer, which covers need", hint="Take --model base or sft."
        )

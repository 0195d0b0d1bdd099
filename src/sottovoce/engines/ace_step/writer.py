"""The enhancer that asks ACE-Step's own language model for the description it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Annotated, ClassVar, Protocol

from pydantic import Field

from sottovoce.engines.ace_step.options import AceStepConfig
from sottovoce.engines.ace_step.planner.planner import FiveHzPlanner, Snapshots
from sottovoce.engines.base import Capabilities, EngineOptions, Enhanced, Run, Unavailable
from sottovoce.prompt import Prompt
from sottovoce.version import __version__
from sottovoce.weights.store import Listed

_PACKAGES = ("torch", "transformers", "safetensors")
_INSTALL = "pip install 'sottovoce[ace-step]'"


class Weights(Snapshots, Protocol):
    """Where models lie, and which are there."""

    def models(self) -> Sequence[Listed]:
        """Every model, and whether it is here."""


class AceStepWriterOptions(EngineOptions):
    """How freely it may say things."""

    temperature: Annotated[float, Field(ge=0, le=2, description="how freely the model chooses its words")] = 0.85
    lyrics: Annotated[bool, Field(description="lay out the lyrics anew too, where there are some")] = False


class AceStepWriter:
    """Says a prompt as ACE-Step was trained to hear it; what the user asked for explicitly stays as it is."""

    name: ClassVar[str] = "ace-step"
    title: ClassVar[str] = "ACE-Step's planner"
    version: ClassVar[str] = __version__
    Config: ClassVar[type[AceStepConfig]] = AceStepConfig
    section: ClassVar[str | None] = "ace_step"
    Options: ClassVar[type[AceStepWriterOptions]] = AceStepWriterOptions
    capabilities: ClassVar[Capabilities] = Capabilities(
        lyrics=True,
        tasks=("enhance",),
        needs="torch and transformers, ace_step.use_lm, weights of 1 to 8 GB, and a graphics card for speed",
        licence="MIT",
        quality="captions as ACE-Step was trained on, with tempo, key and meter",
    )

    def __init__(
        self, config: AceStepConfig | None = None, weights: Weights | None = None, device: str = "cpu"
    ) -> None:
        self.config, self.weights, self.device = config or AceStepConfig(), weights, device
        self._planner = FiveHzPlanner(self.config, weights)

    def unavailable(self) -> Unavailable | None:
        """Whether it is switched on, its packages are here and so are its files, by name and size."""
        if not self.config.use_lm:
            return Unavailable("ACE-Step's planner is switched off", "sotto config set ace_step.use_lm true")
        missing = [name for name in _PACKAGES if find_spec(name) is None]
        if missing:
            return Unavailable(f"the packages {', '.join(missing)} are missing", _INSTALL)
        name = self._planner.name
        here = {listed.model.name for listed in self.weights.models() if listed.here} if self.weights else set()
        return None if name in here else Unavailable(f"the model {name} is not here", f"sotto models pull {name}")

    def close(self) -> None:
        """Give the memory back."""
        self._planner.close()

    def enhance(self, prompt: Prompt, options: EngineOptions, run: Run) -> Enhanced:
        """A caption of at most 512 characters, with tempo, key and meter where they were left open; the same for the same seed."""
        assert isinstance(options, AceStepWriterOptions)
        return self._planner.improved(prompt, run, temperature=options.temperature, with_lyrics=options.lyrics)

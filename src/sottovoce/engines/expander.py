"""The enhancer that needs nothing: genre, mood, instruments and production from tables, after the user's own words."""

from __future__ import annotations

from typing import ClassVar

from sottovoce.engines.base import Capabilities, EngineOptions, Enhanced, NoConfig, Run, Unavailable
from sottovoce.engines.captions import richer_words
from sottovoce.prompt import Prompt
from sottovoce.version import __version__


class Expander:
    """Fills in what the words leave open, the same for the same prompt; tempo, key, meter and lyrics stay the user's."""

    name: ClassVar[str] = "expander"
    title: ClassVar[str] = "Built-in tables"
    version: ClassVar[str] = __version__
    Config: ClassVar[type[NoConfig]] = NoConfig
    section: ClassVar[str | None] = None
    Options: ClassVar[type[EngineOptions]] = EngineOptions
    capabilities: ClassVar[Capabilities] = Capabilities(
        tasks=("enhance",), quality="adds genre, instruments and production by mood and style; writes no sentences"
    )

    def __init__(self, config: NoConfig | None = None, weights: object = None, device: str = "cpu") -> None:
        self.config, self.weights, self.device = config or NoConfig(), weights, device

    def unavailable(self) -> Unavailable | None:
        """It always runs."""
        return None

    def close(self) -> None:
        """It holds nothing."""

    def enhance(self, prompt: Prompt, options: EngineOptions, run: Run) -> Enhanced:  # noqa: ARG002
        """The user's words first, then what was added; a note says that no LLM was used."""
        run.report("enhance", 0)
        words = richer_words(prompt)
        added = words != prompt.words.strip()
        note = "no LLM was used: " + (
            "the prompt was filled in from built-in tables" if added else "the built-in tables had nothing to add"
        )
        return Enhanced(
            words=words,
            lyrics=prompt.lyrics,
            bpm=prompt.bpm,
            key=prompt.key,
            time_signature=prompt.time_signature,
            notes=(note,),
        )

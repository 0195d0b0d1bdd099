"""A prompt said better by the language model of an ACE-Step server (`/format_input`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from sottovoce import errors
from sottovoce.engines.ace_step_wire import EXAMPLE_URL, AceStepApiConfig, Api
from sottovoce.engines.base import Capabilities, EngineOptions, Enhanced, Run, Unavailable
from sottovoce.engines.captions import LONGEST_ACE_STEP
from sottovoce.engines.server_kind import ACE_STEP, ACE_STEP_GRADIO, Door
from sottovoce.prompt import TIME_SIGNATURES, Key, Prompt, parse_key
from sottovoce.version import __version__

_BPM = (30, 300)
_METERS = {meter.split("/")[0]: meter for meter in TIME_SIGNATURES}
_INSTRUMENTAL = "[Instrumental]"


class AceStepFormatterOptions(EngineOptions):
    """How freely it may say things."""

    temperature: Annotated[float, Field(gt=0, le=2, description="how freely the model chooses its words")] = 0.85


class AceStepFormatter:
    """Asks the server at `ace_step.api_url`, and no other; what the user asked for explicitly stays as it is."""

    name: ClassVar[str] = "ace-step-api"
    title: ClassVar[str] = "The planner of an ACE-Step server"
    version: ClassVar[str] = __version__
    Config: ClassVar[type[AceStepApiConfig]] = AceStepApiConfig
    section: ClassVar[str | None] = "ace_step"
    Options: ClassVar[type[AceStepFormatterOptions]] = AceStepFormatterOptions
    capabilities: ClassVar[Capabilities] = Capabilities(
        tasks=("enhance",),
        deterministic=False,
        needs="an ACE-Step server with a language model, in ace_step.api_url",
        licence="MIT",
        quality="captions as ACE-Step was trained on, with tempo, key and meter",
    )

    def __init__(
        self,
        config: AceStepApiConfig,
        weights: object = None,
        device: str = "cpu",
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config, self.weights, self.device = config, weights, device
        self._door = Door(config.api_url, clock) if config.api_url else None

    def unavailable(self) -> Unavailable | None:
        """Whether an ACE-Step server answers, and does not say that its language model is off."""
        missing = self.config.missing()
        if missing is not None or self._door is None:
            return missing
        wrong = self._door.unavailable((ACE_STEP, ACE_STEP_GRADIO), "ace_step.api_url", EXAMPLE_URL)
        if wrong is None and self._door.health().facts.get("llm_initialized") is False:
            return Unavailable(
                "the ACE-Step server runs without its language model", "Start it with ACESTEP_INIT_LLM=true."
            )
        return wrong

    def close(self) -> None:
        """It holds nothing between calls."""

    def enhance(self, prompt: Prompt, options: EngineOptions, run: Run) -> Enhanced:
        """One call; RemoteFailed in the server's words, also where its language model is off."""
        assert isinstance(options, AceStepFormatterOptions)
        run.report("enhance", 0)
        with Api(self.config.address(self.name), run.credentials.get("ace-step")) as api:
            said = api.format_input(_fields(prompt, options.temperature))
        run.report("enhance", 100)
        return _enhanced(said, prompt)


def _fields(prompt: Prompt, temperature: float) -> dict[str, Any]:
    wishes = {
        "duration": prompt.seconds,
        "bpm": None if prompt.bpm is None else round(prompt.bpm),
        "key": str(prompt.key) if prompt.key else None,
        "time_signature": prompt.time_signature.split("/")[0] if prompt.time_signature else None,
        "language": prompt.language if prompt.lyrics else None,
    }
    return {
        "prompt": prompt.words,
        "lyrics": prompt.lyrics or _INSTRUMENTAL,
        "temperature": temperature,
        "param_obj": {name: value for name, value in wishes.items() if value is not None},
    }


def _enhanced(said: Mapping[str, Any], prompt: Prompt) -> Enhanced:
    """Their answer, as far as it can be used; lyrics only where there were some, since music without is not to begin to sing."""
    words = str(said.get("caption") or "").strip()
    if not words:
        raise errors.RemoteFailed("the ACE-Step server gave no caption")
    lyrics = str(said.get("lyrics") or "").strip() if prompt.lyrics else ""
    return Enhanced(
        words=_cut(words),
        lyrics=lyrics or prompt.lyrics,
        language=prompt.language if prompt.lyrics else None,
        bpm=prompt.bpm if prompt.bpm is not None else _bpm(said.get("bpm")),
        key=prompt.key or _key(said.get("key_scale") or said.get("keyscale")),
        time_signature=prompt.time_signature
        or _METERS.get(str(said.get("time_signature") or said.get("timesignature"))),
    )


def _cut(words: str) -> str:
    """As long as ACE-Step takes, ending with a whole word."""
    return words if len(words) <= LONGEST_ACE_STEP else words[: LONGEST_ACE_STEP + 1].rsplit(None, 1)[0].rstrip(",;")


def _bpm(said: object) -> float | None:
    try:
        bpm = float(str(said))
    except ValueError:
        return None
    return bpm if _BPM[0] <= bpm <= _BPM[1] else None


def _key(said: object) -> Key | None:
    try:
        return parse_key(str(said))
    except ValueError:
        return None

"""The mood reader that knows what pictures show: a few of them go to the configured LLM, one structured mood comes back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from sottovoce import errors
from sottovoce.audio import Audio
from sottovoce.engines import llm
from sottovoce.engines.base import Capabilities, EngineOptions, Run, Unavailable
from sottovoce.engines.llm import LlmConfig, Question
from sottovoce.media.jpeg import jpeg
from sottovoce.media.picture import Keyframe
from sottovoce.moods import GENRES, MOODS, Mood, lenient
from sottovoce.version import __version__

_MOST_PICTURES, _WIDTH = 4, 512
_TEMPERATURE, _MOST_TOKENS = 0.3, 500
_QUESTION = f"""These pictures are from one video, in order. Say which background music would suit it.

Consider:
1. What is shown: people, places, weather, season, occasion.
2. Faces and gestures, and what they say of the feeling.
3. Colours and light.
4. How much moves and how quickly.
5. What the whole tells, from the first picture to the last.

Answer with one JSON object like this one:
{{"primary_mood": "calm", "secondary_mood": "nostalgic", "energy_level": "low", "tempo_suggestion": "slow", \
"genre_suggestions": ["acoustic", "piano"], "color_palette": "warm", "description": "A quiet evening at the sea.", "confidence": 0.8}}

primary_mood and secondary_mood (which may be null): {", ".join(MOODS)}.
genre_suggestions, one to five: {", ".join(GENRES)}.
energy_level: low, medium, high. tempo_suggestion: slow, medium, fast. color_palette: warm, cool, neutral, vibrant, muted.
description: at most 500 characters. confidence: 0 to 1.
Only respond with valid JSON."""


class VisionLlm:
    """Reads a mood by showing up to four pictures to an LLM; the sound stays here."""

    name: ClassVar[str] = "vision-llm"
    title: ClassVar[str] = "An LLM that looks at pictures"
    version: ClassVar[str] = __version__
    Config: ClassVar[type[LlmConfig]] = LlmConfig
    section: ClassVar[str | None] = "llm"
    Options: ClassVar[type[EngineOptions]] = EngineOptions
    capabilities: ClassVar[Capabilities] = Capabilities(
        tasks=("mood",),
        deterministic=False,
        needs="an Ollama or OpenAI-compatible server in llm.provider, with a model that sees pictures",
        licence="the model's own",
        quality="knows what the pictures show; hears nothing",
        pictures=(_MOST_PICTURES, _WIDTH),
    )

    def __init__(self, config: LlmConfig | None = None, weights: object = None, device: str = "cpu") -> None:
        self.config, self.weights, self.device = config or LlmConfig(), weights, device

    def unavailable(self) -> Unavailable | None:
        """Whether an LLM is configured and answers."""
        return llm.unavailable(self.config)

    def close(self) -> None:
        """It holds nothing between calls."""

    def read(self, frames: Sequence[Keyframe], sound: Audio | None, options: EngineOptions, run: Run) -> Mood:  # noqa: ARG002
        """The mood of the pictures; of more than four, four spread evenly are shown.

        InvalidParameter without any; RemoteFailed or TimedOut where no mood comes back.
        """
        if not frames:
            raise errors.InvalidParameter(
                "vision-llm reads pictures, and there are none", hint="--engine keyframes reads the sound."
            )
        run.report("look", 0)
        shown = tuple(jpeg(frame.pixels, widest=_WIDTH) for frame in _spread(frames))
        question = Question(_QUESTION, shown, temperature=_TEMPERATURE, most_tokens=_MOST_TOKENS)
        answer = llm.json_object(llm.ask(self.config, question, run, stage="decide"))
        if not answer.keys() & Mood.model_fields.keys():
            raise errors.RemoteFailed(
                "the LLM answered something else than a mood", hint="Set llm.model to a model that sees pictures."
            )
        return lenient(answer)


def _spread(frames: Sequence[Keyframe]) -> Sequence[Keyframe]:
    count = len(frames)
    if count <= _MOST_PICTURES:
        return frames
    return [frames[count * index // (_MOST_PICTURES + 1)] for index in range(1, _MOST_PICTURES + 1)]

"""The enhancer that asks the configured LLM for a better prompt; what the user said explicitly stays."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from sottovoce import errors
from sottovoce.composer.vocabulary import parse_prompt
from sottovoce.engines import llm
from sottovoce.engines.base import Capabilities, EngineOptions, Enhanced, Run, Unavailable
from sottovoce.engines.captions import LONGEST_ACE_STEP
from sottovoce.engines.llm import LlmConfig, Question
from sottovoce.prompt import TIME_SIGNATURES, Key, Prompt, parse_key
from sottovoce.version import __version__

_TEMPERATURE, _MOST_TOKENS, _MOST_TOKENS_WITH_LYRICS = 0.7, 500, 1500
_SLOWEST, _FASTEST, _LONGEST_LYRICS = 30, 300, 4096
_METERS = {signature[0]: signature for signature in TIME_SIGNATURES}
#: Words that ask for singing; without one of them no lyrics are taken.
_SUNG = re.compile(
    r"\b(lyrics?|sings?|singing|sung|singers?|song|vocals?|voices?|rap|rapping|chorus|verses?)\b", re.IGNORECASE
)
_UNSUNG = re.compile(
    r"\b(no|without|minus)\s+(\w+\s+)?(lyrics?|singing|singers?|vocals?|voices?)\b|\binstrumental\b", re.IGNORECASE
)
_QUESTION = """Rewrite a wish for music as a description that a music generator understands well: genre, mood, instruments, \
how it is played and produced, in one to three sentences of at most 400 characters. Keep everything the wish says; add only what fits it. \
Name no artists and no titles.

The wish: {wish}
{given}
Answer with one JSON object like this one:
{{"caption": "a calm acoustic folk piece with ...", "bpm": 84, "key": "A minor", "time_signature": "4/4", "lyrics": null}}
bpm: 30 to 300. time_signature: 2/4, 3/4, 4/4 or 6/8. Use null for what should stay open.
lyrics: {lyrics}
Only respond with valid JSON."""
_NO_LYRICS = "null, since it is instrumental."
_SOME_LYRICS = "the words to sing, with [verse] and [chorus] before each part and a line break after each line."


class PromptLlm:
    """Has an LLM say a prompt better; the user's tempo, key, meter and lyrics are never replaced."""

    name: ClassVar[str] = "llm"
    title: ClassVar[str] = "The configured LLM"
    version: ClassVar[str] = __version__
    Config: ClassVar[type[LlmConfig]] = LlmConfig
    section: ClassVar[str | None] = "llm"
    Options: ClassVar[type[EngineOptions]] = EngineOptions
    capabilities: ClassVar[Capabilities] = Capabilities(
        lyrics=True,
        tasks=("enhance",),
        deterministic=False,
        needs="an Ollama or OpenAI-compatible server in llm.provider",
        licence="the model's own",
        quality="writes descriptions, and lyrics where the wish asks for singing",
    )

    def __init__(self, config: LlmConfig | None = None, weights: object = None, device: str = "cpu") -> None:
        self.config, self.weights, self.device = config or LlmConfig(), weights, device

    def unavailable(self) -> Unavailable | None:
        """Whether an LLM is configured and answers."""
        return llm.unavailable(self.config)

    def close(self) -> None:
        """It holds nothing between calls."""

    def enhance(self, prompt: Prompt, options: EngineOptions, run: Run) -> Enhanced:  # noqa: ARG002
        """The LLM's words, at most 512 characters; values of its that are out of range are left open.

        RemoteFailed or TimedOut where no prompt comes back.
        """
        run.report("enhance", 0)
        sung = prompt.lyrics is None and _asks_for_singing(prompt.words)
        question = Question(
            _QUESTION.format(
                wish=" ".join(prompt.words.split()),
                given=_given(prompt),
                lyrics=_SOME_LYRICS if sung else _NO_LYRICS,
            ),
            temperature=_TEMPERATURE,
            most_tokens=_MOST_TOKENS_WITH_LYRICS if sung else _MOST_TOKENS,
        )
        answer = llm.json_object(llm.ask(self.config, question, run, stage="enhance"))
        lyrics = _lyrics(answer.get("lyrics")) if sung else None
        return self._enhanced(prompt, answer, lyrics)

    def _enhanced(self, prompt: Prompt, answer: Mapping[str, Any], lyrics: str | None) -> Enhanced:
        """What the user gave, in the words too, before what the LLM says; music to start from keeps its own tempo and key."""
        said = parse_prompt(prompt.words)
        free = answer if prompt.edit is None else {}
        notes = [f"the prompt was rewritten by {self.config.model_name or 'the LLM'}"]
        notes += ["it wrote the lyrics too"] if lyrics else []
        return Enhanced(
            words=_caption(answer.get("caption")),
            lyrics=prompt.lyrics if prompt.lyrics is not None else lyrics,
            bpm=prompt.bpm or said.bpm or _bpm(free.get("bpm")),
            key=prompt.key or said.key or _key(free.get("key")),
            time_signature=prompt.time_signature or said.time_signature or _meter(free.get("time_signature")),
            notes=tuple(notes),
        )


def _asks_for_singing(words: str) -> bool:
    return bool(_SUNG.search(words)) and not _UNSUNG.search(words)


def _given(prompt: Prompt) -> str:
    """What is settled already, one line each."""
    settled = {
        "mood": prompt.mood,
        "genre": prompt.genre,
        "bpm": f"{prompt.bpm:g}" if prompt.bpm else None,
        "key": str(prompt.key) if prompt.key else None,
        "time signature": prompt.time_signature,
        "length": f"{prompt.seconds:g} seconds",
    }
    return "".join(f"The {name}, which stays: {value}\n" for name, value in settled.items() if value)


def _caption(value: object) -> str:
    """On one line, at most 512 characters, cut between words."""
    words = " ".join(value.split()) if isinstance(value, str) else ""
    if not words:
        raise errors.RemoteFailed("the LLM answered no caption", hint="Ask again, or set llm.model to another model.")
    if len(words) <= LONGEST_ACE_STEP:
        return words
    return words[: LONGEST_ACE_STEP + 1].rpartition(" ")[0].rstrip(",;: ") or words[:LONGEST_ACE_STEP]


def _lyrics(value: object) -> str | None:
    lyrics = value.strip() if isinstance(value, str) else ""
    return lyrics if 0 < len(lyrics) <= _LONGEST_LYRICS else None


def _bpm(value: object) -> float | None:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and _SLOWEST <= value <= _FASTEST
    return float(value) if usable and isinstance(value, int | float) else None


def _key(value: object) -> Key | None:
    try:
        return parse_key(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _meter(value: object) -> str | None:
    text = str(value).strip()
    return text if text in TIME_SIGNATURES else _METERS.get(text)

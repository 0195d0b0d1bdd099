"""Prompts said better while someone waits: by the configured LLM, else from our own tables."""

from __future__ import annotations

from dataclasses import dataclass

from sottovoce import errors
from sottovoce.engines.base import Enhanced, Run
from sottovoce.engines.catalog import ENHANCERS
from sottovoce.prompt import Prompt
from sottovoce.studio import Studio

#: Of those that say prompts better, the ones that a server can ask: models of this machine are the workers'.
_ASKED = ("llm", "expander")


@dataclass(frozen=True)
class Better:
    """A prompt said better, by whom, and what the asker should know."""

    prompt: Prompt
    said: Enhanced
    by: str
    notes: tuple[str, ...]


def better(prompt: Prompt, studio: Studio) -> Better:
    """The prompt as the first of the user's order says it that a server can ask; the last one always can."""
    notes: list[str] = []
    for name in [name for name in studio.engines.order(ENHANCERS) if name in _ASKED]:
        try:
            engine = studio.engines.ready(ENHANCERS, name)
            said = engine.enhance(prompt, engine.Options(), Run(credentials=studio.settings.credentials()))
        except (errors.EngineError, errors.RequestError) as error:
            notes.append(error.message)
        else:
            return Better(prompt, said, name, (*notes, *said.notes))
    raise AssertionError("the expander needs nothing")

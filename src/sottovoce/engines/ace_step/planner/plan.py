"""The first phase: the model thinks of a song's metadata before it is made, or says a wish better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch

from sottovoce.engines.ace_step.planner import grammar, prompts
from sottovoce.engines.ace_step.planner.expectation import PLAN_TOKENS
from sottovoce.engines.ace_step.planner.grammar import Lyrics, Part, Walk
from sottovoce.engines.ace_step.planner.model import CONTEXT, LanguageModel, Texts
from sottovoce.engines.ace_step.planner.sampling import USUAL, Sampling, draw
from sottovoce.engines.ace_step.planner.vocabulary import Ids
from sottovoce.engines.base import Run

_MOST_LYRICS = 1500
_MOST_PERCENT = 99.0
#: With all of these settled there is nothing left to plan.
_ESSENTIAL = ("bpm", "duration", "keyscale", "timesignature")


@dataclass(frozen=True)
class Wish:
    """A caption and lyrics as they were asked for, and what is settled, by the names of the metadata."""

    caption: str
    lyrics: str
    settled: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """A wish with its metadata; `wish` keeps the words that codes are asked for with, `lyrics` are laid out anew where that was asked."""

    wish: Wish
    metadata: Mapping[str, str]
    lyrics: str = ""

    @property
    def block(self) -> str:
        """The metadata as codes are asked for with."""
        known = {name: self.metadata[name] for name in grammar.FIELDS if name in self.metadata}
        return prompts.metadata_block(known)


def plan(model: LanguageModel, wish: Wish, seed: int, run: Run, sampling: Sampling = USUAL) -> Plan:
    """Metadata for a wish; what is settled stays, but the language, which the model names by itself. None are written where all is settled.

    Whatever `run.progress` raises stops it before the next token.
    """
    settled = {name: value for name, value in wish.settled.items() if name != "language"}
    if all(name in settled for name in _ESSENTIAL):
        return Plan(wish, settled)
    prompt = prompts.plan_prompt(wish.caption, wish.lyrics)
    text = _written(model, prompt, grammar.metadata(model.vocabulary, settled), _Draws(seed, sampling), run)
    return Plan(wish, prompts.parse_block(text))


def improved(
    model: LanguageModel, wish: Wish, seed: int, run: Run, *, sampling: Sampling, with_lyrics: bool = False
) -> Plan:
    """A wish said better: a caption and metadata, what is settled staying, and with `with_lyrics` its lyrics laid out anew."""
    prompt = prompts.format_prompt(wish.caption, wish.lyrics)
    parts = grammar.metadata(model.vocabulary, wish.settled)
    if with_lyrics:
        parts.append(Lyrics(model.vocabulary, _MOST_LYRICS))
    text = _written(model, prompt, parts, _Draws(seed, sampling), run)
    return Plan(wish, prompts.parse_block(text), prompts.parse_lyrics(text) if with_lyrics else "")


class _Draws:
    """Tokens drawn for one text, the same for the same seed."""

    def __init__(self, seed: int, sampling: Sampling) -> None:
        self._sampling, self._generator = sampling, torch.Generator("cpu").manual_seed(seed)

    def __call__(self, scores: torch.Tensor, choices: Ids) -> int:
        if len(choices) == 1:
            return int(choices[0])
        place = draw(scores[torch.from_numpy(choices)][None], self._sampling, [self._generator])[0]
        return int(choices[place])


def _written(model: LanguageModel, prompt: str, parts: Sequence[Part], draws: _Draws, run: Run) -> str:
    """What the model writes after a prompt, part by part; what must come next is read at once and never drawn."""
    walk = Walk(parts)
    tokens = [*model.vocabulary.encode(prompt), *walk.forced()]
    room = CONTEXT - len(tokens)
    with Texts(model, [tokens]) as text:
        _report(run, 0)
        states = text.begin()
        while not walk.is_over and len(walk.written) < room:
            _report(run, len(walk.written))
            scores = model.scores(states)[0].cpu()
            choices = walk.choices(partial(_likeliest, scores))
            if not len(choices):
                break
            token = draws(scores, choices)
            walk.take(token)
            following = [token, *walk.forced()]
            if not walk.is_over:
                states = text.read([following])
    return model.vocabulary.decode(walk.written)


def _likeliest(scores: torch.Tensor, some: Ids | None) -> int:
    if some is None:
        return int(scores.argmax())
    return int(some[int(scores[torch.from_numpy(some)].argmax())])


def _report(run: Run, done: int) -> None:
    run.report("plan", _MOST_PERCENT * done / (done + PLAN_TOKENS / 2), step=done)

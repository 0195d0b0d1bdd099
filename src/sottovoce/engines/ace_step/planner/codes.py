"""The second phase: a sketch of the music as five codes a second, for several seeds at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from sottovoce.engines.ace_step.planner import prompts
from sottovoce.engines.ace_step.planner.expectation import TRACKS_AT_ONCE
from sottovoce.engines.ace_step.planner.model import CONTEXT, LanguageModel, Texts
from sottovoce.engines.ace_step.planner.plan import Plan
from sottovoce.engines.ace_step.planner.sampling import USUAL, Sampling, draw, guided
from sottovoce.engines.ace_step.planner.vocabulary import code_text
from sottovoce.engines.base import Run
from sottovoce.progress import within

GUIDANCE = 2.0


def fits(model: LanguageModel, plan: Plan, count: int) -> bool:
    """Whether a plan and so many codes are no more than the model can look back on."""
    return len(model.vocabulary.encode(_prompts(plan)[0])) + count <= CONTEXT


def codes(
    model: LanguageModel,
    plan: Plan,
    count: int,
    seeds: Sequence[int],
    run: Run,
    *,
    guidance: float = GUIDANCE,
    sampling: Sampling = USUAL,
) -> list[str]:
    """Exactly `count` codes for each seed, each seed drawing its own; whatever `run.progress` raises stops it before the next."""
    made: list[str] = []
    for first in range(0, len(seeds), TRACKS_AT_ONCE):
        group = seeds[first : first + TRACKS_AT_ONCE]
        ends = (100 * first / len(seeds), 100 * (first + len(group)) / len(seeds))
        part = replace(run, progress=within(run.progress, *ends))
        made += [code_text(numbers) for numbers in _group(model, plan, count, group, part, guidance, sampling)]
    return made


def _group(
    model: LanguageModel,
    plan: Plan,
    count: int,
    seeds: Sequence[int],
    run: Run,
    guidance: float,
    sampling: Sampling,
) -> list[list[int]]:
    texts = [model.vocabulary.encode(prompt) for prompt in _prompts(plan)[: 1 if guidance == 1 else 2]]
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    made: list[list[int]] = [[] for _ in seeds]
    with Texts(model, texts) as rows:
        run.report("sketch", 0, step=0, total=count)
        states = rows.begin().repeat_interleave(len(seeds), 0)
        rows.copied(len(seeds))
        for step in range(count):
            run.report("sketch", 100 * step / count, step=step, total=count)
            scores = model.scores(states, model.vocabulary.codes)
            drawn = draw(guided(*_halves(scores, len(seeds)), guidance), sampling, generators)
            for numbers, code in zip(made, drawn, strict=True):
                numbers.append(code)
            if step + 1 < count:
                states = rows.read([[int(model.vocabulary.codes[code])] for code in drawn] * len(texts))
    return made


def _halves(scores: torch.Tensor, items: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The rows with conditions and those without, which are the same where there are none."""
    return scores[:items], scores[-items:]


def _prompts(plan: Plan) -> tuple[str, str]:
    """With the conditions and without."""
    wish = plan.wish
    return prompts.codes_prompt(wish.caption, wish.lyrics, plan.block), prompts.codes_prompt_without()

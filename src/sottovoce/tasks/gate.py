"""The gate between engines and what is kept: what an engine cannot do is refused before any work, and a take that fails its inspection is made again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from sottovoce import errors
from sottovoce.audio import DELIVERY_RATE, Audio
from sottovoce.dsp.inspect import Inspection, inspect
from sottovoce.engines.base import BatchGenerator, EngineOptions, Generated, Generator, Run
from sottovoce.engines.catalog import OPTION_ERRORS, options_for
from sottovoce.progress import within
from sottovoce.prompt import Prompt
from sottovoce.recipe import Rejected
from sottovoce.tasks.outcome import TaskRun
from sottovoce.tasks.request import LARGEST_SEED
from sottovoce.tasks.sections import Piece
from sottovoce.tasks.take import Take

if TYPE_CHECKING:
    from sottovoce.tasks.generate import Generate

#: Wishes of the request that are options of the engines that know them.
WISHES = ("model", "steps", "guidance", "scheduler", "lora")
#: How often a take that fails its inspection is made again.
RETRIES = 2


class Maker(Protocol):
    """Who makes a take: an engine, or one that makes it in sections."""

    def generate(self, prompt: Prompt, options: EngineOptions, run: Run) -> Generated:
        """One take of exactly the prompt's length."""


def refuse(engine: Generator, prompt: Prompt, pieces: Sequence[Piece]) -> None:
    """InvalidDuration or InvalidParameter if the engine cannot do what the prompt asks for, made in those pieces."""
    able = engine.capabilities
    shortest, longest = able.seconds
    if prompt.seconds < shortest or (len(pieces) == 1 and prompt.seconds > longest):
        raise errors.InvalidDuration(f"{engine.name} makes {shortest:g} to {longest:g} seconds, not {prompt.seconds:g}")
    if prompt.lyrics and not able.lyrics:
        raise errors.InvalidParameter(f"{engine.name} does not sing", hint="Leave out --lyrics, or take ace-step.")
    asked = [prompt.edit.task] if prompt.edit else []
    for task in [*asked, *(["reference"] if prompt.reference else [])]:
        if task not in able.tasks:
            raise errors.InvalidParameter(
                f"{engine.name} cannot do --{task}", hint="`sotto engines` shows what each engine can do."
            )


def options_of(engine: Generator, request: Generate) -> EngineOptions:
    """The request's wishes and options as the engine's own; the wish's own error if the engine knows no such thing."""
    wishes = {name: value for name in WISHES if (value := getattr(request, name)) is not None}
    for name in wishes:
        if name not in engine.Options.model_fields:
            refusal = OPTION_ERRORS.get(name, errors.InvalidParameter)
            raise refusal(f"{engine.name} knows no {name}", hint=f"Leave out --{name}, or choose another engine.")
    return options_for(engine, request.options | wishes)


def accepted(
    engine: Maker, prompt: Prompt, seeds: Sequence[int], options: EngineOptions, run: TaskRun
) -> tuple[Take, ...]:
    """A take for each seed that passed its inspection; one that fails is made again with seeds that no other take has.

    OutputRejected names what is wrong with the last try.
    """
    first = _first_tries(engine, prompt, seeds, options, run)
    takes: list[Take] = []
    spare = (seeds[-1] + 1) % (LARGEST_SEED + 1)
    for take in first:
        for _ in range(RETRIES):
            if take.inspection.passed:
                break
            again = _one(engine, replace(prompt, seed=spare), options, replace(run, seed=spare))
            take = replace(again, rejected=(*take.rejected, _rejected(take)))
            spare = (spare + 1) % (LARGEST_SEED + 1)
        if not take.inspection.passed:
            raise _refused(take)
        takes.append(take)
    return tuple(takes)


def _first_tries(
    engine: Maker, prompt: Prompt, seeds: Sequence[int], options: EngineOptions, run: TaskRun
) -> list[Take]:
    if isinstance(engine, BatchGenerator) and len(seeds) > 1:
        started, clock = datetime.now(UTC), time.monotonic()
        made = engine.generate_batch(prompt, seeds, options, replace(run, progress=within(run.progress, 0, 95)))
        took = (time.monotonic() - clock) / len(seeds)
        return [
            _take(generated, replace(prompt, seed=seed), started, took)
            for generated, seed in zip(made, seeds, strict=True)
        ]
    share = 100 / len(seeds)
    takes = []
    for index, seed in enumerate(seeds):
        part = replace(run, seed=seed, progress=within(run.progress, index * share, (index + 1) * share))
        takes.append(_one(engine, replace(prompt, seed=seed), options, part))
    return takes


def _one(engine: Maker, prompt: Prompt, options: EngineOptions, run: TaskRun) -> Take:
    started, clock = datetime.now(UTC), time.monotonic()
    generated = engine.generate(prompt, options, replace(run, progress=within(run.progress, 0, 95)))
    run.report("inspect", 95)
    return _take(generated, prompt, started, time.monotonic() - clock)


def _take(generated: Generated, prompt: Prompt, started: datetime, seconds: float) -> Take:
    return Take(generated, _inspected(generated.audio, prompt), prompt.seed, started, seconds)


def _inspected(audio: Audio, prompt: Prompt) -> Inspection:
    return inspect(audio, expected_frames=round(prompt.seconds * DELIVERY_RATE), target_lufs=prompt.loudness)


def _rejected(take: Take) -> Rejected:
    return Rejected(seed=take.seed, faults=tuple(fault.message for fault in take.inspection.faults if fault.hard))


def _refused(take: Take) -> errors.OutputRejected:
    tried = ", ".join(str(rejected.seed) for rejected in (*take.rejected, _rejected(take)))
    faults = "; ".join(_rejected(take).faults)
    return errors.OutputRejected(f"every take failed its inspection (seeds {tried}); the last: {faults}")

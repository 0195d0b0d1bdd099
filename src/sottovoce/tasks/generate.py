"""Generate: music from words."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from sottovoce import errors
from sottovoce.engines.base import Generator
from sottovoce.engines.catalog import AUTO, GENERATORS, Catalog, Ran, options_for
from sottovoce.moods import Genre, MoodName
from sottovoce.progress import within
from sottovoce.prompt import Prompt, parse_key
from sottovoce.recipe import Batch
from sottovoce.tasks.outcome import MadeTrack, Outcome, TaskRun
from sottovoce.tasks.request import (
    LARGEST_SEED,
    Bpm,
    Cue,
    Duration,
    KeyName,
    Loudness,
    Request,
    Seed,
    TimeSignature,
    Words,
)
from sottovoce.tasks.take import Take, file_take, inspect_take


class Generate(Request):
    """Ask for music; what is left out, the engine chooses."""

    kind: Literal["generate"] = "generate"
    prompt: Annotated[Words, Field(description="what the music should be like, in plain words")]
    duration: Annotated[Duration, Field(description="length in seconds, 5 to 600, exact to the sample")] = 60.0
    engine: Annotated[str, Field(description="the engine by name, or auto for the first in your order that can")] = AUTO
    seed: Annotated[Seed | None, Field(description="the same seed gives the same music; left out, one is drawn")] = None
    bpm: Annotated[Bpm | None, Field(description="tempo in beats per minute, 30 to 300")] = None
    key: Annotated[KeyName | None, Field(description="key, such as 'A minor' or 'F# major'")] = None
    time_signature: Annotated[TimeSignature | None, Field(description="2/4, 3/4, 4/4 or 6/8")] = None
    mood: Annotated[MoodName | None, Field(description="one of the fifteen moods")] = None
    genre: Annotated[Genre | None, Field(description="one of the fifteen genres")] = None
    versions: Annotated[int, Field(ge=1, le=8, description="how many takes, each with a seed of its own")] = 1
    stems: Annotated[bool, Field(description="keep the stems, which add up to the mix")] = False
    loudness: Annotated[
        Loudness | None, Field(description="integrated loudness in LUFS; left out, the style's own")
    ] = None
    cues: Annotated[
        tuple[Cue, ...], Field(description="times in seconds at which something should change", max_length=500)
    ] = ()
    options: Annotated[dict[str, Any], Field(description="options of the engine itself")] = Field(default_factory=dict)


def generate(request: Generate, engines: Catalog, run: TaskRun) -> Outcome:
    """Make every version, inspect it and write it to the scratch folder."""
    request = resolved(request)
    share = 100 / request.versions
    tracks = [
        make_track(
            request, index, engines, replace(run, progress=within(run.progress, index * share, (index + 1) * share))
        )
        for index in range(request.versions)
    ]
    return Outcome("generate", report={"seed": request.seed, "versions": request.versions}, tracks=tuple(tracks))


def resolved(request: Generate) -> Generate:
    """The request with its seed drawn, so that it can be done again."""
    return (
        request
        if request.seed is not None
        else request.model_copy(update={"seed": secrets.randbelow(LARGEST_SEED + 1)})
    )


def seeds_of(seed: int, versions: int) -> tuple[int, ...]:
    """The seed of each version: the asked one and those after it."""
    return tuple((seed + index) % (LARGEST_SEED + 1) for index in range(versions))


def prompt_of(request: Generate, seed: int) -> Prompt:
    """The request in the words every generator understands."""
    return Prompt(
        words=request.prompt,
        seconds=request.duration,
        seed=seed,
        bpm=request.bpm,
        key=parse_key(request.key) if request.key else None,
        time_signature=request.time_signature,
        mood=request.mood,
        genre=request.genre,
        cues=request.cues,
        stems=request.stems,
        loudness=request.loudness,
    )


def make_track(
    request: Generate,
    index: int,
    engines: Catalog,
    run: TaskRun,
    *,
    first: Sequence[str] = (),
    stems_welcome: bool = False,
) -> MadeTrack:
    """One version of a resolved request, made, inspected and written to the scratch folder.

    `first` are engines that `auto` tries before the user's order; where stems are welcome, an engine that has some keeps them, and one that
    has none will do.
    """
    assert request.seed is not None, "the seed is drawn before the work begins"
    seeds = seeds_of(request.seed, request.versions)
    ran = _take(request, replace(run, seed=seeds[index]), engines, first, stems_welcome=stems_welcome)
    return file_take(
        ran, request, Batch(size=request.versions, index=index, seeds=seeds), run, title=request.prompt[:80]
    )


def _take(
    request: Generate, run: TaskRun, engines: Catalog, first: Sequence[str], *, stems_welcome: bool
) -> Ran[Generator, Take]:
    """By the engine asked for or the first that can; a take that fails its inspection counts as a failure."""

    def call(engine: Generator) -> Take:
        prompt = prompt_of(request, run.seed)
        if stems_welcome and engine.capabilities.stems:
            prompt = replace(prompt, stems=True)
        _refuse(engine, request)
        options = options_for(engine, request.options)
        started, clock = datetime.now(UTC), time.monotonic()
        generated = engine.generate(prompt, options, replace(run, progress=within(run.progress, 0, 90)))
        run.report("inspect", 90)
        return Take(generated, inspect_take(generated.audio, prompt), started, time.monotonic() - clock)

    return engines.run(GENERATORS, request.engine, call, first=first)


def _refuse(engine: Generator, request: Generate) -> None:
    shortest, longest = engine.capabilities.seconds
    if not shortest <= request.duration <= longest:
        raise errors.InvalidDuration(
            f"{engine.name} makes {shortest:g} to {longest:g} seconds, not {request.duration:g}"
        )
    if request.stems and not engine.capabilities.stems:
        raise errors.InvalidParameter(
            f"{engine.name} gives no stems", hint="Leave out --stems, or ask for --engine composer."
        )

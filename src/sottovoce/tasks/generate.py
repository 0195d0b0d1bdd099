"""Generate: music from words."""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sottovoce.audio import DELIVERY_RATE, AudioReader
from sottovoce.engines.base import Enhanced, Enhancer, Generator
from sottovoce.engines.catalog import AUTO, ENHANCERS, GENERATORS, Catalog, Ran
from sottovoce.media.decode import FileReader
from sottovoce.moods import Genre, MoodName
from sottovoce.progress import within
from sottovoce.prompt import Edit, Prompt, parse_key
from sottovoce.recipe import Batch
from sottovoce.tasks.gate import accepted, options_of, refuse
from sottovoce.tasks.outcome import MadeTrack, Outcome, TaskRun
from sottovoce.tasks.request import (
    LARGEST_SEED,
    Bpm,
    Cue,
    Duration,
    EngineName,
    KeyName,
    Loudness,
    Lyrics,
    ModelName,
    Options,
    Request,
    Scenes,
    Seed,
    Source,
    TimeSignature,
    Words,
    check_scenes,
)
from sottovoce.tasks.sections import InSections, Piece, of_scene, pieces
from sottovoce.tasks.take import Take, file_take

#: What can be done with music there is already, and the fields that say how.
_EDITS = {"cover": ("strength",), "repaint": ("repaint_from", "repaint_to"), "extend": ("by",)}
#: How much of the work the music is, where stems are split off it afterwards.
_MUSIC_SHARE = 80.0


class Generate(Request):
    """Ask for music; what is left out, the engine chooses."""

    kind: Literal["generate"] = "generate"
    prompt: Annotated[Words, Field(description="what the music should be like, in plain words")]
    duration: Annotated[
        Duration,
        Field(description="length in seconds, 5 to 600, exact to the sample; of an edit, its source says it"),
    ] = 60.0
    engine: Annotated[
        EngineName, Field(description="the engine by name, or auto for the first in your order that can")
    ] = AUTO
    model: Annotated[ModelName | None, Field(description="the engine's model; left out, its default")] = None
    seed: Annotated[Seed | None, Field(description="the same seed gives the same music; left out, one is drawn")] = None
    bpm: Annotated[Bpm | None, Field(description="tempo in beats per minute, 30 to 300")] = None
    key: Annotated[KeyName | None, Field(description="key, such as 'A minor' or 'F# major'")] = None
    time_signature: Annotated[TimeSignature | None, Field(description="2/4, 3/4, 4/4 or 6/8")] = None
    mood: Annotated[MoodName | None, Field(description="one of the fifteen moods")] = None
    genre: Annotated[Genre | None, Field(description="one of the fifteen genres")] = None
    lyrics: Annotated[Lyrics | None, Field(description="words to be sung; left out, the music is instrumental")] = None
    language: Annotated[str, Field(pattern=r"^[a-z]{2,7}$", description="language of the lyrics, such as en")] = "en"
    enhance: Annotated[bool, Field(description="have the prompt said better before the music is made")] = False
    caption: Annotated[
        Words | None, Field(description="what the engine is told in place of the prompt; `enhance` fills it")
    ] = None
    versions: Annotated[int, Field(ge=1, le=8, description="how many takes, each with a seed of its own")] = 1
    steps: Annotated[int | None, Field(ge=1, le=1000, description="steps of a diffusion model")] = None
    guidance: Annotated[float | None, Field(ge=0, le=100, description="how closely a model keeps to the words")] = None
    scheduler: Annotated[
        str | None, Field(pattern=r"^[a-z0-9_-]{1,40}$", description="scheduler of a diffusion model, such as euler")
    ] = None
    cover: Annotated[Source | None, Field(description="music to play anew in the prompt's style")] = None
    strength: Annotated[float | None, Field(ge=0, le=1, description="how closely a cover keeps to its source")] = None
    repaint: Annotated[Source | None, Field(description="music of which a part is made anew")] = None
    repaint_from: Annotated[float | None, Field(ge=0, le=600, description="start of that part in seconds")] = None
    repaint_to: Annotated[float | None, Field(ge=0, le=600, description="end of that part in seconds")] = None
    extend: Annotated[Source | None, Field(description="music to go on from its end")] = None
    by: Annotated[float | None, Field(gt=0, le=595, description="seconds to extend by; left out, 30")] = None
    reference: Annotated[Source | None, Field(description="music to sound like")] = None
    lora: Annotated[ModelName | None, Field(description="an adapter of your own for the model, PATH or PATH:SCALE")] = (
        None
    )
    stems: Annotated[bool, Field(description="keep the stems; the composer's add up to the mix")] = False
    loudness: Annotated[
        Loudness | None, Field(description="integrated loudness in LUFS; left out, the style's own")
    ] = None
    cues: Annotated[
        tuple[Cue, ...], Field(description="times in seconds at which something should change", max_length=500)
    ] = ()
    scenes: Annotated[Scenes, Field(description="how the mood changes: each from its start on, in rising order")] = ()
    options: Annotated[Options, Field(description="options of the engine itself", default_factory=dict)]

    @model_validator(mode="after")
    def _one_edit(self) -> Self:
        edits = [name for name in _EDITS if getattr(self, name) is not None]
        if len(edits) > 1:
            raise ValueError(f"{' and '.join(edits)} contradict each other; give one of them")
        for name, fields in _EDITS.items():
            stray = [field for field in fields if getattr(self, field) is not None and name not in edits]
            if stray:
                raise ValueError(f"{stray[0]} says how to {name}, so it needs the music to {name}")
        if self.repaint_to is not None and self.repaint_to <= (self.repaint_from or 0):
            raise ValueError("repaint_to must come after repaint_from")
        return self

    @model_validator(mode="after")
    def _scenes_of_new_music(self) -> Self:
        whole = "lyrics" if self.lyrics is not None else self.edit
        if self.scenes and whole:
            raise ValueError(f"scenes and {whole} contradict each other: what is made in sections has no {whole}")
        check_scenes(self.scenes, self.duration)
        return self

    @property
    def edit(self) -> Literal["cover", "repaint", "extend"] | None:
        """What is done with music there is already."""
        if self.cover is not None:
            return "cover"
        if self.repaint is not None:
            return "repaint"
        return "extend" if self.extend is not None else None


def generate(request: Generate, engines: Catalog, run: TaskRun) -> Outcome:
    """Make every version, inspect it and write it to the scratch folder."""
    request = resolved(request)
    notes: tuple[str, ...] = ()
    if request.enhance:
        request, notes = _enhanced(request, engines, replace(run, progress=within(run.progress, 0, 4)))
        run = replace(run, progress=within(run.progress, 4, 100))
    tracks = make_tracks(request, engines, run)
    report = {"seed": request.seed, "versions": request.versions, "notes": list(notes)}
    return Outcome("generate", report=report, tracks=tracks)


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


def prompt_of(request: Generate, seed: int, run: TaskRun) -> Prompt:
    """The request in the words every generator understands; the errors of the files it names if they cannot be read."""
    edit = _edit(request, run)
    return Prompt(
        words=request.caption or request.prompt,
        seconds=_seconds(request, edit),
        seed=seed,
        lyrics=request.lyrics,
        language=request.language,
        bpm=request.bpm,
        key=parse_key(request.key) if request.key else None,
        time_signature=request.time_signature,
        mood=request.mood,
        genre=request.genre,
        cues=request.cues,
        stems=request.stems,
        loudness=request.loudness,
        edit=edit,
        reference=_music(request.reference, run) if request.reference else None,
    )


def make_tracks(
    request: Generate,
    engines: Catalog,
    run: TaskRun,
    *,
    first: Sequence[str] = (),
    stems_welcome: bool = False,
) -> tuple[MadeTrack, ...]:
    """Every version of a resolved request, made by one engine, inspected and written to the scratch folder.

    `first` are engines that `auto` tries before the user's order; where stems are welcome, an engine that has some keeps them, and one that
    has none will do.
    """
    assert request.seed is not None, "the seed is drawn before the work begins"
    seeds = seeds_of(request.seed, request.versions)
    start = _MUSIC_SHARE if request.stems else 90.0
    music = replace(run, progress=within(run.progress, 0, start))
    ran = _takes(request, seeds, music, engines, first, stems_welcome=stems_welcome)
    tracks = []
    for index, take in enumerate(ran.result):
        share = (100 - start) / len(seeds)
        filing = replace(run, progress=within(run.progress, start + index * share, start + (index + 1) * share))
        batch = Batch(size=len(seeds), index=index, seeds=tuple(each.seed for each in ran.result))
        tracks.append(file_take(Ran(ran.engine, take, ran.skipped), request, batch, engines, filing))
    return tuple(tracks)


def _takes(
    request: Generate,
    seeds: Sequence[int],
    run: TaskRun,
    engines: Catalog,
    first: Sequence[str],
    *,
    stems_welcome: bool,
) -> Ran[Generator, tuple[Take, ...]]:
    """By the engine asked for or the first that can; one whose takes fail their inspection has failed."""

    def call(engine: Generator) -> tuple[Take, ...]:
        prompt = prompt_of(request, seeds[0], run)
        if stems_welcome and engine.capabilities.stems:
            prompt = replace(prompt, stems=True)
        plan = _plan(engine, prompt, request)
        refuse(engine, prompt, plan)
        options = options_of(engine, request)
        if len(plan) == 1:
            return accepted(engine, of_scene(prompt, plan[0].scene), seeds, options, run)
        return accepted(InSections(engine, plan), prompt, seeds, options, run)

    return engines.run(GENERATORS, request.engine, call, first=first)


def _plan(engine: Generator, prompt: Prompt, request: Generate) -> tuple[Piece, ...]:
    """The sections to make: one for what an engine makes in one piece, and for what is sung or edited."""
    shortest, longest = engine.capabilities.seconds
    whole = prompt.lyrics is not None or prompt.edit is not None
    return pieces(prompt.seconds, math.inf if whole else longest, shortest, request.scenes)


def _edit(request: Generate, run: TaskRun) -> Edit | None:
    if request.edit is None:
        return None
    source = _music(getattr(request, request.edit), run)
    strength = 1.0 if request.strength is None else request.strength
    return Edit(request.edit, source, strength, request.repaint_from or 0.0, request.repaint_to)


def _music(source: Source, run: TaskRun) -> AudioReader:
    return FileReader(run.locate(source), rate=DELIVERY_RATE, channels=2)


def _seconds(request: Generate, edit: Edit | None) -> float:
    if edit is None:
        return request.duration
    more = (request.by or 30.0) if edit.task == "extend" else 0.0
    return edit.source.frames / DELIVERY_RATE + more


def _enhanced(request: Generate, engines: Catalog, run: TaskRun) -> tuple[Generate, tuple[str, ...]]:
    """The request with the prompt said better, by the first enhancer that can; what was asked for explicitly stays."""
    prompt = prompt_of(request.model_copy(update=dict.fromkeys((*_EDITS, "reference"))), request.seed or 0, run)

    def call(engine: Enhancer) -> Enhanced:
        return engine.enhance(prompt, engine.Options(), run)

    ran = engines.run(ENHANCERS, AUTO, call)
    found = ran.result
    wishes = {
        "caption": found.words,
        "lyrics": found.lyrics,
        "bpm": found.bpm,
        "key": None if found.key is None else str(found.key),
        "time_signature": found.time_signature,
    }
    filled = {name: value for name, value in wishes.items() if value is not None and getattr(request, name) is None}
    skipped = tuple(f"{skip.engine} did not enhance the prompt: {skip.reason}" for skip in ran.skipped)
    notes = (*skipped, f"prompt enhanced by {ran.engine.name}: {found.words}", *found.notes)
    return request.model_copy(update={**filled, "enhance": False}), notes

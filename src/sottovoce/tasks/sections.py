"""Music in sections: what is longer than an engine can make, or changes its mood, made piece by piece and joined on beats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sottovoce.audio import DELIVERY_RATE, Audio, Samples
from sottovoce.dsp.joins import Join, Seam, joined, judged, seam
from sottovoce.dsp.key import key
from sottovoce.dsp.mixdown import fade
from sottovoce.dsp.tempo import tempo
from sottovoce.engines.base import EngineOptions, Generated, Generator, Run
from sottovoce.progress import within
from sottovoce.prompt import Key, Prompt, parse_key
from sottovoce.recipe import Section
from sottovoce.tasks.request import LARGEST_SEED, SHORTEST_SCENE, Scene

#: Neighbours overlap by so many seconds, and each may turn out so much longer that its beats can be met.
_OVERLAP, _SLACK = 4.0, 1.0
#: What goes on is made so much longer, as engines end their music there.
_ENDING = 6.0
#: How often a section is made until its join is good.
_TRIES = 3
#: Seeds of neighbouring sections lie so far apart that no version's sections share them.
_STRIDE = 1_000_003
#: The tempo heard in the first section counts for all from this confidence on.
_SURE = 0.3
_LAST_FADE = 0.4


@dataclass(frozen=True)
class Piece:
    """A section to make: `start` and `end` in seconds, overlaps included, and the scene it belongs to."""

    start: float
    end: float
    scene: Scene


def pieces(seconds: float, longest: float, shortest: float, scenes: Sequence[Scene] = ()) -> tuple[Piece, ...]:
    """The sections of music of that length: one for each scene, and where a scene is longer than an engine can make, several.

    No piece is longer than `longest` or, where the whole is not, shorter than `shortest` seconds; scenes that are too short for a
    section of their own go to the one before.
    """
    if not scenes or scenes[0].start > 0:
        scenes = (Scene(start=0.0), *scenes)
    scenes = _long_enough(scenes, seconds, max(shortest, SHORTEST_SCENE))
    edges = [scene.start for scene in scenes[1:]] + [seconds]
    found: list[Piece] = []
    room = longest - _OVERLAP - _SLACK - _ENDING
    for scene, end in zip(scenes, edges, strict=True):
        count = max(1, math.ceil((end - scene.start) / room))
        if count == 1 and len(scenes) == 1 and seconds <= longest:
            return (Piece(0.0, seconds, scene),)
        step = (end - scene.start) / count
        found += [Piece(scene.start + index * step, scene.start + (index + 1) * step, scene) for index in range(count)]
    return tuple(
        replace(piece, start=piece.start - (_OVERLAP / 2 if index else 0.0), end=_end(piece, index, len(found)))
        for index, piece in enumerate(found)
    )


@dataclass(frozen=True, eq=False)
class InSections:
    """An engine that makes its music in sections."""

    engine: Generator
    plan: tuple[Piece, ...]

    def generate(self, prompt: Prompt, options: EngineOptions, run: Run) -> Generated:
        """Music of exactly the prompt's length; the errors of the engine."""
        return in_sections(self.engine, prompt, self.plan, options, run)


def in_sections(
    engine: Generator, prompt: Prompt, plan: Sequence[Piece], options: EngineOptions, run: Run
) -> Generated:
    """Music of exactly the prompt's length, section by section; a section that joins badly is made again, at most twice."""

    def part(index: int) -> Run:
        return replace(run, progress=within(run.progress, 100 * index / len(plan), 100 * (index + 1) / len(plan)))

    wish = _wish(prompt, plan[0], 0)
    first = last = engine.generate(wish, options, replace(part(0), seed=wish.seed))
    steady = _like_the_first(prompt, first)
    music, starts, notes = first.audio.samples, [0.0], list[str]()
    for index, piece in enumerate(plan[1:], 1):
        best = _best(engine, music, piece, _wish(steady, piece, index), options, part(index))
        music, last = best.music, best.made
        starts.append(best.at / DELIVERY_RATE)
        if not best.join.good:
            notes.append(f"the join at {starts[-1]:.1f} s is not as smooth as it should be")
    return replace(
        last,
        audio=Audio(_ended(music, round(prompt.seconds * DELIVERY_RATE)), DELIVERY_RATE),
        stems={},
        midi=None,
        tempo_map=first.tempo_map[:1],
        chords=(),
        sections=_sections(plan, starts, prompt.seconds),
        notes=(*dict.fromkeys((*last.notes, f"made in {len(plan)} sections, joined on beats", *notes)),),
    )


@dataclass(frozen=True, eq=False)
class _Joined:
    music: Samples
    made: Generated
    at: int
    join: Join


def _best(engine: Generator, music: Samples, piece: Piece, wish: Prompt, options: EngineOptions, run: Run) -> _Joined:
    """The section joined to the music so far: the first try whose join is good, or the best of them."""
    tries: list[_Joined] = []
    for attempt in range(_TRIES):
        seed = (wish.seed + attempt * 7) % (LARGEST_SEED + 1)
        made = engine.generate(replace(wish, seed=seed), options, replace(run, seed=seed))
        tries.append(_joined(music, made, piece))
        if tries[-1].join.good:
            break
    return max(tries, key=lambda each: each.join.score)


def _joined(music: Samples, made: Generated, piece: Piece) -> _Joined:
    overlap = round(_OVERLAP * DELIVERY_RATE)
    start = min(round(piece.start * DELIVERY_RATE), music.shape[1] - overlap)
    music = music[:, : start + overlap + round(_SLACK * DELIVERY_RATE)]
    where: Seam = seam(music, made.audio.samples, DELIVERY_RATE, start=start, overlap=overlap)
    both = joined(music, made.audio.samples, where)
    return _Joined(both, made, where.at, judged(both, DELIVERY_RATE, where.at))


def _wish(prompt: Prompt, piece: Piece, index: int) -> Prompt:
    """What is asked of the engine for one section; cues that lie in it go with it."""
    return replace(
        of_scene(prompt, piece.scene),
        seconds=round((piece.end - piece.start) * DELIVERY_RATE) / DELIVERY_RATE,
        seed=(prompt.seed + index * _STRIDE) % (LARGEST_SEED + 1),
        cues=tuple(cue - piece.start for cue in prompt.cues if piece.start < cue < piece.end),
    )


def of_scene(prompt: Prompt, scene: Scene) -> Prompt:
    """The prompt with the mood, genre and words of a scene, as far as it has any."""
    words, mood, genre = scene.words or prompt.words, scene.mood or prompt.mood, scene.genre or prompt.genre
    return replace(prompt, words=words, mood=mood, genre=genre)


def _like_the_first(prompt: Prompt, made: Generated) -> Prompt:
    """The prompt with the tempo and key of what was made first, so that what follows is in step and in tune with it."""
    bpm = prompt.bpm or _tempo(made)
    return replace(prompt, bpm=bpm, key=prompt.key or _key(made))


def _tempo(made: Generated) -> float | None:
    if made.tempo_map:
        return made.tempo_map[0].bpm
    found = tempo(made.audio.samples, made.audio.rate)
    return round(found.bpm, 1) if found.confidence >= _SURE else None


def _key(made: Generated) -> Key | None:
    if made.key is not None:
        return parse_key(made.key)
    found = key(made.audio.samples, made.audio.rate)
    return Key(found.root, minor=found.minor) if found.margin > 0 else None


def _ended(music: Samples, frames: int) -> Samples:
    """Exactly so many frames: what is too long ends a little earlier with a fade."""
    if music.shape[1] < frames:
        return np.pad(music, ((0, 0), (0, frames - music.shape[1])))
    if music.shape[1] == frames:
        return music
    return fade(music[:, :frames], DELIVERY_RATE, 0.0, _LAST_FADE)


def _sections(plan: Sequence[Piece], starts: Sequence[float], seconds: float) -> tuple[Section, ...]:
    """The sections as recipes name them, by their moods, from where they really begin."""
    return tuple(
        Section(name=piece.scene.mood or f"part {index}", start=start, seconds=round(end - start, 3))
        for index, (piece, start, end) in enumerate(zip(plan, starts, (*starts[1:], seconds), strict=True), 1)
    )


def _end(piece: Piece, index: int, count: int) -> float:
    """Its end with what its neighbour overlaps, its own ending that is not heard, and the slack that lets beats meet."""
    return piece.end + (_SLACK if index == count - 1 else _OVERLAP / 2 + _SLACK + _ENDING)


def _long_enough(scenes: Sequence[Scene], seconds: float, least: float) -> tuple[Scene, ...]:
    """The scenes that have room for a section; others go on as the one before, and a last one that is too short is left out."""
    kept = [scenes[0]]
    for scene in scenes[1:]:
        if scene.start - kept[-1].start >= least and seconds - scene.start >= least:
            kept.append(scene)
    return tuple(kept)

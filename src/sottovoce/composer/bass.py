"""The foundation: bass figures, drones, and the left hand of a pianist."""

from __future__ import annotations

from random import Random

from sottovoce.composer.cells import Step, bass_steps, rotation, within
from sottovoce.composer.form import Bar
from sottovoce.composer.notation import ChordSpan, Note
from sottovoce.composer.rng import chance, stream, weighted
from sottovoce.composer.sketch import Sketch
from sottovoce.composer.style import Player
from sottovoce.composer.theory import fifth, seventh, third

_VELOCITY = 74
_BASS_RANGE = (28, 55)
_GLIDE_CHANCE = 0.1


def write_bass(sketch: Sketch, player: Player) -> list[Note]:
    """A bass line from the style's figures: roots on changes, approaches into the next chord, one note at a time."""
    notes = _figured(sketch, player, _BASS_RANGE)
    rng = stream(sketch.plan.seed, "glides", player.name)
    notes = [_glided(note, before, rng) for before, note in zip([None, *notes], notes, strict=False)]
    return [*_one_at_a_time(notes), *_last(sketch, player)]


def write_figure(sketch: Sketch, player: Player) -> list[Note]:
    """Broken chords of a left hand; under a pedal every note rings until the chord changes."""
    notes = _figured(sketch, player, (player.low, player.high))
    if player.pedal:
        notes = [_pedalled(sketch, note) for note in notes]
    return [*notes, *_last(sketch, player)]


def write_drone(sketch: Sketch, player: Player) -> list[Note]:
    """Long roots with their fifths under each chord, bound where the bass stays."""
    notes: list[Note] = []
    for turn in sketch.turns_of(player):
        starts = sorted({turn.start, *sketch.changes(turn.start, turn.end)})
        for start, end in zip(starts, [*starts[1:], turn.end], strict=True):
            root = _in_range(sketch.basses[sketch.chord_index(start)], _BASS_RANGE)
            last = notes[-1] if notes else None
            if last and last.pitch == root and abs(last.start + last.length - start) < 1e-6 and last.length < 12:
                notes[-1] = Note(last.start, last.length + end - start, root, last.velocity)
            else:
                notes.append(Note(start, end - start, root, 66 if (start / 4) % 2 < 1 else 60))
    fifths = [
        Note(n.start, n.length, n.pitch + fifth(sketch.chord_at(n.start)), n.velocity - 14)
        for n in notes
        if n.pitch >= 33 and n.length >= 6 and _rooted(sketch.chord_at(n.start))
    ]
    return sorted(
        [*notes, *(n for n in fifths if n.pitch <= 55), *_last(sketch, player)], key=lambda n: (n.start, n.pitch)
    )


def _rooted(span: ChordSpan) -> bool:
    return span.bass == span.root


def _figured(sketch: Sketch, player: Player, reach: tuple[int, int]) -> list[Note]:
    plan = sketch.plan
    notes: list[Note] = []
    section = None
    figures: tuple[str, ...] = ()
    for turn, bar in sketch.bars_of(player):
        rng = stream(plan.seed, "bass", player.name, turn.section.name[0], turn.section.energy)
        if turn.section is not section:
            section, figures = turn.section, rotation(player.cells, plan.meter, turn.section.energy * plan.density, rng)
        rng = stream(plan.seed, "bass", player.name, bar.start)
        for step in _steps(sketch, bar, bass_steps(figures[bar.place % len(figures)])):
            pitch = _pitch(sketch, bar.start + step.beat, step.what, reach, rng)
            notes.append(Note(bar.start + step.beat, step.length * 0.96, pitch, _VELOCITY))
    return notes


def _steps(sketch: Sketch, bar: Bar, cell: tuple[Step, ...]) -> list[Step]:
    """The cell's steps in a bar, with a root on every chord change."""
    changes = [change - bar.start for change in sketch.changes(bar.start, bar.end)]
    steps = []
    for step in within(cell, bar.beats, sketch.plan.meter.beats):
        if any(abs(step.beat - change) < 1e-6 for change in changes):
            steps.append(Step(step.beat, step.length, "R"))
        elif not any(0 < change - step.beat < 0.3 or 0 < step.beat - change < 0.3 for change in changes):
            steps.append(step)
    onsets = [step.beat for step in steps]
    for change in changes:
        if not any(abs(change - onset) < 1e-6 for onset in onsets):
            following = min((onset for onset in onsets if onset > change), default=bar.beats)
            steps.append(Step(change, following - change, "R"))
    return sorted(steps, key=lambda step: step.beat)


def _pitch(sketch: Sketch, beat: float, degree: str, reach: tuple[int, int], rng: Random) -> int:
    index = sketch.chord_index(beat)
    span, root = sketch.chords[index], sketch.basses[index]
    if degree == "a":
        return _approach(sketch, index, reach, rng)
    above = (span.root - root) % 12
    interval = {
        "R": 0,
        "3": above + third(span),
        "5": above + fifth(span),
        "7": above + seventh(span),
        "8": 12,
        "9": 14,
        "10": above + 12 + third(span),
        "12": above + 12 + fifth(span),
    }[degree]
    return _in_range(root + interval, reach)


def _approach(sketch: Sketch, index: int, reach: tuple[int, int], rng: Random) -> int:
    """A step into the next root: a semitone below or above, its dominant, or a step of the scale; the fifth if it stays."""
    here = sketch.basses[index]
    there = sketch.basses[min(index + 1, len(sketch.basses) - 1)]
    if there == here:
        return _in_range(here + fifth(sketch.chords[index]), reach)
    scale = sketch.scale_at(sketch.chords[index].start)
    steps = [there + side for side in (-2, 2, -1, 1) if (there + side) % 12 in scale] or [there - 1]
    side = 1 if here > there else -1
    inside = [step for step in steps if (step - there) * side > 0] or steps
    options = [(inside[0], 0.45), (there - 1, 0.25), (there + 1, 0.1), (there - 5, 0.2)]
    return _in_range(weighted(rng, options), reach)


def _in_range(pitch: int, reach: tuple[int, int]) -> int:
    low, high = reach
    while pitch > high:
        pitch -= 12
    while pitch < low:
        pitch += 12
    return pitch


def _pedalled(sketch: Sketch, note: Note) -> Note:
    """The note held until the next chord, at most two bars."""
    index = sketch.chord_index(note.start)
    span = sketch.chords[index]
    until = min(span.start + span.length, note.start + 2 * sketch.plan.meter.beats)
    return Note(note.start, max(note.length, until - note.start), note.pitch, note.velocity)


def _one_at_a_time(notes: list[Note]) -> list[Note]:
    """Each note ends where the next begins."""
    ordered = sorted(notes, key=lambda note: note.start)
    ends = [note.start for note in ordered[1:]] + [float("inf")]
    return [
        Note(note.start, min(note.length, end - note.start), note.pitch, note.velocity, slide=note.slide)
        for note, end in zip(ordered, ends, strict=True)
    ]


def _glided(note: Note, before: Note | None, rng: Random) -> Note:
    """Now and then a finger slides into the note."""
    glides = chance(rng, _GLIDE_CHANCE)
    if before is None or not glides or not 1 <= abs(note.pitch - before.pitch) <= 5:
        return note
    return Note(note.start, note.length, note.pitch, note.velocity, slide=float(before.pitch - note.pitch) / 2)


def _last(sketch: Sketch, player: Player) -> list[Note]:
    """The tonic under the last chord; a left hand adds fifth and tenth."""
    if not sketch.ends(player):
        return []
    span = sketch.chords[-1]
    root = _in_range(sketch.basses[-1], _BASS_RANGE)
    above = (
        [(0, 0, 0.0)]
        if player.role != "figure"
        else [(0, 0, 0.0), (fifth(span), -8, 0.035), (12 + third(span), -4, 0.07)]
    )
    return [
        Note(span.start, span.length * 0.96, root + up, _VELOCITY - 6 + loud, shift=late) for up, loud, late in above
    ]

"""Drops of notes in loops of different lengths, which never line up the same way twice."""

from __future__ import annotations

from sottovoce.composer.cells import loop
from sottovoce.composer.meter import cells_for
from sottovoce.composer.notation import Note
from sottovoce.composer.rng import chance, pick, stream, whole
from sottovoce.composer.sketch import Sketch
from sottovoce.composer.style import Player
from sottovoce.composer.theory import ladder, tones

_VELOCITY = 60
_SOUNDS = 0.82


def write_loop(sketch: Sketch, player: Player) -> list[Note]:
    """Notes of a loop, each place with a height of its own, bent to the chord that sounds; some rounds leave some out."""
    plan = sketch.plan
    rng = stream(plan.seed, "loop", player.name)
    length, onsets = loop(pick(rng, cells_for(player.cells, plan.meter)))
    heights = [whole(rng, player.low, player.high - 5) for _ in onsets]
    notes: list[Note] = []
    for turn in sketch.turns_of(player):
        start = turn.start
        rounds = 0
        while start < turn.end - 1e-6:
            for place, onset in enumerate(onsets):
                beat = start + onset
                sounds = chance(rng, _SOUNDS * min(1.2, 0.7 + 0.3 * plan.density)) or beat == 0
                if sounds and beat < turn.end - 1e-6:
                    notes.append(_drop(sketch, player, beat, heights[place] + (rounds % 3) * 2))
            start += length
            rounds += 1
    return [*_fewer_repeats(notes, sketch), *_last(sketch, player)]


def _drop(sketch: Sketch, player: Player, beat: float, height: int) -> Note:
    inside = frozenset(tones(sketch.chord_at(beat)))
    pitches = ladder(inside, player.low, player.high)
    pitch = min(pitches, key=lambda p: (abs(p - height), p))
    return Note(beat, 2.0, pitch, _VELOCITY + (pitch % 5) * 3)


def _fewer_repeats(notes: list[Note], sketch: Sketch) -> list[Note]:
    """A third stroke of one pitch in a row moves to the next tone of the chord."""
    kept: list[Note] = []
    for note in notes:
        pitch = note.pitch
        if len(kept) >= 2 and kept[-1].pitch == kept[-2].pitch == pitch:
            others = [p for p in ladder(frozenset(tones(sketch.chord_at(note.start))), pitch - 9, pitch) if p != pitch]
            pitch = others[-1] if others else pitch
        kept.append(Note(note.start, note.length, pitch, note.velocity))
    return kept


def _last(sketch: Sketch, player: Player) -> list[Note]:
    """A last drop on the fifth or root, a little late."""
    if not sketch.ends(player):
        return []
    span = sketch.chords[-1]
    pitches = ladder(frozenset({span.root, (span.root + 7) % 12}), player.low, player.high)
    return [Note(span.start, span.length * 0.8, pitches[len(pitches) // 2], _VELOCITY - 8, shift=0.12)]

"""Groove: what players add to the page. Swing, habits, slow drift, a little noise; accents, arcs and dynamics."""

from __future__ import annotations

from dataclasses import dataclass

from sottovoce.composer.meter import accent
from sottovoce.composer.notation import Note
from sottovoce.composer.rng import normal, stream
from sottovoce.composer.sketch import Sketch
from sottovoce.composer.style import Player

#: Timing drifts like this from hit to hit (1/f-like: Hennig 2011), in seconds.
_MEMORY, _DRIFT = 0.97, 0.0007
_NOMINAL_VELOCITY = 72.0
_ARC = (0.95, 1.03, 1.07, 0.94)
_DRUM_HABITS_MS = {36: 2.0, 38: 10.0, 37: 9.0, 40: 4.0, 42: 0.0, 46: 0.0, 70: -2.0, 51: 0.0}


@dataclass(frozen=True)
class _Feel:
    habit: float
    noise: float
    drums: bool


def humanise(sketch: Sketch, player: Player, notes: list[Note]) -> tuple[Note, ...]:
    """The notes as the player plays them: starts swung (they stay beats), `shift` in seconds, velocities 1-127, in order."""
    plan = sketch.plan
    rng = stream(plan.seed, "groove", player.name)
    pace = min(1.3, max(0.6, 60 / plan.tempo))
    feel = _Feel(player.habit_ms * pace / 1000, plan.style.noise_ms / 1000, player.role == "kit")
    drift = 0.0
    played: list[Note] = []
    onset, displaced, louder = -1.0, 0.0, 0.0
    for note in sorted(notes, key=lambda note: (note.start, note.pitch)):
        if note.start != onset:
            onset = note.start
            drift = _MEMORY * drift + normal(rng, _DRIFT)
            displaced = drift + normal(rng, feel.noise)
            louder = normal(rng, 0.07 * plan.mood.swing / 8)
        habit = _DRUM_HABITS_MS.get(note.pitch, 0.0) * pace / 1000 if feel.drums else feel.habit
        first = 0.0 if note.start < 1e-6 else habit + displaced
        velocity = _velocity(sketch, player, note, louder + normal(rng, 0.05))
        start = _swung(sketch, note.start)
        end = max(start + 0.05, _swung(sketch, note.start + note.length))
        played.append(Note(start, end - start, note.pitch, velocity, round(first + note.shift, 6), note.slide))
    return tuple(_apart(played))


def _swung(sketch: Sketch, beat: float) -> float:
    """An off-beat of a pair moved to where the swing puts it; everything between follows along."""
    style = sketch.plan.style
    if style.swing == 0.5 or sketch.plan.meter.name == "6/8" or beat >= sketch.form.final:
        return beat
    pair = 2 * style.swing_unit
    count, place = divmod(beat, pair)
    share = place / pair
    warped = share * 2 * style.swing if share <= 0.5 else 1 - (1 - share) * 2 * (1 - style.swing)
    return round(count * pair + warped * pair, 9)


def _velocity(sketch: Sketch, player: Player, note: Note, chance: float) -> int:
    """Written velocity, times mood, part, accent, arc of the phrase, energy of the section, and chance."""
    plan = sketch.plan
    section = sketch.form.section_at(note.start)
    bar = next((bar for bar in reversed(section.bars) if bar.start <= note.start + 1e-6), section.bars[0])
    place = note.start - bar.start
    stressed = 1.0 if player.role in ("kit", "pad", "drone") else 0.5 + 0.5 * accent(plan.meter, place)
    arc = _ARC[bar.place % 4]
    energy = 0.84 + 0.28 * section.energy
    mood = float((plan.mood.velocity / _NOMINAL_VELOCITY) ** 0.6)
    return min(127, max(12, round(note.velocity * mood * player.weight * stressed * arc * energy * (1 + chance))))


def _apart(notes: list[Note]) -> list[Note]:
    """No pitch is struck again while it sounds: the earlier note ends first."""
    following: dict[int, float] = {}
    apart: list[Note] = []
    for note in sorted(notes, key=lambda note: (note.start, note.pitch), reverse=True):
        until = following.get(note.pitch, float("inf"))
        length = min(note.length, max(0.04, until - note.start))
        apart.append(Note(note.start, length, note.pitch, note.velocity, note.shift, note.slide))
        following[note.pitch] = note.start
    return apart[::-1]

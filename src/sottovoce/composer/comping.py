"""The harmony as it is played: chords and broken chords in cells, pads bound over changes, swells into edges."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from sottovoce.composer.cells import Step, comp_steps, rotation, within
from sottovoce.composer.form import Bar
from sottovoce.composer.notation import Note
from sottovoce.composer.rng import chance, stream
from sottovoce.composer.sketch import Sketch
from sottovoce.composer.style import Player
from sottovoce.composer.voicing import Voices

_VELOCITY = 66
_ROLL = 0.013
#: A chord this near to a note of the lead gives way to it half of the time, in seconds.
_CLASH = 0.09
_LONGEST_TIE = 16.0


def write_comp(sketch: Sketch, player: Player, lead: Sequence[Note]) -> list[Note]:
    """Chords in the style's cells, below the lead and out of its way."""
    plan = sketch.plan
    voicings = sketch.voicings(player)
    spots = _Spots(lead)
    beat_seconds = 60 / plan.tempo
    notes: list[Note] = []
    section = None
    cells: tuple[str, ...] = ()
    for turn, bar in sketch.bars_of(player):
        if turn.section is not section:
            rng = stream(plan.seed, "comp", player.name, turn.section.name[0], turn.section.energy)
            section, cells = turn.section, rotation(player.cells, plan.meter, turn.section.energy * plan.density, rng)
        rng = stream(plan.seed, "comp", player.name, bar.start)
        for step in _steps(sketch, bar, comp_steps(cells[bar.place % len(cells)])):
            start = bar.start + step.beat
            gives_way = chance(rng, 0.5) and step.beat > 0 and spots.near(start, _CLASH / beat_seconds)
            if not gives_way:
                voices = _below(_voices(voicings[sketch.chord_index(start)], step.what), spots.pitch(start))
                notes += _struck(sketch, player, Step(start, step.length, step.what), voices)
    return [*notes, *_last(sketch, player, voicings)]


class _Spots:
    """Where the lead is: asked for onsets nearby and for the pitch that sounds."""

    def __init__(self, lead: Sequence[Note]) -> None:
        self._lead = sorted(lead, key=lambda note: note.start)
        self._starts = [note.start for note in self._lead]

    def near(self, beat: float, within_beats: float) -> bool:
        """Whether the lead begins a note within some beats, but not on the spot."""
        first = bisect_left(self._starts, beat - within_beats)
        last = bisect_right(self._starts, beat + within_beats)
        return any(abs(start - beat) > 1e-6 for start in self._starts[first:last])

    def pitch(self, beat: float) -> int | None:
        """What the lead holds on a beat."""
        index = bisect_right(self._starts, beat + 1e-6) - 1
        held = index >= 0 and beat < self._lead[index].start + self._lead[index].length
        return self._lead[index].pitch if held else None


def _steps(sketch: Sketch, bar: Bar, cell: tuple[Step, ...]) -> list[Step]:
    """The cell's steps in a bar; a chord that changes where nothing is struck is struck."""
    steps = within(cell, bar.beats, sketch.plan.meter.beats)
    struck = [step.beat for step in steps]
    whole = not any(step.what.isdigit() for step in steps)
    for change in sketch.changes(bar.start, bar.end):
        place = change - bar.start
        if whole and not any(-1e-6 <= beat - place < 0.6 for beat in struck):
            steps.append(Step(place, 1.0, "c"))
    return sorted(steps, key=lambda step: step.beat)


def _voices(voices: Voices, what: str) -> Voices:
    """The voices that a word asks for."""
    if what.isdigit():
        return (voices[min(int(what), len(voices)) - 1],)
    return {"t": voices[-2:], "l": voices[:1]}.get(what, voices)


def _below(voices: Voices, lead: int | None) -> Voices:
    """The voices that stay clear below the lead; at least one of them."""
    if lead is None:
        return voices
    clear = tuple(pitch for pitch in voices if pitch <= lead - 3)
    return clear or voices[:1]


def _struck(sketch: Sketch, player: Player, step: Step, voices: Voices) -> list[Note]:
    """One stroke: rolled upwards or together, held as written or, under a pedal, until the chord changes."""
    span = sketch.chord_at(step.beat)
    ends = span.start + span.length
    held = ends - step.beat if player.pedal and not step.what.isdigit() else step.length
    length = max(
        0.2, min(held if player.pedal else step.length, ends - step.beat if ends - step.beat > 0.3 else step.length)
    )
    roll = _ROLL if step.what == "r" else 0.003
    soft = 6 if len(voices) > 1 else 0
    return [
        Note(step.beat, length, pitch, _VELOCITY - soft + (3 if place == len(voices) - 1 else 0), shift=place * roll)
        for place, pitch in enumerate(voices)
    ]


def write_pad(sketch: Sketch, player: Player) -> list[Note]:
    """Held chords; a voice that keeps its pitch is bound over the change."""
    voicings = sketch.voicings(player)
    notes: list[Note] = []
    for turn in sketch.turns_of(player):
        sounding: dict[int, Note] = {}
        starts = sorted({turn.start, *sketch.changes(turn.start, turn.end)})
        for start, end in zip(starts, [*starts[1:], turn.end], strict=True):
            held: dict[int, Note] = {}
            for place, pitch in enumerate(voicings[sketch.chord_index(start)]):
                before = sounding.get(pitch)
                if before is not None and before.length + end - start <= _LONGEST_TIE:
                    held[pitch] = Note(before.start, before.length + end - start, pitch, before.velocity)
                else:
                    swell = (0, 7, 12, 4)[int(start / sketch.plan.meter.beats) % 4]
                    held[pitch] = Note(start, end - start, pitch, 54 + swell + 4 * (place % 2))
            notes += [note for pitch, note in sounding.items() if pitch not in held or held[pitch].start != note.start]
            sounding = held
        notes += sounding.values()
    return [*sorted(notes, key=lambda note: (note.start, note.pitch)), *_last(sketch, player, voicings)]


def write_swells(sketch: Sketch, player: Player) -> list[Note]:
    """A note that grows into the first beat of a new chord, every few changes and before every edge."""
    rng = stream(sketch.plan.seed, "swells")
    voicings = sketch.voicings(player)
    edges = {section.start for section in sketch.form.sections} | {sketch.form.final}
    notes = []
    for index, span in enumerate(sketch.chords):
        wanted = chance(rng, 0.45) or span.start in edges
        length = min(2.5, sketch.plan.meter.beats)
        inside = any(turn.start + length <= span.start <= turn.end + 1e-6 for turn in sketch.turns_of(player))
        if wanted and inside:
            pitch = voicings[index][-1]
            notes.append(Note(span.start - length, length, min(player.high, pitch), 58 + 6 * (index % 3)))
    return notes


def _last(sketch: Sketch, player: Player, voicings: list[Voices]) -> list[Note]:
    """The last chord, rolled a little wider than usual, held to the end."""
    if not sketch.ends(player):
        return []
    span = sketch.chords[-1]
    wide = 0.0 if player.role == "pad" else 0.03
    return [
        Note(span.start, span.length * 0.96, pitch, _VELOCITY - 6 + 2 * place, shift=place * wide)
        for place, pitch in enumerate(voicings[-1])
    ]

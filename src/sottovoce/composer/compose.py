"""Brief in, piece out: the one verb of the composer. It takes milliseconds; `render` makes the sound."""

from __future__ import annotations

from dataclasses import dataclass

from sottovoce.composer.arrangement import arrange
from sottovoce.composer.bass import write_bass, write_drone, write_figure
from sottovoce.composer.brief import Brief
from sottovoce.composer.comping import write_comp, write_pad, write_swells
from sottovoce.composer.drums import write_kit
from sottovoce.composer.form import fit_form
from sottovoce.composer.groove import humanise
from sottovoce.composer.harmony import harmonise
from sottovoce.composer.loops import write_loop
from sottovoce.composer.melody import write_answer, write_counter, write_double, write_lead
from sottovoce.composer.notation import ChordSpan, Notation, Note, Part, SectionSpan, TempoMap, Texture
from sottovoce.composer.plan import Plan, resolve
from sottovoce.composer.sketch import Sketch, bass_line
from sottovoce.composer.style import Player
from sottovoce.composer.titles import title


@dataclass(frozen=True)
class Piece:
    """A composed piece: its notation, the plan it follows, a title, and what the user should know."""

    notation: Notation
    plan: Plan
    title: str
    notes: tuple[str, ...]


def compose(brief: Brief) -> Piece:
    """Compose a piece of exactly `brief.seconds`; the same brief gives the same notation everywhere."""
    plan = resolve(brief)
    form = fit_form(plan)
    chords = harmonise(plan, form)
    sketch = Sketch(plan, form, chords, bass_line(chords), arrange(plan, form))
    return Piece(_notation(sketch), plan, title(plan, brief.words), (*plan.notes, *_cue_note(sketch)))


def _cue_note(sketch: Sketch) -> tuple[str, ...]:
    cues = [cue for cue in sketch.plan.cues if 0 < cue < sketch.plan.seconds]
    if not cues:
        return ()
    return (f"{len(sketch.form.cues_met)} of {len(cues)} cuts begin a section",)


def _notation(sketch: Sketch) -> Notation:
    """The sketch written out, in quarter notes."""
    plan, feel = sketch.plan, sketch.plan.feel
    end = sketch.chords[-1].start + sketch.chords[-1].length
    points = tuple((beat * feel, seconds, bpm * feel) for beat, seconds, bpm in sketch.form.tempo.points)
    return Notation(
        seconds=plan.seconds,
        tempo=TempoMap(points),
        beats_per_bar=plan.meter.written,
        time_signature=plan.meter.name,
        key_root=plan.key.root,
        minor=plan.key.minor,
        sections=_sections(sketch, end),
        chords=tuple(
            ChordSpan(c.start * feel, c.length * feel, c.root, c.quality, c.bass, c.roman) for c in sketch.chords
        ),
        parts=_parts(sketch),
        textures=tuple(Texture(kind, 0.0, end * feel, level) for kind, level in plan.textures),
    )


def _sections(sketch: Sketch, end: float) -> tuple[SectionSpan, ...]:
    feel = sketch.plan.feel
    spans = []
    for section in sketch.form.sections:
        until = end if section is sketch.form.sections[-1] else section.end
        names = tuple(
            player.name
            for player in sketch.plan.cast
            if any(turn.section is section for turn in sketch.turns_of(player))
        )
        spans.append(
            SectionSpan(section.name, section.start * feel, (until - section.start) * feel, section.energy, names)
        )
    return tuple(spans)


def _parts(sketch: Sketch) -> tuple[Part, ...]:
    """Every player's part; the lead is written first, since others listen to it."""
    lead = [n for player in sketch.plan.cast if player.role == "lead" for n in write_lead(sketch, player)]
    parts = []
    for player in sketch.plan.cast:
        notes = humanise(sketch, player, _written(sketch, player, lead))
        if notes:
            parts.append(_part(player, notes, sketch.plan.feel))
    return tuple(parts)


def _part(player: Player, notes: tuple[Note, ...], feel: float) -> Part:
    scaled = tuple(Note(n.start * feel, n.length * feel, n.pitch, n.velocity, n.shift, n.slide) for n in notes)
    return Part(player.name, player.stem, player.instruments[0][0], scaled, player.gain_db, player.pan, player.send)


def _written(sketch: Sketch, player: Player, lead: list[Note]) -> list[Note]:
    """What a player's role writes."""
    if player.role == "lead":
        return lead
    listening = {"comp": write_comp, "answer": write_answer, "counter": write_counter, "double": write_double}
    if player.role in listening:
        return listening[player.role](sketch, player, lead)
    alone = {
        "bass": write_bass,
        "drone": write_drone,
        "figure": write_figure,
        "pad": write_pad,
        "swell": write_swells,
        "loop": write_loop,
        "kit": write_kit,
    }
    return alone[player.role](sketch, player)

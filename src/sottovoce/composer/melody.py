"""The lead: phrases made of a motif that develops, pitches that suit chord and contour, breath between them, one peak."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from sottovoce.composer.arrangement import Turn
from sottovoce.composer.cells import rhythm
from sottovoce.composer.form import Bar
from sottovoce.composer.line import Wish, best_line
from sottovoce.composer.meter import cells_for, is_strong
from sottovoce.composer.motif import Motif, developed, invent, inverted, new_ending, sequence
from sottovoce.composer.notation import Note
from sottovoce.composer.rng import chance, pick, stream
from sottovoce.composer.sketch import Sketch
from sottovoce.composer.style import Cells, Player
from sottovoce.composer.theory import avoid, ladder, tones

_VELOCITY = 72
_UNIT = 8
_SPAN = 4
_SEMITONES_A_STEP = 1.7


@dataclass(frozen=True)
class _Wanted:
    """A note before it has its pitch."""

    start: float
    length: float
    target: float
    goal: bool


def write_lead(sketch: Sketch, player: Player) -> list[Note]:
    """The melody over all its turns, and the note it ends on."""
    notes: list[Note] = []
    books = motifs(sketch, player)
    for turn in sketch.turns_of(player):
        bars = [bar for bar in turn.section.bars if bar.start >= turn.start - 1e-6]
        for at in range(0, len(bars), _UNIT):
            unit = bars[at : at + _UNIT]
            rng = stream(sketch.plan.seed, "melody", player.name, unit[0].start)
            wanted = _unit(sketch, player, turn, unit, books, rng)
            notes += realise(sketch, player, _joined(wanted, notes[-1].pitch if notes else None))
    notes = _unhammered(sketch, player, notes)
    return [*notes, *_last(sketch, player, notes)]


def _unhammered(sketch: Sketch, player: Player, notes: Sequence[Note]) -> list[Note]:
    """No pitch four times in a row, across phrases too: the fourth gives way to another tone of the chord."""
    kept: list[Note] = []
    for note in notes:
        hammered = len(kept) >= 3 and {note.pitch} == {before.pitch for before in kept[-3:]}
        kept.append(replace(note, pitch=_beside(sketch, player, note)) if hammered else note)
    return kept


def _beside(sketch: Sketch, player: Player, note: Note) -> int:
    """The other tone of the chord that is nearest to a note."""
    low, high = reach(sketch, player)
    inside = set(tones(sketch.chord_at(note.start)))
    return min(
        (pitch for pitch in range(low, high + 1) if pitch % 12 in inside and pitch != note.pitch),
        key=lambda pitch: (abs(pitch - note.pitch), pitch),
    )


def _joined(wanted: list[_Wanted], before: int | None) -> list[_Wanted]:
    """The notes of a unit, the first one drawn towards the pitch that was left."""
    if before is None or not wanted:
        return wanted
    first = wanted[0]
    return [_Wanted(first.start, first.length, (first.target + before) / 2, first.goal), *wanted[1:]]


def motifs(sketch: Sketch, player: Player) -> dict[str, Motif]:
    """One motif for A, a contrasting one for B, and C from A upside down; rhythms near the density that is asked for."""
    plan = sketch.plan
    rng = stream(plan.seed, "motif", player.name)
    cells = sorted(cells_for(player.cells, plan.meter), key=lambda cell: (len(rhythm(cell)), cell))
    wanted = plan.style.lead_density * plan.density * plan.meter.beats / 4 * 2
    weights = [1 / (0.6 + abs(len(rhythm(cell)) - wanted)) ** 2 for cell in cells]
    first = pick(rng, cells, weights)
    others = [(cell, weight) for cell, weight in zip(cells, weights, strict=True) if cell != first] or [(first, 1.0)]
    second = pick(rng, [cell for cell, _ in others], [weight for _, weight in others])
    theme = invent(rhythm(first), rng, span=_SPAN)
    return {"A": theme, "B": invent(rhythm(second), rng, span=_SPAN + 1), "C": inverted(theme, rng), "I": theme}


def _unit(
    sketch: Sketch, player: Player, turn: Turn, bars: Sequence[Bar], books: dict[str, Motif], rng: Random
) -> list[_Wanted]:  # fmt: skip
    """The wanted notes of up to eight bars: statement, answer, development, close; each phrase breathes at its end."""
    theme = books[turn.section.letter]
    varied = turn.section.name not in ("A", "B", "C")
    statement = developed(theme, rng) if varied and chance(rng, 0.5) else theme
    cells = [statement, new_ending(statement, rng), sequence(developed(statement, rng), rng), new_ending(theme, rng)]
    wanted: list[_Wanted] = []
    for index in range(0, len(bars), 2):
        pair = bars[index : index + 2]
        cell = cells[(index // 2) % 4]
        anchor = _anchor(sketch, player, turn, _Spot(pair[0].start, index // 2, cell))
        closing = index + 2 >= len(bars) or index % 4 == 2
        found = _placed(sketch, cell, pair, anchor)
        wanted += _breathed(sketch, found, pair, closing=closing, rng=rng)
    return wanted


@dataclass(frozen=True)
class _Spot:
    """Where a cell stands: its first beat, which of the four of a unit it is, and the motif."""

    beat: float
    cell: int
    motif: Motif


def _anchor(sketch: Sketch, player: Player, turn: Turn, spot: _Spot) -> int:
    """Where a cell begins: a chord tone that puts the cell in the middle of the register, higher with energy and in the third."""
    low, high = reach(sketch, player)
    lift = (turn.section.energy - 0.6) * 6 + (0.0, -1.0, 2.5, 0.0)[spot.cell % 4]
    height = sum(spot.motif.places) / len(spot.motif.places) * _SEMITONES_A_STEP
    middle = low + (high - low) * 0.45 + lift - height
    chord = set(tones(sketch.chord_at(spot.beat)))
    return min(range(low, high + 1), key=lambda p: (p % 12 not in chord, abs(p - middle), p))


def reach(sketch: Sketch, player: Player) -> tuple[int, int]:
    """The player's register, moved by the mood and kept where melodies belong."""
    shift = sketch.plan.mood.register
    return max(58, player.low + shift), min(88, player.high + shift)


def _placed(sketch: Sketch, motif: Motif, pair: Sequence[Bar], anchor: int) -> list[_Wanted]:
    """A motif laid over two bars: scale steps above the anchor become target pitches."""
    wanted = []
    for place, bar in enumerate(pair):
        for step, height in motif.bar(place, sketch.plan.meter.beats):
            if step.beat < bar.beats - 1e-6:
                start = bar.start + step.beat
                length = min(step.length, pair[-1].end - start)
                wanted.append(_Wanted(start, length, _up(sketch, start, anchor, height), goal=False))
    return wanted


def _up(sketch: Sketch, beat: float, anchor: int, steps: int) -> int:
    """The pitch some scale steps above (or below) the anchor."""
    scale = ladder(sketch.scale_at(beat), anchor - 24, anchor + 24)
    base = min(range(len(scale)), key=lambda index: (abs(scale[index] - anchor), index))
    return scale[min(len(scale) - 1, max(0, base + steps))]


def _breathed(
    sketch: Sketch, wanted: list[_Wanted], pair: Sequence[Bar], *, closing: bool, rng: Random
) -> list[_Wanted]:
    """The notes of a cell with its breath: a closing one ends before or early in its second bar, on a goal, held a little."""
    if not wanted or not closing:
        return wanted
    if len(pair) < 2:
        last, until = wanted[-1], pair[0].start + pair[0].beats * 0.8
        return [
            *wanted[:-1],
            _Wanted(last.start, max(0.25, min(last.length, until - last.start)), last.target, goal=True),
        ]
    roll = rng.random() - (1 - sketch.plan.style.lead_share)
    border = pair[1].start + (-1e-6 if roll < 0 else 1e-6 if roll < 0.15 else pair[1].beats * 0.5)
    kept = [note for note in wanted if note.start < border] or wanted[:1]
    last = kept[-1]
    until = min(pair[1].start + pair[1].beats * 0.5, last.start + max(last.length, sketch.plan.meter.beats * 0.5))
    return [*kept[:-1], _Wanted(last.start, max(last.length, until - last.start), last.target, goal=True)]


def realise(sketch: Sketch, player: Player, wanted: Sequence[_Wanted]) -> list[Note]:
    """Pitches and dynamics for wanted notes."""
    if not wanted:
        return []
    low, high = reach(sketch, player)
    wishes = [_wish(sketch, note, before) for before, note in zip([None, *wanted], wanted, strict=False)]
    peak = _peak(wanted)
    pitches = best_line(wishes, low, high, peak=peak)
    middle = sum(pitches) / len(pitches)
    notes = []
    for index, (note, pitch) in enumerate(zip(wanted, pitches, strict=True)):
        following = wanted[index + 1].start if index + 1 < len(wanted) else float("inf")
        written = note.length * (max(1.0, sketch.plan.mood.legato) if player.pedal else sketch.plan.mood.legato)
        rings = 1.0 if player.pedal and not note.goal else 0.0
        length = min(written + rings, following - note.start) * 0.97
        velocity = (
            _VELOCITY + round((pitch - middle) * 0.9) + (6 if index == peak else 0) - (4 if note.length < 0.5 else 0)
        )
        notes.append(Note(note.start, max(0.15, length), pitch, velocity))
    return notes


def _peak(wanted: Sequence[_Wanted]) -> int | None:
    """Which note is the highest of its unit: the one that aims highest in the second half, at a strong place if it can be."""
    if len(wanted) < 4:
        return None
    first, end = wanted[0].start, wanted[-1].start
    late = [i for i, note in enumerate(wanted) if note.start >= first + (end - first) * 0.45 and not note.goal]
    return max(late, key=lambda i: (wanted[i].target + min(1.0, wanted[i].length), -i)) if late else None


def _wish(sketch: Sketch, note: _Wanted, before: _Wanted | None) -> Wish:
    plan = sketch.plan
    index = sketch.chord_index(note.start)
    span = sketch.chords[index]
    bar_beat = _place_in_bar(sketch, note.start)
    inside = frozenset(tones(span))
    tonic = plan.key.root
    goals = (
        frozenset({tonic, (tonic + 4) % 12, (tonic + 3) % 12, (tonic + 7) % 12}) & inside if note.goal else frozenset()
    )
    plain = frozenset(
        ((tonic + 5) % 12, (tonic + 11) % 12) if not plan.key.minor else ((tonic + 2) % 12, (tonic + 8) % 12)
    )
    return Wish(
        target=note.target,
        scale=sketch.scale_at(note.start),
        chord=inside,
        avoid=avoid(span),
        bass=sketch.basses[index],
        strong=is_strong(plan.meter, bar_beat) or note.length >= 1 or note.goal,
        goals=goals or (inside if note.goal else frozenset()),
        rest=note.start - (before.start + before.length) if before else 4.0,
        plain=plain,
    )


def _place_in_bar(sketch: Sketch, beat: float) -> float:
    section = sketch.form.section_at(beat)
    bar = next((bar for bar in reversed(section.bars) if bar.start <= beat + 1e-6), section.bars[0])
    return beat - bar.start


def _last(sketch: Sketch, player: Player, notes: Sequence[Note]) -> list[Note]:
    """The last note: the third, fifth or root of the last chord, near the line's last pitch."""
    if not sketch.ends(player):
        return []
    span = sketch.chords[-1]
    low, high = reach(sketch, player)
    start = notes[-1].pitch if notes else (low + high) // 2
    goals = {tone for tone in tones(span) if (tone - sketch.plan.key.root) % 12 in (0, 3, 4, 7)} or set(tones(span))
    pitch = min(range(low, high + 1), key=lambda p: (p % 12 not in goals, abs(p - start), p))
    return [Note(span.start, span.length * 0.9, pitch, _VELOCITY - 6, shift=0.03)]


def write_answer(sketch: Sketch, player: Player, lead: Sequence[Note]) -> list[Note]:
    """A second voice that speaks where the lead is silent, with its rhythm and a lower end."""
    player = player if player.cells else replace(player, cells=_tunes(sketch))
    books = motifs(sketch, player) if player.cells else {}
    starts = [note.start for note in lead]
    notes: list[Note] = []
    spoken = 0
    for turn, bar in sketch.bars_of(player):
        near = lead[bisect_left(starts, bar.start - 2 * bar.beats) : bisect_left(starts, bar.end)]
        if _sounding(near, bar) > bar.beats * 0.4:
            continue
        rng = stream(sketch.plan.seed, "answer", bar.start)
        spoken += 1
        if not books or (spoken % 2 == 0 and not chance(rng, 0.4)):
            continue
        motif = developed(books[turn.section.letter], rng)
        anchor = _anchor(sketch, player, turn, _Spot(bar.start, 1, motif))
        free = [note for note in _placed(sketch, motif, [bar], anchor) if not _meets(near, note)]
        if free:
            last = free[-1]
            notes += realise(sketch, player, [*free[:-1], _Wanted(last.start, last.length, last.target - 2, goal=True)])
    return notes


def _tunes(sketch: Sketch) -> Cells:
    """The cells of the style's lead, for players who bring none."""
    return next((player.cells for player in sketch.plan.style.players if player.role == "lead"), {})


def _sounding(lead: Sequence[Note], bar: Bar) -> float:
    """Beats of a bar in which the lead sounds."""
    return sum(max(0.0, min(note.start + note.length, bar.end) - max(note.start, bar.start)) for note in lead)


def _meets(lead: Sequence[Note], wanted: _Wanted) -> bool:
    return any(n.start - 0.5 < wanted.start < n.start + n.length for n in lead)


def write_counter(sketch: Sketch, player: Player, lead: Sequence[Note]) -> list[Note]:
    """A line below the lead that moves while the lead holds: thirds and sixths, against its direction."""
    turns = sketch.turns_of(player)
    notes: list[Note] = []
    for before, note in zip([None, *lead], lead, strict=False):
        inside = any(turn.start - 1e-6 <= note.start < turn.end for turn in turns)
        if note.length < 0.9 or not inside:
            continue
        span = sketch.chord_at(note.start)
        rising = before is not None and note.pitch > before.pitch
        able = [p for p in range(note.pitch - 10, note.pitch - 2) if p % 12 in tones(span) and p >= player.low]
        if able:
            pitch = able[0] if rising else able[-1]
            notes.append(Note(note.start + 0.5, max(0.4, note.length - 0.5), pitch, _VELOCITY - 12))
    return notes


def write_double(sketch: Sketch, player: Player, lead: Sequence[Note]) -> list[Note]:
    """The lead once more, an octave above where there is room, else below; only its longer notes."""
    turns = sketch.turns_of(player)
    notes = []
    for note in lead:
        if note.length >= 0.45 and any(turn.start - 1e-6 <= note.start < turn.end for turn in turns):
            pitch = note.pitch + 12 if note.pitch + 12 <= player.high else note.pitch - 12
            notes.append(Note(note.start, note.length, pitch, note.velocity - 8, shift=0.008))
    return notes

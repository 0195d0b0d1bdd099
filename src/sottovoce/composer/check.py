"""Checks of the notes before a sound is made: scale, ranges, voice leading, melody, rhythm, form; each a list of what is wrong."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import pstdev

from sottovoce.composer.compose import Piece
from sottovoce.composer.meter import METERS, is_strong
from sottovoce.composer.notation import ChordSpan, Notation, Note, Part
from sottovoce.composer.style import Player
from sottovoce.composer.theory import avoid, scale, tones
from sottovoce.composer.voicing import parallel

_HARMONY = ("comp", "pad", "drone", "figure")
_CADENCES = {"V", "v", "IV", "iv", "bVII", "bII", "ii", "bVI", "II", "vii"}


@dataclass(frozen=True)
class Violation:
    """A rule that is broken: its name and the numbers."""

    rule: str
    message: str


def check(piece: Piece) -> tuple[Violation, ...]:
    """Everything that is wrong with a piece; empty when all is well."""
    found: list[Violation] = []
    for rule in (_scale, _clashes, _ranges, _parallels, _leading, _melody, _rhythm, _velocity, _form, _voices, _time):
        found += rule(piece)
    return tuple(found)


def _parts(piece: Piece, *roles: str) -> Iterator[tuple[Player, Part]]:
    players = {player.name: player for player in piece.plan.cast}
    for part in piece.notation.parts:
        if not roles or players[part.name].role in roles:
            yield players[part.name], part


def _chord_at(notation: Notation, beat: float) -> ChordSpan:
    return next(span for span in reversed(notation.chords) if span.start <= beat + 0.02 or span is notation.chords[0])


def _scale(piece: Piece) -> Iterator[Violation]:
    """Harmony stays in mode and chord; the lead leaves them for at most 6 % of its notes."""
    mode = scale(piece.plan.mode, piece.plan.key.root)
    for player, part in _parts(piece, *_HARMONY, "lead", "answer", "counter", "loop"):
        outside = [n for n in part.notes if n.pitch % 12 not in mode | set(tones(_chord_at(piece.notation, n.start)))]
        most = 0.0 if player.role in _HARMONY else 0.06
        if len(outside) > most * len(part.notes):
            yield Violation(
                "scale", f"{part.name}: {len(outside)} of {len(part.notes)} notes are outside mode and chord"
            )


def _clashes(piece: Piece) -> Iterator[Violation]:
    """On strong beats the lead rubs against the chord in at most 3 %."""
    meter = METERS[piece.notation.time_signature]
    for _, part in _parts(piece, "lead"):
        strong = [n for n in part.notes if is_strong(meter, (n.start / piece.plan.feel) % meter.beats)]
        clashes = [n for n in strong if n.pitch % 12 in avoid(_chord_at(piece.notation, n.start))]
        if len(clashes) > max(1, 0.03 * len(strong)):
            yield Violation("clash", f"{part.name}: {len(clashes)} of {len(strong)} strong beats clash")


def _ranges(piece: Piece) -> Iterator[Violation]:
    """Every role in its register, and no thirds or seconds in the mud."""
    limits = {
        "bass": (28, 55),
        "drone": (28, 55),
        "comp": (48, 82),
        "pad": (45, 84),
        "lead": (58, 88),
        "answer": (58, 90),
    }
    for player, part in _parts(piece):
        low, high = limits.get(player.role, (21, 100))
        outside = [n.pitch for n in part.notes if not low <= n.pitch <= high]
        if outside and player.role != "kit":
            yield Violation("range", f"{part.name}: {sorted(set(outside))} outside {low}-{high}")
        if player.role in ("comp", "pad"):
            muddy = [pair for group in _onsets(part.notes) for pair in itertools.pairwise(group) if _muddy(*pair)]
            if muddy:
                yield Violation("mud", f"{part.name}: {muddy[:3]}")


def _muddy(low: int, high: int) -> bool:
    return (low < 48 and high - low < 5) or (low < 55 and high - low < 3)


def _onsets(notes: Sequence[Note]) -> list[list[int]]:
    """Pitches that begin together, sorted."""
    groups: dict[float, list[int]] = defaultdict(list)
    for note in notes:
        groups[round(note.start, 3)].append(note.pitch)
    return [sorted(group) for _, group in sorted(groups.items())]


def _sounding(part: Part, beat: float) -> list[int]:
    return sorted(n.pitch for n in part.notes if n.start <= beat + 0.02 < n.start + n.length)


def _foundation(piece: Piece, beat: float) -> int | None:
    sounding = [p for _, part in _parts(piece, "bass", "drone", "figure") for p in _sounding(part, beat)]
    return min(sounding) if sounding else None


def _parallels(piece: Piece) -> Iterator[Violation]:
    """Bass and top of the harmony move in parallel fifths or octaves in at most 5 % of changes, in strict styles never."""
    for player, part in _parts(piece, "comp", "pad"):
        if player.voices < 3 or piece.plan.style.strict:
            continue
        places = []
        for span in piece.notation.chords:
            bass, sounding = _foundation(piece, span.start), _sounding(part, span.start)
            places.append((bass, sounding[-1]) if bass is not None and len(sounding) >= 3 else None)
        pairs = [(a, b) for a, b in itertools.pairwise(places) if a and b]
        wrong = sum(parallel(a, b) for a, b in pairs)
        if wrong > max(2, 0.05 * len(pairs)):
            yield Violation("parallels", f"{part.name}: {wrong} of {len(pairs)} changes")


def _leading(piece: Piece) -> Iterator[Violation]:
    """Voices of held harmony move 2.5 semitones a change in the mean and never more than 9."""
    for player, part in _parts(piece, "pad"):
        steps: list[int] = []
        turns = [_sounding(part, span.start) for span in piece.notation.chords]
        for before, after in itertools.pairwise(turns):
            if len(before) == len(after) == player.voices:
                steps += [abs(a - b) for a, b in zip(after, before, strict=True)]
        if len(steps) >= 18 and (sum(steps) / len(steps) > 2.5 or max(steps) > 9):
            yield Violation("leading", f"{part.name}: mean {sum(steps) / len(steps):.2f}, most {max(steps)} semitones")


def _melody(piece: Piece) -> Iterator[Violation]:
    """Steps, leaps and their answers, repeats; how much of the time the lead is silent."""
    for player, part in _parts(piece, "lead"):
        pitches = [note.pitch for note in part.notes]
        moves = [b - a for a, b in itertools.pairwise(pitches)]
        if len(moves) < 12:
            continue
        steps = sum(abs(move) <= 2 for move in moves) / len(moves)
        leaps = [i for i, move in enumerate(moves[:-1]) if abs(move) > 7]
        sparse = piece.plan.style.lead_density < 2 or piece.plan.feel != 1
        if len(moves) >= 20 and not (0.2 if sparse else 0.4) <= steps <= 0.9:
            yield Violation("steps", f"{part.name}: {steps:.0%} steps")
        if len(leaps) > max(1, 0.08 * len(moves)):
            yield Violation("leaps", f"{part.name}: {len(leaps)} of {len(moves)}")
        if _longest_run(pitches) > 4:
            yield Violation("repeats", f"{part.name}: one pitch {_longest_run(pitches)} times in a row")
        body = [note for note in part.notes if note.start < piece.notation.chords[-1].start - 1e-6]
        silent = 1 - _covered(body) / piece.notation.chords[-1].start
        if silent < (0.08 if player.pedal else 0.2):
            yield Violation("rests", f"{part.name}: silent only {silent:.0%} of the time")


def _longest_run(values: Sequence[object]) -> int:
    longest = run = 0
    for index, value in enumerate(values):
        run = run + 1 if index and values[index - 1] == value else 1
        longest = max(longest, run)
    return longest


def _covered(notes: Sequence[Note]) -> float:
    """Beats in which a part sounds."""
    covered = until = 0.0
    for note in sorted(notes, key=lambda note: note.start):
        end = note.start + note.length
        covered += max(0.0, end - max(until, note.start))
        until = max(until, end)
    return covered


def drum_bars(piece: Piece) -> list[frozenset[tuple[int, int]]]:
    """The strokes of each bar of the kit as (sixteenth, key)."""
    beats = METERS[piece.notation.time_signature].beats * piece.plan.feel
    bars: dict[int, set[tuple[int, int]]] = defaultdict(set)
    for _, part in _parts(piece, "kit"):
        for note in part.notes:
            if note.start >= piece.notation.chords[-1].start - 1e-6:
                continue
            index, place = divmod(note.start + 1e-6, beats)
            bars[int(index)].add((round(place / piece.plan.feel * 4 - 0.15), note.pitch))
    return [frozenset(bars[index]) for index in range(max(bars, default=-1) + 1)]


def _rhythm(piece: Piece) -> Iterator[Violation]:
    """No bar of drums more than four times in a row; nobody plays like a machine, nobody stumbles."""
    bars = [bar for bar in drum_bars(piece) if bar]
    if _longest_run(bars) > 4:
        yield Violation("drums", f"the same bar {_longest_run(bars)} times in a row")
    for _, part in _parts(piece):
        shifts = [note.shift * 1000 for note in part.notes]
        if len(shifts) >= 24 and not 1.0 <= pstdev(shifts) <= 40:
            yield Violation("timing", f"{part.name}: {pstdev(shifts):.1f} ms off the grid")


def _velocity(piece: Piece) -> Iterator[Violation]:
    """Dynamics that move."""
    minutes = piece.notation.seconds / 60
    for _, part in _parts(piece):
        velocities = [note.velocity for note in part.notes]
        if len(velocities) >= 30:
            if pstdev(velocities) < min(4.5, 0.07 * sum(velocities) / len(velocities)):
                yield Violation("velocity", f"{part.name}: deviation {pstdev(velocities):.1f}")
            if len(set(velocities)) < min(12, 12 * minutes):
                yield Violation("velocity", f"{part.name}: only {len(set(velocities))} different")


def _form(piece: Piece) -> Iterator[Violation]:
    """Enough sections, movement between them, a cadence, and the tonic in the bass at the very end."""
    notation = piece.notation
    wanted = 3 if notation.seconds >= 60 else (2 if notation.seconds >= 25 else 1)
    if len(notation.sections) < wanted:
        yield Violation("sections", f"{len(notation.sections)} in {notation.seconds:g} s")
    line_ups = [frozenset(section.parts) for section in notation.sections]
    changes = sum(len(a ^ b) for a, b in itertools.pairwise(line_ups))
    if notation.seconds >= 60 and len(piece.plan.cast) > 4 and changes < 2 * notation.seconds / 60:
        yield Violation("arrangement", f"{changes} entries and exits in {notation.seconds:g} s")
    before, last = notation.chords[-2], notation.chords[-1]
    if last.root != notation.key_root or last.bass != notation.key_root:
        yield Violation("ending", f"ends on {last.roman}")
    if not any(before.roman.startswith(numeral) for numeral in _CADENCES):
        yield Violation("cadence", f"{before.roman} {last.roman}")
    if (bass := _foundation(piece, last.start + 0.2)) is not None and bass % 12 != notation.key_root:
        yield Violation("ending", f"bass ends on {bass}")


def _voices(piece: Piece) -> Iterator[Violation]:
    """At most 24 notes at once."""
    events = [(note.start, 1) for part in piece.notation.parts for note in part.notes]
    events += [(note.start + note.length, -1) for part in piece.notation.parts for note in part.notes]
    sounding = most = 0
    for _, change in sorted(events):
        sounding += change
        most = max(most, sounding)
    if most > 24:
        yield Violation("polyphony", f"{most} notes at once")


def _time(piece: Piece) -> Iterator[Violation]:
    """Something sounds at once, the map is in order, and the last chord has room to ring."""
    notation = piece.notation
    first = min(notation.tempo.seconds(note.start) + note.shift for part in notation.parts for note in part.notes)
    if first > 0.1:
        yield Violation("opening", f"the first note comes after {first:.2f} s")
    beats = [point[0] for point in notation.tempo.points]
    if beats != sorted(set(beats)) or beats[0] != 0:
        yield Violation("tempo", "the tempo map is out of order")
    for (beat, seconds, bpm), after in zip(notation.tempo.points, notation.tempo.points[1:], strict=False):
        if abs(seconds + (after[0] - beat) * 60 / bpm - after[1]) > 1e-6:
            yield Violation("tempo", f"the map breaks at beat {after[0]:g}")
    ring = notation.seconds - notation.tempo.seconds(notation.chords[-1].start)
    if ring < min(1.2, 0.15 * notation.seconds):
        yield Violation("ring", f"the last chord rings {ring:.2f} s")
    if any(note.start > notation.chords[-1].start + 1e-6 for part in notation.parts for note in part.notes):
        yield Violation("ending", "a note begins behind the last chord")

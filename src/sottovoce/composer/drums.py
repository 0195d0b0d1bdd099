"""The kit: grooves that change a little every two bars, leave things out before edges, and fill into the next section."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from sottovoce.composer.cells import drum_rows, rotation
from sottovoce.composer.form import Bar, Section
from sottovoce.composer.notation import Note
from sottovoce.composer.rng import between, chance, pick, stream, whole
from sottovoce.composer.sketch import Sketch
from sottovoce.composer.style import Player

KICK, SNARE, STICK, HAT, OPEN_HAT, CRASH, BRUSH, LOW_TOM, HIGH_TOM = 36, 38, 37, 42, 46, 49, 40, 45, 48
_SIXTEENTH = 0.25
_LOUDEST = 14


@dataclass(frozen=True)
class Hit:
    """A stroke in a bar: sixteenth, key, velocity."""

    place: int
    key: int
    velocity: int


def write_kit(sketch: Sketch, player: Player) -> list[Note]:
    """All strokes of the kit."""
    plan = sketch.plan
    notes: list[Note] = []
    section: Section | None = None
    grooves: tuple[str, ...] = ()
    last_fill = -1
    for turn, bar in sketch.bars_of(player):
        if turn.section is not section:
            rng = stream(plan.seed, "drums", turn.section.name[0], turn.section.energy)
            section, grooves = turn.section, rotation(player.cells, plan.meter, turn.section.energy * plan.density, rng)
        rng = stream(plan.seed, "drums", bar.start)
        hits = _groove(grooves, bar, turn.section, plan.seed)
        if _fills(plan.style.fills, turn.section, bar, rng):
            last_fill = _other_fill(last_fill, rng)
            hits = _FILLS[last_fill](hits, _places(bar), rng, turn.section.energy)
        elif bar is turn.section.bars[-1] and chance(rng, 0.4):
            hits = [hit for hit in hits if hit.place < _places(bar) - 4]
        if bar.start == turn.start and bar.start > 0 and chance(rng, 0.7):
            hits = [*hits, Hit(0, CRASH, 62)]
        notes += [Note(bar.start + hit.place * _SIXTEENTH, 0.25, hit.key, hit.velocity) for hit in _once(hits)]
    return [*notes, *_accents(sketch, notes), *_last(sketch, player)]


def _places(bar: Bar) -> int:
    return round(bar.beats / _SIXTEENTH)


def _groove(grooves: tuple[str, ...], bar: Bar, section: Section, seed: int) -> list[Hit]:
    """The bar's cell with what changes: every two bars another small change, in quiet sections fewer hats."""
    rows = drum_rows(grooves[bar.place % len(grooves)])
    hits = [
        Hit(place, key, int(mark) * _LOUDEST)
        for key, marks in rows
        for place in range(_places(bar))
        if (mark := marks[place % len(marks)]) != "."
    ]
    rng = stream(seed, "drum change", section.name, bar.place // 2, section.start)
    change = pick(rng, _CHANGES, _CHANGE_WEIGHTS)
    hits = change(hits, rng) if bar.place % 2 else hits
    return _with_ghosts(hits, stream(seed, "ghosts", bar.start))


def _anticipated(hits: list[Hit], rng: Random) -> list[Hit]:
    """A kick before the next beat."""
    place = pick(rng, (3, 7, 9, 11, 14))
    return [*hits, Hit(place, KICK, whole(rng, 58, 78))]


def _opened(hits: list[Hit], rng: Random) -> list[Hit]:
    """One late hat rings."""
    late = [hit for hit in hits if hit.key == HAT and hit.place >= 6 and hit.place % 4 == 2]
    if not late:
        return _thinner(hits, rng)
    chosen = pick(rng, late)
    return [Hit(hit.place, OPEN_HAT, hit.velocity) if hit is chosen else hit for hit in hits]


def _thinner(hits: list[Hit], rng: Random) -> list[Hit]:
    """One off-beat stroke is left out."""
    able = [hit for hit in hits if hit.place % 4]
    if not able:
        return _anticipated(hits, rng)
    gone = pick(rng, able)
    return [hit for hit in hits if hit is not gone]


def _doubled(hits: list[Hit], rng: Random) -> list[Hit]:
    """A hat or shaker gets a soft neighbour."""
    able = [hit for hit in hits if hit.key not in (KICK, SNARE, CRASH)]
    if not able:
        return _anticipated(hits, rng)
    near = pick(rng, able)
    return [*hits, Hit(near.place + 1, near.key, max(20, near.velocity // 2))]


_CHANGES: tuple[Callable[[list[Hit], Random], list[Hit]], ...] = (_anticipated, _opened, _thinner, _doubled)
_CHANGE_WEIGHTS = (0.3, 0.25, 0.25, 0.2)


def _with_ghosts(hits: list[Hit], rng: Random) -> list[Hit]:
    """A very soft snare on the sixteenth beside a backbeat, now and then."""
    backbeats = [hit for hit in hits if hit.key == SNARE and hit.velocity > 60]
    if not backbeats or not chance(rng, 0.3):
        return hits
    place = pick(rng, backbeats).place + pick(rng, (-1, 3, 1))
    return [*hits, Hit(place, SNARE, whole(rng, 20, 34))] if place > 0 else hits


def _fills(likelihood: float, section: Section, bar: Bar, rng: Random) -> bool:
    """Fills stand at the end of sections and of each eight bars, seldom of each four."""
    roll = rng.random()
    if bar is section.bars[-1] or (bar.place % 8 == 7):
        return roll < likelihood
    return bar.place % 4 == 3 and roll < likelihood * 0.4


def _other_fill(last: int, rng: Random) -> int:
    """A fill that is not the last one."""
    return pick(rng, [index for index in range(len(_FILLS)) if index != last])


def _tail(hits: list[Hit], start: int) -> list[Hit]:
    """What stays of a bar before a fill; the kick goes on underneath."""
    return [hit for hit in hits if hit.place < start or (hit.key == KICK and hit.place % 4 == 0)]


def _snare_fill(hits: list[Hit], places: int, rng: Random, energy: float) -> list[Hit]:
    """Snare strokes that grow."""
    start = places - (4 if energy < 0.75 else 6)
    strokes = [place for place in range(max(0, start), places) if place % 2 == 0 or chance(rng, 0.35 + 0.4 * energy)]
    return [*_tail(hits, start), *(Hit(p, SNARE, 44 + 8 * i + whole(rng, -5, 5)) for i, p in enumerate(strokes))]


def _tom_fill(hits: list[Hit], places: int, rng: Random, energy: float) -> list[Hit]:
    """Toms falling."""
    start = places - 4
    keys = (HIGH_TOM, HIGH_TOM, LOW_TOM, LOW_TOM)
    strokes = [
        (place, keys[place - start])
        for place in range(start, places)
        if place % 2 == 0 or chance(rng, 0.3 + 0.4 * energy)
    ]
    return [*_tail(hits, start), *(Hit(place, key, 60 + whole(rng, -6, 10)) for place, key in strokes)]


def _stick_fill(hits: list[Hit], places: int, rng: Random, energy: float) -> list[Hit]:
    """A broken figure of rim and kick."""
    start = places - 6
    pattern = pick(rng, ((0, 3, 5), (0, 2, 5), (1, 3, 4)))
    soft = round(50 + 20 * energy)
    figure = [
        Hit(max(0, start + place), STICK if i % 2 == 0 else KICK, soft + 4 * i) for i, place in enumerate(pattern)
    ]
    return [*_tail(hits, start), *figure]


def _flam_fill(hits: list[Hit], places: int, rng: Random, energy: float) -> list[Hit]:
    """One stroke with a grace before it, then an open hat."""
    start = places - 4
    loud = round(between(rng, 66, 84) * (0.8 + 0.2 * energy))
    return [*_tail(hits, start), Hit(start + 1, SNARE, 30), Hit(start + 2, SNARE, loud), Hit(start + 3, OPEN_HAT, 56)]


def _stop(hits: list[Hit], places: int, rng: Random, energy: float) -> list[Hit]:
    """A beat of nothing."""
    kept = [hit for hit in hits if hit.place < places - 4]
    return [*kept, Hit(places - 1, SNARE, whole(rng, 40, 60))] if energy > 0.7 else kept


_FILLS: tuple[Callable[[list[Hit], int, Random, float], list[Hit]], ...] = (
    _snare_fill,
    _tom_fill,
    _stick_fill,
    _flam_fill,
    _stop,
)


def _once(hits: list[Hit]) -> list[Hit]:
    """Every drum at most once in a place, the loudest stroke; hats do not sound with the open one."""
    loudest: dict[tuple[int, int], Hit] = {}
    for hit in hits:
        key = (hit.place, hit.key)
        if key not in loudest or hit.velocity > loudest[key].velocity:
            loudest[key] = hit
    opened = {place for place, key in loudest if key == OPEN_HAT}
    kept = [hit for hit in loudest.values() if not (hit.key == HAT and hit.place in opened)]
    return sorted(kept, key=lambda hit: (hit.place, hit.key))


def _accents(sketch: Sketch, notes: list[Note]) -> list[Note]:
    """A soft cymbal on cuts that no section meets."""
    struck = {note.start for note in notes if note.pitch == CRASH}
    playing = {round(note.start) for note in notes}
    beats = [beat for beat in sketch.form.accents if beat < sketch.form.final and beat not in struck]
    return [Note(beat, 0.5, CRASH, 58) for beat in beats if round(beat) in playing]


def _last(sketch: Sketch, player: Player) -> list[Note]:
    """Kick and a soft cymbal under the last chord."""
    if not sketch.ends(player):
        return []
    return [Note(sketch.form.final, 0.5, KICK, 78), Note(sketch.form.final, 1.0, CRASH, 52)]

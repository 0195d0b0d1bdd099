from __future__ import annotations

import itertools

import pytest

from sottovoce.composer.brief import Brief
from sottovoce.composer.cells import rhythm
from sottovoce.composer.compose import compose
from sottovoce.composer.line import Wish, best_line
from sottovoce.composer.motif import developed, fragment, invent, inverted, ornamented, sequence, thinned
from sottovoce.composer.notation import Note
from sottovoce.composer.rng import stream
from sottovoce.composer.theory import scale

MAJOR = scale("ionian", 0)
CHORD = frozenset({0, 4, 7})


def wish(target: float, *, strong: bool = False, goals: frozenset[int] = frozenset()) -> Wish:
    return Wish(target, MAJOR, CHORD, frozenset({5, 11, 3, 1, 8, 6}), 48, strong=strong, goals=goals)


def test_a_line_stays_in_the_scale_and_follows_its_contour() -> None:
    line = best_line([wish(t) for t in (67, 69, 71, 74, 72, 71, 69, 67)], 60, 84)
    assert all(pitch % 12 in MAJOR for pitch in line)
    assert max(line) == max(line[2:5])
    assert sum(abs(b - a) <= 2 for a, b in itertools.pairwise(line)) >= 4


def test_strong_notes_do_not_rub() -> None:
    line = best_line([wish(t, strong=True) for t in (65, 71, 77)], 60, 84)
    assert not {pitch % 12 for pitch in line} & {5, 11}


def test_goals_are_reached() -> None:
    line = best_line([wish(69), wish(70), wish(71, strong=True, goals=frozenset({0}))], 60, 84)
    assert line[-1] % 12 == 0


def test_the_peak_is_single() -> None:
    line = best_line([wish(t) for t in (67, 72, 67, 72, 67, 72, 67)], 60, 84, peak=3)
    assert line[3] == max(line)
    assert line.count(max(line)) == 1


def test_no_pitch_is_hammered() -> None:
    line = best_line([wish(67)] * 12, 60, 84)
    assert all(len({*line[i : i + 4]}) > 1 for i in range(len(line) - 3))


def test_motifs_develop_and_stay_recognisable() -> None:
    rng = stream(4, "motif")
    theme = invent(rhythm("x---x-x---x-x---|x---x---x-------"), rng, span=4)
    assert theme.places[0] == 0
    assert len(set(theme.places)) >= 3
    assert sequence(theme, rng).rhythm == theme.rhythm
    assert next(a + b for a, b in zip(inverted(theme, rng).places, theme.places, strict=True)) in (0, 2)
    assert len(ornamented(theme, rng).rhythm) == len(theme.rhythm) + 1
    assert len(thinned(theme, rng).rhythm) == len(theme.rhythm) - 1
    assert len(fragment(theme, rng).rhythm) >= 4
    changed = [developed(theme, stream(seed, "ways")) for seed in range(20)]
    assert sum(motif != theme for motif in changed) >= 18


def lead_of(words: str, seed: int, seconds: float = 60) -> tuple[list[Note], float]:
    piece = compose(Brief(words, seconds, seed))
    leads = {player.name for player in piece.plan.cast if player.role == "lead"}
    notes = [note for part in piece.notation.parts if part.name in leads for note in part.notes]
    return notes, piece.notation.beats_per_bar


def onsets_by_bar(notes: list[Note], bar: float) -> dict[int, tuple[float, ...]]:
    bars: dict[int, tuple[float, ...]] = {}
    for note in notes:
        index, place = divmod(note.start + 1e-6, bar)
        bars[int(index)] = (*bars.get(int(index), ()), round(place, 1))
    return bars


@pytest.mark.parametrize("seed", range(8))
def test_rhythms_come_back_but_bars_are_not_copied(seed: int) -> None:
    notes, bar = lead_of("lofi", seed, 90)
    rhythms = list(onsets_by_bar(notes, bar).values())
    assert len(set(rhythms)) < len(rhythms)
    pitches = [
        tuple(n.pitch for n in notes if int((n.start + 1e-6) // bar) == index) for index in onsets_by_bar(notes, bar)
    ]
    assert len(set(pitches)) >= 0.6 * len(pitches)


@pytest.mark.parametrize("style", ["lofi", "ambient"])
def test_the_lead_waits_for_its_section_and_rests(style: str) -> None:
    shares = []
    for seed in range(12):
        notes, bar = lead_of(style, seed)
        assert notes[0].start >= bar
        shares.append(len(onsets_by_bar(notes, bar)) / (notes[-1].start // bar + 1))
    assert max(shares) <= 0.9
    assert sum(shares) / len(shares) <= 0.76

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from itertools import combinations

import pytest

from sottovoce.composer.brief import Brief
from sottovoce.composer.check import check
from sottovoce.composer.compose import Piece, compose
from sottovoce.composer.guests import GUESTS
from sottovoce.composer.midi import PROGRAMS
from sottovoce.composer.stylebook import stylebook
from sottovoce.moods import MOODS
from sottovoce.synth.instruments import INSTRUMENTS
from sottovoce.synth.noise import TEXTURES

STYLES = ("lofi", "ambient", "piano")


@pytest.mark.long
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("seconds", [14, 30, 60, 181.7])
def test_all_checks_hold_over_many_seeds(style: str, seconds: float) -> None:
    for seed in range(10):
        mood = f" {MOODS[seed]}" if seed % 2 else ""
        assert check(compose(Brief(style + mood, seconds, seed))) == ()


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("meter", ["2/4", "3/4", "4/4", "6/8"])
def test_every_meter_in_every_style(style: str, meter: str) -> None:
    for seed in range(4):
        piece = compose(Brief(style, 45, seed, time_signature=meter))
        assert piece.notation.time_signature == meter
        assert piece.notation.beats_per_bar == {"2/4": 2, "3/4": 3, "4/4": 4, "6/8": 3}[meter]
        assert check(piece) == ()


@pytest.mark.parametrize("mood", MOODS)
def test_every_mood_passes(mood: str) -> None:
    for style in STYLES:
        assert check(compose(Brief(style, 40, 9, mood=mood))) == ()


@pytest.mark.parametrize("seconds", [5, 6.2, 8.99])
@pytest.mark.parametrize("style", STYLES)
def test_a_gesture_has_an_end(style: str, seconds: float) -> None:
    for seed in range(6):
        piece = compose(Brief(style, seconds, seed))
        rules = {violation.rule for violation in check(piece)}
        assert not rules & {"ending", "cadence", "opening", "ring", "tempo", "range", "scale"}


def test_extreme_tempi_are_felt_at_half_or_double() -> None:
    for bpm, meter in ((30, "4/4"), (300, "4/4"), (300, "6/8"), (30, "3/4")):
        piece = compose(Brief("lofi", 30, 2, bpm=bpm, time_signature=meter))
        pulse = 1.5 if meter == "6/8" else 1.0
        assert piece.notation.tempo.points[0][2] / pulse == pytest.approx(bpm)
        assert piece.plan.feel != 1


def cells(piece: Piece) -> set[tuple[object, ...]]:
    """What happens in each bar: chords and the lead's pitches."""
    bars: dict[int, list[object]] = defaultdict(list)
    bar = piece.notation.beats_per_bar * piece.plan.feel
    for span in piece.notation.chords:
        bars[int(span.start // bar)].append(((span.root - piece.plan.key.root) % 12, span.quality))
    for part in piece.notation.parts:
        if part.stem == "melody":
            for note in part.notes:
                bars[int(note.start // bar)].append((round(note.start % bar, 2), note.pitch))
    return {(index, *map(str, found)) for index, found in bars.items()}


def test_seeds_differ_much() -> None:
    pieces = [cells(compose(Brief("lofi", 40, seed))) for seed in range(10)]
    for one, other in combinations(pieces, 2):
        assert len(one & other) / max(len(one), len(other)) < 0.65


@pytest.mark.long
def test_the_same_brief_gives_the_same_piece_in_every_process() -> None:
    code = (
        "import hashlib; from sottovoce.composer.brief import Brief; from sottovoce.composer.compose import compose\n"
        "for words in ('lofi', 'ambient', 'piano solo'):\n"
        "    print(hashlib.sha256(repr(compose(Brief(words, 33.3, 5)).notation).encode()).hexdigest())"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(answers) == 1


def test_every_instrument_and_bed_of_every_style_is_there() -> None:
    players = [player for style in stylebook().values() for player in style.players] + list(GUESTS.values())
    names = {name for player in players for name, _ in player.instruments}
    assert names <= set(INSTRUMENTS)
    assert {name for name in names if not name.startswith("drum_kit")} <= set(PROGRAMS)
    assert {kind for style in stylebook().values() for kind, _ in style.textures} <= set(TEXTURES)


def test_sections_name_the_parts_that_play() -> None:
    piece = compose(Brief("lofi", 60, 4))
    by_name = {part.name: part for part in piece.notation.parts}
    for section in piece.notation.sections:
        for name in section.parts:
            if name in ("keys", "bass", "drums"):
                end = section.start + section.length
                assert any(section.start - 0.01 <= note.start < end for note in by_name[name].notes)


def test_titles_are_short_and_differ() -> None:
    titles = [compose(Brief("rainy night lofi", 10, seed)).title for seed in range(30)]
    assert all(2 <= len(title.split()) <= 6 for title in titles)
    assert len(set(titles)) >= 12


def test_cuts_are_counted_in_the_notes() -> None:
    piece = compose(Brief("lofi", 40, 1, cues=(9.1, 17.7, 26.0)))
    assert any("cuts begin a section" in note for note in piece.notes)

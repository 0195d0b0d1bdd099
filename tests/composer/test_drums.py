from __future__ import annotations

import pytest

from sottovoce.composer.brief import Brief
from sottovoce.composer.check import drum_bars
from sottovoce.composer.compose import Piece, compose

KICK, CLOSED, OPEN = 36, 42, 46


def edges(piece: Piece) -> list[int]:
    """Index of the last bar before each edge at which the kit plays on both sides or leaves."""
    bar = piece.notation.beats_per_bar * piece.plan.feel
    return [
        round(section.start / bar) - 1
        for section, before in zip(piece.notation.sections[1:], piece.notation.sections, strict=False)
        if "drums" in before.parts
    ]


@pytest.mark.parametrize("meter", ["3/4", "4/4", "6/8"])
def test_bars_change_and_are_never_the_same_five_times(meter: str) -> None:
    for seed in range(8):
        bars = [bar for bar in drum_bars(compose(Brief("lofi", 90, seed, time_signature=meter))) if bar]
        assert all(len(set(bars[i : i + 5])) > 1 for i in range(len(bars) - 4))
        assert len(set(bars)) >= 5


def test_edges_are_marked_and_fills_differ() -> None:
    marked = total = 0
    for seed in range(12):
        piece = compose(Brief("lofi", 120, seed))
        bars = drum_bars(piece)
        for edge in edges(piece):
            total += 1
            marked += bars[edge] != bars[edge - 1]
    assert total > 40
    assert marked / total >= 0.7


def test_open_and_closed_hats_do_not_sound_together() -> None:
    for seed in range(6):
        for bar in drum_bars(compose(Brief("lofi energetic", 60, seed))):
            opened = {place for place, key in bar if key == OPEN}
            assert not opened & {place for place, key in bar if key == CLOSED}


def test_the_kit_leaves_the_edges_of_a_piece_alone() -> None:
    for seed in range(6):
        piece = compose(Brief("lofi", 90, seed))
        assert "drums" not in piece.notation.sections[0].parts
        assert any(any(key == KICK for _, key in bar) for bar in drum_bars(piece))

from __future__ import annotations

from fractions import Fraction

import numpy as np

from sottovoce.media.timeline import Clock, Piece, aligned, without_padding

RATE = 1000


def piece(at: float | None, frames: int = 100, *, value: float = 1.0, lasts: float | None = None) -> Piece:
    return Piece(
        np.full((1, frames), value, np.float32),
        None if at is None else Fraction(at).limit_denominator(10**6),
        None if lasts is None else Fraction(lasts).limit_denominator(10**6),
    )


def joined(pieces: list[Piece], *, zero: float = 0.0, end: float | None = None) -> np.ndarray:
    clock = Clock(Fraction(zero).limit_denominator(10**6), None if end is None else Fraction(end), RATE)
    return np.asarray(np.concatenate([np.zeros((1, 0), np.float32), *aligned(pieces, clock)], axis=1)[0])


def test_what_follows_follows() -> None:
    assert np.array_equal(joined([piece(0.0), piece(0.1), piece(None)]), np.ones(300))


def test_a_gap_is_as_long_as_the_clock_says() -> None:
    heard = joined([piece(0.0), piece(0.35), piece(0.45)])
    assert heard.size == 550
    assert np.flatnonzero(heard == 0).tolist() == list(range(100, 350))


def test_jitter_below_forty_milliseconds_is_let_be_but_does_not_add_up() -> None:
    # Each piece comes 10 ms later than the last one ended: the fifth offset would be 50 ms.
    heard = joined([piece(0.11 * index) for index in range(6)])
    assert heard.size == 5 * 110 + 100
    assert (heard == 0).sum() == 50


def test_the_start_is_exact() -> None:
    assert joined([piece(0.007)]).size == 107
    assert joined([piece(-0.007)]).size == 93
    assert joined([piece(1.0), piece(1.1), piece(1.2)], zero=1.15).size == 150


def test_an_overlap_is_heard_once() -> None:
    heard = joined([piece(0.0, value=1), piece(0.05, value=2), piece(0.15, value=3)])
    assert heard.tolist() == [1] * 100 + [2] * 50 + [3] * 100


def test_damaged_instants_are_ignored() -> None:
    assert joined([piece(0.0), piece(900.0), piece(900.1)]).size == 300
    assert joined([piece(0.0), piece(5.0)], end=0.3).size == 200
    assert joined([piece(50.0), piece(50.1), piece(2.0), piece(2.1)], zero=50.0).size == 400


def test_padding_is_left_out_of_the_last_piece_only() -> None:
    pieces = [piece(0.0, lasts=0.05), piece(0.1, lasts=0.03)]
    assert [kept.samples.shape[1] for kept in without_padding(pieces, Clock(Fraction(0), None, RATE))] == [100, 30]
    pieces = [piece(0.0), piece(0.1)]
    assert [kept.samples.shape[1] for kept in without_padding(pieces, Clock(Fraction(0), Fraction(15, 100), RATE))] == [
        100,
        50,
    ]
    assert list(without_padding([], Clock(Fraction(0), None, RATE))) == []


def test_an_instant_belongs_to_the_nearest_sample_exactly() -> None:
    zero = Fraction(-7, 90_000)
    clock = Clock(zero, Fraction(1, 3), 48_000)
    instants = [Fraction(ticks, 96_000) + zero for ticks in range(-5, 6)] + [
        Fraction(n, 90_000) for n in range(-50, 50)
    ]
    assert [clock.frame_at(at) for at in instants] == [round((at - zero) * 48_000) for at in instants]
    assert clock.last == round((Fraction(1, 3) - zero) * 48_000)

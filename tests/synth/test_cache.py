"""The note cache: one synthesis for equal strikes, bounded memory."""

from __future__ import annotations

import numpy as np

from sottovoce.synth.cache import NoteCache, layered, shared
from sottovoce.synth.instruments import INSTRUMENTS
from sottovoce.synth.strike import Strike


def test_equal_strikes_are_made_once() -> None:
    cache = NoteCache()
    strike = Strike(60, 1.0, 0.5)
    assert cache.sound("felt_piano", strike) is cache.sound("felt_piano", Strike(60, 1.0, 0.5))
    assert cache.sound("felt_piano", strike) is not cache.sound("grand_piano", strike)


def test_the_cache_forgets_what_was_not_used_longest() -> None:
    strikes = [Strike(pitch, 0.5, 0.5) for pitch in range(48, 54)]
    small = NoteCache(most=1)
    first = small.sound("kalimba", strikes[0])
    for strike in strikes[1:]:
        small.sound("kalimba", strike)
    again = small.sound("kalimba", strikes[0])
    assert again is not first
    assert np.array_equal(again, first)


def test_silence_after_a_sound_is_not_kept() -> None:
    assert NoteCache().sound("muted_guitar", Strike(60, 20.0, 0.5)).shape[1] < 4 * 48_000


def test_strikes_of_one_size_share_the_longest() -> None:
    strikes = [Strike(60, length, 0.5) for length in (1.2, 2.0, 2.9, 0.4, 7.0)] + [Strike(61, 1.5, 0.5)]
    assert [strike.seconds for strike in shared(strikes)] == [2.9, 2.9, 2.9, 0.4, 7.0, 1.5]


def test_velocities_fall_on_layers() -> None:
    assert layered(Strike(60, 1, 0.61), 8).velocity == 5 / 8
    assert layered(Strike(60, 1, 0.01), 8).velocity == 1 / 8


def test_every_instrument_can_be_cached() -> None:
    cache = NoteCache()
    for name in INSTRUMENTS:
        made = cache.sound(name, Strike(45, 0.5, 0.5))
        assert made.ndim == 2
        assert made.dtype == np.float32

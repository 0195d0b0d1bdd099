from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.dsp.ducking import STEP_ASIDE, Beside, Cause, Ducking, GainCurve, depth_of, dips_of, gain_curve, shared

RATE = 1000
DUCKING = Ducking(depth=depth_of(6))


def decibels(causes: list[Cause], seconds: float = 20, ducking: Ducking = DUCKING) -> np.ndarray:
    block = gain_curve(causes, ducking).block(0, round(seconds * RATE), RATE)
    return 20 * np.log10(block.astype(np.float64))


@pytest.mark.parametrize(("ratio", "depth"), [(1, 0), (3, 9.54), (6, 15.56), (20, 26.02)])
def test_depth_is_the_ratio_in_decibels(ratio: float, depth: float) -> None:
    assert depth_of(ratio) == pytest.approx(depth, abs=0.01)


def test_music_is_fully_down_before_the_first_syllable_until_the_last() -> None:
    gain = decibels([Cause("speech", 5, 8)])
    assert gain[round(4.92 * RATE) : 8 * RATE] == pytest.approx(-15.56, abs=0.01)


def test_music_is_back_within_the_release_time_and_untouched_before_the_fall() -> None:
    gain = decibels([Cause("speech", 5, 8)])
    assert gain[: round((5 - DUCKING.look_ahead - DUCKING.attack) * RATE)] == pytest.approx(0)
    assert gain[round((8 + DUCKING.release) * RATE) + 1 :] == pytest.approx(0)


def test_the_curve_has_no_corner() -> None:
    step = np.diff(decibels([Cause("speech", 5, 8), Cause("sound", 12, 12.2)]))
    assert np.abs(step).max() < 1.6 * DUCKING.depth / (DUCKING.attack * RATE)
    assert np.abs(np.diff(step)).max() < 0.01


def test_short_pauses_are_held_and_long_ones_let_the_music_return() -> None:
    gain = decibels([Cause("speech", 3, 5), Cause("sound", 6.4, 7), Cause("speech", 11, 12)])
    assert gain[3 * RATE : 7 * RATE] == pytest.approx(-15.56, abs=0.01)
    assert gain[9 * RATE] == pytest.approx(0)


def test_each_dip_says_what_caused_it() -> None:
    speech, sound, later = Cause("speech", 3, 5), Cause("sound", 5.5, 6, rms=0.1), Cause("sound", 12, 13)
    first, second = dips_of([sound, later, speech], DUCKING)
    assert first.causes == (speech, sound)
    assert second.causes == (later,)


def test_the_soundtrack_steps_further_aside_for_the_clips_own_music() -> None:
    gain = decibels([Cause("clip music", 6, 14), Cause("speech", 7, 8)])
    assert gain[6 * RATE : 14 * RATE] == pytest.approx(-STEP_ASIDE.depth, abs=0.01)


def test_a_ratio_of_one_ducks_nothing() -> None:
    assert decibels([Cause("speech", 5, 8)], ducking=Ducking(depth_of(1))) == pytest.approx(0)


def test_speech_from_the_first_sample_finds_the_music_down() -> None:
    assert decibels([Cause("speech", 0, 2)])[0] == pytest.approx(-15.56, abs=0.01)


def test_seconds_lowered() -> None:
    assert gain_curve([Cause("speech", 5, 8)], DUCKING).lowered(20) == pytest.approx(4.2, abs=0.3)
    assert gain_curve([], DUCKING).lowered(20) == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 19), st.floats(0.05, 5)), max_size=8), st.integers(100, 5000))
def test_blocks_are_cuts_of_one_curve(found: list[tuple[float, float]], size: int) -> None:
    curve = gain_curve([Cause("speech", start, start + length) for start, length in found], DUCKING)
    whole = curve.block(0, 20 * RATE, RATE)
    pieces = [curve.block(first, min(size, 20 * RATE - first), RATE) for first in range(0, 20 * RATE, size)]
    assert np.array_equal(np.concatenate(pieces), whole)
    assert whole.max() <= 1
    assert whole.min() >= 10 ** (-DUCKING.depth / 20) - 1e-6


@pytest.mark.parametrize(
    ("ratio", "share", "expected"), [(6, 1, 6), (6, 0.7, 4.2), (6, 0, 1), (1.2, 0.7, 1), (1, 1, 1)]
)
def test_a_part_takes_its_share_of_the_ratio_and_is_never_raised(ratio: float, share: float, expected: float) -> None:
    part = shared(Ducking(depth_of(ratio), attack=0.4), share)
    assert part.depth == pytest.approx(depth_of(expected), abs=1e-9)
    assert part.attack == 0.4


def test_a_part_beside_the_whole_it_is_in_moves_by_its_own_curve() -> None:
    causes = [Cause("speech", 2, 4)]
    own, whole = gain_curve(causes, DUCKING), gain_curve(causes, shared(DUCKING, 0.5))
    both = Beside(own, whole).block(0, 6 * RATE, RATE) + whole.block(0, 6 * RATE, RATE)
    assert both == pytest.approx(own.block(0, 6 * RATE, RATE), abs=1e-6)
    assert not Beside(GainCurve(), GainCurve()).block(0, RATE, RATE).any()

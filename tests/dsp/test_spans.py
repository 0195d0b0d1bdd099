from __future__ import annotations

import numpy as np
import pytest

from sottovoce.dsp import spans


def test_where_and_within_are_each_others_inverse() -> None:
    active = np.array([False, True, True, False, True])
    found = spans.where(active, 0.5)
    assert found == ((0.5, 1.5), (2.0, 2.5))
    assert np.array_equal(spans.within(found, 5, 0.5), active)


def test_bridge_fills_short_pauses_only() -> None:
    assert spans.bridge([(3, 4), (0, 1), (1.4, 2)], 0.5) == ((0, 2), (3, 4))


def test_pad_stays_within_the_clip_and_joins_what_meets() -> None:
    assert spans.pad([(0.1, 1), (1.2, 2)], 0.2, 0.2, end=2.1) == ((0, 2.1),)


def test_hysteresis_keeps_runs_that_somewhere_reach_the_upper_threshold() -> None:
    values = np.array([0, 0.4, 0.6, 0.4, 0, 0.4, 0.4, 0])
    assert spans.hysteresis(values, 0.5, 0.3, 1.0) == ((1, 4),)


def test_without_cuts_holes() -> None:
    assert spans.without([(0, 10)], [(2, 3), (9, 12)]) == ((0, 2), (3, 9))


def test_total_counts_overlaps_once() -> None:
    assert spans.total([(0, 2), (1, 3), (5, 6)]) == pytest.approx(4)

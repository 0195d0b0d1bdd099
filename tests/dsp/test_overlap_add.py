"""Chunks that make up the whole again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.dsp.overlap_add import Grid, OverlapAdd, Window, triangle


@settings(max_examples=60, deadline=None)
@given(
    frames=st.integers(1, 500),
    segment=st.integers(2, 90),
    overlap=st.floats(0, 0.95),
    start=st.integers(-20, 0),
)
def test_shares_of_all_chunks_add_up_to_one(frames: int, segment: int, overlap: float, start: int) -> None:
    grid = Grid(start, frames - start, segment, max(1, int((1 - overlap) * segment)))
    sums = OverlapAdd(())
    for chunk in grid.chunks():
        sums.add(chunk.start, grid.share(chunk))
    np.testing.assert_allclose(sums.take(frames), 1, atol=1e-6)


@pytest.mark.parametrize("frames", [1, 2, 7, 8])
def test_a_triangle_peaks_in_the_middle_and_is_nowhere_zero(frames: int) -> None:
    window = triangle(frames)
    assert len(window) == frames
    assert window.max() == 1
    assert window.min() > 0


def test_what_is_taken_is_forgotten_and_what_comes_too_late_is_dropped() -> None:
    sums = OverlapAdd((2,))
    sums.add(-1, np.ones((2, 4), np.float32))
    np.testing.assert_array_equal(sums.take(2), np.ones((2, 2)))
    sums.add(0, np.ones((2, 4), np.float32))
    np.testing.assert_array_equal(sums.take(5), [[2, 1, 0]] * 2)


def test_a_window_reads_back_and_ahead_with_silence_outside() -> None:
    whole = np.arange(1, 21, dtype=np.float32).reshape(1, 20)
    window = Window((whole[:, first : first + 3] for first in range(0, 20, 3)), 1, 20)
    np.testing.assert_array_equal(window.read(-2, 5)[0], [0, 0, 1, 2, 3])
    window.forget(1)
    np.testing.assert_array_equal(window.read(1, 4)[0], [2, 3, 4, 5])
    window.forget(15)
    np.testing.assert_array_equal(window.read(16, 8)[0], [17, 18, 19, 20, 0, 0, 0, 0])

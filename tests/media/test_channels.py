from __future__ import annotations

import numpy as np
import pytest

from sottovoce.errors import InvalidParameter
from sottovoce.media.channels import Mixer, unnamed


def test_the_same_number_is_left_alone() -> None:
    block = np.ones((3, 4), np.float32)
    assert Mixer(unnamed(3), 3).mix(block) is block


@pytest.mark.parametrize("speakers", range(1, 20))
def test_any_number_folds(speakers: int) -> None:
    block = np.ones((speakers, 4), np.float32)
    for channels in (1, 2):
        mixed = Mixer(unnamed(speakers), channels).mix(block)
        assert mixed.shape == (channels, 4)
        assert mixed.dtype == np.float32
        assert np.all(mixed > 0)


def test_names_count_where_there_are_some() -> None:
    side = np.array([[0], [0], [0], [0], [1], [0]], np.float32)
    front = Mixer(("FR", "FL", "FC", "LFE", "SL", "SR"), 2)
    assert front.mix(side)[:, 0] == pytest.approx([0.7071, 0], abs=1e-4)
    assert front.mix(np.eye(6, dtype=np.float32)[:, :1])[:, 0] == pytest.approx([0, 1])


def test_only_mono_and_stereo_are_made() -> None:
    with pytest.raises(InvalidParameter, match="become 1 or 2"):
        Mixer(unnamed(2), 6)

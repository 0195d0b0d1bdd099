from __future__ import annotations

import io

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from sottovoce.media.jpeg import jpeg


def shown(data: bytes) -> NDArray[np.uint8]:
    with av.open(io.BytesIO(data), "r") as container:
        return np.asarray(next(container.decode(video=0)).to_ndarray(format="rgb24"), np.uint8)


@pytest.mark.parametrize("shape", [(36, 64), (301, 601), (1, 1), (900, 3), (2, 1400)])
def test_a_picture_keeps_its_colours_and_shape_up_to_the_widest(shape: tuple[int, int]) -> None:
    pixels = np.tile(np.array((200, 60, 30), np.uint8), (*shape, 1))
    data = jpeg(pixels)
    assert data[:2] == b"\xff\xd8"
    seen, share = shown(data), min(1.0, 512 / shape[1])
    assert seen.shape == (max(1, round(shape[0] * share)), max(1, round(shape[1] * share)), 3)
    assert np.abs(seen.astype(int) - (200, 60, 30)).max() <= 6


def test_the_same_picture_gives_the_same_bytes() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8)
    assert jpeg(pixels) == jpeg(pixels)

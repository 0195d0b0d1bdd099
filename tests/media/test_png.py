from __future__ import annotations

import io

import av
import numpy as np
import pytest

from sottovoce.media.png import png


@pytest.mark.parametrize("shape", [(1, 1), (32, 64), (33, 67), (3, 900)])
def test_every_pixel_comes_back(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    data = png(pixels)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    with av.open(io.BytesIO(data), "r") as container:
        seen = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert np.array_equal(seen, pixels)
    assert png(pixels) == data

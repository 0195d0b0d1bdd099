"""Colours go from dark to light without a step back."""

from __future__ import annotations

import numpy as np

from sottovoce.dsp.palette import coloured


def test_what_is_louder_is_lighter() -> None:
    pixels = coloured(np.linspace(0, 1, 256, dtype=np.float32)[None])
    assert pixels.shape == (1, 256, 3)
    luma = pixels[0] / 255.0 @ (0.2126, 0.7152, 0.0722)
    assert luma[0] < 0.05
    assert luma[-1] > 0.9
    assert (np.diff(luma) >= 0).all()


def test_neighbours_are_nearly_alike() -> None:
    pixels = coloured(np.linspace(0, 1, 256, dtype=np.float32)[None])[0].astype(int)
    assert np.abs(np.diff(pixels, axis=0)).max() <= 8

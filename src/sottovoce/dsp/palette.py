"""Palette: levels as colours from dark to light, in steps that look equally large."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

#: Lightness 0-1, chroma and hue in degrees of Oklab (Ottosson 2020), evenly far apart: night blue, violet, rose, amber, cream.
_STOPS = ((0.14, 0.03, 275), (0.34, 0.13, 290), (0.54, 0.18, 345), (0.75, 0.15, 55), (0.96, 0.06, 95))
_COLOURS = 1024
_TO_CONES = np.array(
    [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
)
_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def coloured(levels: Floats) -> NDArray[np.uint8]:
    """Levels 0 to 1 [height, width] as RGB pixels [height, width, 3]."""
    found: NDArray[np.uint8] = _colours()[np.rint(levels * (_COLOURS - 1)).astype(int)]
    return found


@cache
def _colours() -> NDArray[np.uint8]:
    """The colours from dark to light, sRGB [colours, 3]."""
    lightness, chroma, hue = np.array(_STOPS).T
    angle = np.radians(hue)
    stops = np.stack([lightness, chroma * np.cos(angle), chroma * np.sin(angle)], axis=1)
    at = np.linspace(0, len(stops) - 1, _COLOURS)
    lab = np.stack([np.interp(at, np.arange(len(stops)), column) for column in stops.T], axis=1)
    linear = np.clip((lab @ _TO_CONES.T) ** 3 @ _TO_RGB.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * encoded), np.uint8)

"""A picture as a value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Keyframe:
    """A picture of a video: its time in seconds and RGB pixels, uint8 [height, width, 3]."""

    seconds: float
    pixels: NDArray[np.uint8]

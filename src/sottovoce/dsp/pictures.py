"""What a row of pictures is like: brightness, colour, movement, cuts. Pictures are RGB, uint8 [count, height, width, 3]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.uint8]

#: Rec. 709 luma.
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
#: Pictures further apart than this many seconds say nothing of movement.
_MOVEMENT_STEP = 1.5
#: Two pictures whose colours differ by more than this share are of different shots.
_CUT = 0.35
_BINS = 16


@dataclass(frozen=True)
class Look:
    """Means over all pictures: brightness, saturation and contrast 0-1, warmth -1 (blue) to 1 (orange).

    `motion` is the mean change of brightness per second within shots (0-1; None if the pictures are too far apart),
    `cuts_per_minute` how often the shot changes (None for fewer than two pictures).
    """

    brightness: float
    saturation: float
    contrast: float
    warmth: float
    motion: float | None
    cuts_per_minute: float | None


def look(pictures: Pictures, seconds: NDArray[np.float64]) -> Look:
    """What the pictures taken at rising times in seconds are like."""
    shares = pictures.astype(np.float32) / 255
    luma: NDArray[np.float32] = np.dot(shares, _LUMA)
    high, low = shares.max(axis=3), shares.min(axis=3)
    colour = high - low
    # Saturation as in HSV, but dark pixels, whose hue is noise, count by how bright they are.
    saturation = float(colour.sum() / max(float(high.sum()), 1e-6))
    warmth = (
        float((shares[..., 0] - shares[..., 2]).sum() / max(float(colour.sum()), 1e-6)) if saturation > 0.02 else 0.0
    )
    steps = np.diff(seconds)
    cut = _colour_change(pictures) > _CUT
    return Look(
        brightness=float(luma.mean()),
        saturation=saturation,
        contrast=float(luma.std(axis=(1, 2)).mean()),
        warmth=float(np.clip(warmth, -1, 1)),
        motion=_motion(luma, steps, cut),
        cuts_per_minute=float(60 * cut.sum() / steps.sum()) if len(steps) else None,
    )


def _motion(luma: NDArray[np.float32], steps: NDArray[np.float64], cut: NDArray[np.bool_]) -> float | None:
    within = ~cut & (steps <= _MOVEMENT_STEP)
    if not within.any():
        return None
    change = np.abs(np.diff(luma, axis=0)).mean(axis=(1, 2))
    return float(np.mean(change[within] / np.maximum(steps[within], 1e-3)))


def _colour_change(pictures: Pictures) -> NDArray[np.floating]:
    """Between neighbours, the share of pixels whose colour is not found in the other (mean over the channels)."""
    coarse = (pictures // (256 // _BINS)).reshape(len(pictures), -1, 3)
    histograms = np.stack(
        [[np.bincount(picture[:, channel], minlength=_BINS) for channel in range(3)] for picture in coarse]
    ).astype(np.float32)
    histograms /= coarse.shape[1]
    change: NDArray[np.floating] = np.abs(np.diff(histograms, axis=0)).sum(axis=2).mean(axis=1)
    return change / 2

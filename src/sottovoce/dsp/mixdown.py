"""Putting parts together: sums, gains that move, fades, and any layout as stereo."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sottovoce.audio import Samples
from sottovoce.dsp.levels import amplitude
from sottovoce.errors import InvalidParameter

#: A level in dB, or a curve of linear gains [frames].
Gain = float | Samples

_HALF_POWER = math.sqrt(0.5)
_LEFT, _RIGHT, _BOTH, _NONE = (1.0, 0.0), (0.0, 1.0), (_HALF_POWER, _HALF_POWER), (0.0, 0.0)
_SIDE_LEFT, _SIDE_RIGHT = (_HALF_POWER, 0.0), (0.0, _HALF_POWER)

#: What each channel gives to left and right, by the number of channels (ITU-R BS.775-3 annex 4; the LFE is left out).
_TO_STEREO: dict[int, tuple[tuple[float, float], ...]] = {
    1: ((1.0, 1.0),),
    3: (_LEFT, _RIGHT, _BOTH),
    4: (_LEFT, _RIGHT, _SIDE_LEFT, _SIDE_RIGHT),
    5: (_LEFT, _RIGHT, _BOTH, _SIDE_LEFT, _SIDE_RIGHT),
    6: (_LEFT, _RIGHT, _BOTH, _NONE, _SIDE_LEFT, _SIDE_RIGHT),
    7: (_LEFT, _RIGHT, _BOTH, _NONE, _BOTH, _SIDE_LEFT, _SIDE_RIGHT),
    8: (_LEFT, _RIGHT, _BOTH, _NONE, _SIDE_LEFT, _SIDE_RIGHT, _SIDE_LEFT, _SIDE_RIGHT),
}


def mix(parts: Sequence[tuple[Samples, Gain]]) -> Samples:
    """The sum of parts [channels, frames], each at its gain; as long as the longest, never turned down for their number.

    Mono parts sound on every channel of wider ones. A curve shorter than its part keeps its last value. The sum may
    exceed full scale: limit it afterwards. InvalidParameter for no parts, or for widths that do not fit together.
    """
    if not parts:
        raise InvalidParameter("there is nothing to mix; give at least one part")
    channels = max(samples.shape[0] for samples, _ in parts)
    total = np.zeros((channels, max(samples.shape[1] for samples, _ in parts)), np.float32)
    for samples, gain in parts:
        if samples.shape[0] not in (1, channels):
            raise InvalidParameter(
                f"a part with {samples.shape[0]} channels does not fit into {channels}; make it stereo"
            )
        total[:, : samples.shape[1]] += with_gain(samples, gain)
    return total


def with_gain(samples: Samples, gain: Gain) -> Samples:
    """Samples at a level in dB, or under a curve of linear gains; a curve that is too short keeps its last value."""
    if not isinstance(gain, np.ndarray):
        return samples * np.float32(amplitude(gain))
    missing = samples.shape[1] - len(gain)
    curve = np.pad(gain, (0, missing), mode="edge") if missing > 0 else gain[: samples.shape[1]]
    return samples * curve.astype(np.float32, copy=False)


def to_stereo(samples: Samples) -> Samples:
    """Any layout up to 7.1 as [2, frames]; mono sounds on both sides at its own level, stereo comes back as it is.

    Channels are counted as in WAV files: L R C LFE Ls Rs. A downmix of loud channels may exceed full scale.
    InvalidParameter for a width that has no usual layout.
    """
    if samples.shape[0] == 2:
        return samples
    matrix = _TO_STEREO.get(samples.shape[0])
    if matrix is None:
        raise InvalidParameter(f"{samples.shape[0]} channels are no known layout; there may be 1 to 8")
    return np.asarray(np.array(matrix, np.float32).T @ samples, np.float32)


def fade(samples: Samples, rate: int, fade_in: float, fade_out: float) -> Samples:
    """Samples raised from silence over `fade_in` seconds and back into it over `fade_out`, as half cosines.

    Fades longer than the sound are cut to it; two that overlap multiply.
    """
    faded = samples.copy()
    into, out = (min(round(seconds * rate), samples.shape[1]) for seconds in (fade_in, fade_out))
    faded[:, :into] *= raised_cosine(into)
    faded[:, samples.shape[1] - out :] *= raised_cosine(out)[::-1]
    return faded


def raised_cosine(frames: int) -> Samples:
    """A rise from 0 to 1 over `frames`, both nearly reached, steepest in the middle: [frames]."""
    angle = np.pi * (np.arange(frames) + 0.5) / max(frames, 1)
    return (0.5 - 0.5 * np.cos(angle)).astype(np.float32)

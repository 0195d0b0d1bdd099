"""Putting parts together: sums, gains that move, and fades."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sottovoce.audio import Samples
from sottovoce.dsp.levels import amplitude
from sottovoce.errors import InvalidParameter

#: A level in dB, or a curve of linear gains [frames].
Gain = float | Samples


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

"""Any number of channels for networks that take two: pairs of speakers, and single ones on both sides."""

from __future__ import annotations

import numpy as np

from sottovoce.audio import Samples

#: Which channels belong together, in the order of WAV: front, centre, low frequencies, back, side.
_USUAL: dict[int, tuple[tuple[int, ...], ...]] = {
    3: ((0, 1), (2,)),
    5: ((0, 1), (2,), (3, 4)),
    6: ((0, 1), (2,), (3,), (4, 5)),
    7: ((0, 1), (2,), (3,), (4,), (5, 6)),
    8: ((0, 1), (2,), (3,), (4, 5), (6, 7)),
}


def groups(channels: int) -> tuple[tuple[int, ...], ...]:
    """The channels that go through a network together, one or two each."""
    pairs = tuple(tuple(range(first, min(first + 2, channels))) for first in range(0, channels, 2))
    return _USUAL.get(channels, pairs)


def paired(block: Samples) -> Samples:
    """A block [channels, frames] as stereo groups, one under the other: [2 * groups, frames]; a lone channel stands on both sides."""
    return block[[channel for group in groups(block.shape[0]) for channel in (group[0], group[-1])]]


def unpaired(stems: Samples, channels: int) -> Samples:
    """Stems [groups, stems, 2, frames] as the source's channels [stems, channels, frames]; a lone one is the mean of both sides."""
    out = np.empty((stems.shape[1], channels, stems.shape[3]), np.float32)
    for group, sound in zip(groups(channels), stems, strict=True):
        if len(group) == 2:
            out[:, group] = sound
        else:
            out[:, group[0]] = sound.mean(axis=1)
    return out

"""What the servers of the tests play: a steady pulse of notes that the seed chooses."""

from __future__ import annotations

import numpy as np

from sottovoce.audio import Audio

BPM = 120.0


def tune(seconds: float, rate: int, channels: int, seed: int) -> Audio:
    """Plucked notes, one each half second, as float32 [channels, frames]."""
    draw, step = np.random.default_rng(seed), round(rate * 60 / BPM)
    frames = round(seconds * rate)
    time = np.arange(step) / rate
    notes = 110 * 2 ** (draw.integers(0, 24, 8) / 12)
    pluck = np.exp(-6 * time) * np.minimum(1, time / 0.005)
    bar = np.concatenate([0.4 * pluck * np.sin(2 * np.pi * note * time) for note in notes])
    wave = np.tile(bar, -(-frames // len(bar)))[:frames]
    return Audio(np.stack([wave * (1 - 0.2 * channel) for channel in range(channels)]).astype(np.float32), rate)

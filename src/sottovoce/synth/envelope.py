"""Curves of level over time: attacks, releases, decays; float32, one value a sample at 48 kHz."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sottovoce.audio import DELIVERY_RATE, Samples

Curve = NDArray[np.float32]


@lru_cache(maxsize=256)
def rise(frames: int) -> Curve:
    """A raised cosine from 0 to 1 (do not write to it)."""
    at = (np.arange(frames) + 0.5) / max(frames, 1)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * at), np.float32)


@lru_cache(maxsize=256)
def fall(frames: int) -> Curve:
    """A raised cosine from 1 to 0 (do not write to it)."""
    return np.ascontiguousarray(rise(frames)[::-1])


@lru_cache(maxsize=64)
def damper(frames: int) -> Curve:
    """A felt damper: fast at first, ending in silence (do not write to it)."""
    at = (np.arange(frames) + 0.5) / max(frames, 1)
    return np.asarray(np.exp(-4 * at) * np.cos(0.5 * np.pi * at) ** 2, np.float32)


def seconds(frames: int) -> Curve:
    """The time of every sample."""
    return np.arange(frames, dtype=np.float32) / np.float32(DELIVERY_RATE)


def decay(frames: int, time_constant: float) -> Curve:
    """exp(-t / time_constant)."""
    step = np.exp(-1 / (time_constant * DELIVERY_RATE))
    return np.asarray(step ** np.arange(frames), np.float32)


def soften(samples: Samples, start: float, end: float) -> Samples:
    """The same samples, in place, with raised-cosine ends of that many seconds."""
    head = min(round(start * DELIVERY_RATE), samples.shape[-1])
    tail = min(round(end * DELIVERY_RATE), samples.shape[-1])
    samples[..., :head] *= rise(head)
    samples[..., samples.shape[-1] - tail :] *= fall(tail)
    return samples


def centred(samples: Samples, time_constant: float) -> Samples:
    """The same samples, in place, without offset: what low notes that all begin upwards would add up to is taken away.

    It is taken as a decaying curve, so nothing is heard of it.
    """
    curve = decay(samples.shape[-1], time_constant)
    samples -= samples.sum(axis=-1, keepdims=True) / curve.sum() * curve
    return samples


def at_unit_power(samples: Samples, span: float) -> Samples:
    """The same samples, in place, scaled so that the first `span` seconds have an RMS of one over all channels."""
    head = samples[..., : max(1, round(span * DELIVERY_RATE))]
    power = float(np.mean(np.square(head, dtype=np.float64)))
    samples *= np.float32(1 / np.sqrt(power + 1e-18))
    return samples

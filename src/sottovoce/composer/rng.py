"""Chance for the notes: one stream per concern, and choices that every Python version makes alike.

Python promises the sequence of `random()` for a seed, not that of `choice`, `shuffle` or `gauss`; everything here is built on `random()`.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


def stream(seed: int, *concern: object) -> Random:
    """The stream of one concern (`harmony`, `drums`, 3): the others' draws never move it."""
    return Random("/".join(str(part) for part in (seed, *concern)))


def pick(rng: Random, items: Sequence[T], weights: Sequence[float] | None = None) -> T:
    """One of the items, by weight (all alike without); ValueError when there is none."""
    if not items:
        raise ValueError("there is nothing to pick from")
    if weights is None:
        return items[min(len(items) - 1, int(rng.random() * len(items)))]
    left = rng.random() * sum(weights)
    for item, weight in zip(items, weights, strict=True):
        left -= weight
        if left < 0:
            return item
    return items[-1]


def weighted(rng: Random, pairs: Sequence[tuple[T, float]]) -> T:
    """One of the items of (item, weight) pairs."""
    return pick(rng, [item for item, _ in pairs], [weight for _, weight in pairs])


def chance(rng: Random, probability: float) -> bool:
    """True with a probability of 0-1; always draws once."""
    return rng.random() < probability


def between(rng: Random, low: float, high: float) -> float:
    """A number from `low` to `high`."""
    return low + (high - low) * rng.random()


def whole(rng: Random, low: int, high: int) -> int:
    """A whole number from `low` to `high`, both included."""
    return min(high, low + int(rng.random() * (high - low + 1)))


def normal(rng: Random, sigma: float) -> float:
    """Nearly normal around 0 with deviation `sigma`, within two of them: the sum of four uniform numbers (Irwin-Hall)."""
    total = rng.random() + rng.random() + rng.random() + rng.random() - 2
    return sigma * min(2.0, max(-2.0, total * 1.7320508075688772))

"""Stretches of time: (start, end) pairs in seconds, in rising order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

#: Start and end in seconds.
Span = tuple[float, float]


def where(active: NDArray[np.bool_], hop: float) -> tuple[Span, ...]:
    """The runs of true windows, `hop` seconds each."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], active, [False]])))
    return tuple((float(start * hop), float(end * hop)) for start, end in zip(edges[::2], edges[1::2], strict=True))


def within(spans: Iterable[Span], windows: int, hop: float) -> NDArray[np.bool_]:
    """For each window, whether it begins inside a span: the other way round of `where`."""
    active = np.zeros(windows, np.bool_)
    for start, end in spans:
        active[max(0, round(start / hop)) : max(0, round(end / hop))] = True
    return active


def hysteresis(values: NDArray[np.floating], on: float, off: float, hop: float) -> tuple[Span, ...]:
    """The runs of windows that stay above `off` and somewhere reach `on`."""
    runs = where(values > off, hop)
    return tuple(run for run in runs if values[round(run[0] / hop) : round(run[1] / hop)].max() >= on)


def bridge(spans: Iterable[Span], gap: float) -> tuple[Span, ...]:
    """The spans with every pause up to `gap` seconds filled; overlapping ones become one."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start - merged[-1][1] <= gap:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def pad(spans: Iterable[Span], before: float, after: float, *, end: float) -> tuple[Span, ...]:
    """The spans widened on both sides, kept within 0 and `end`."""
    return bridge(((max(0.0, start - before), min(end, stop + after)) for start, stop in spans), 0.0)


def at_least(spans: Iterable[Span], seconds: float) -> tuple[Span, ...]:
    """The spans that last `seconds` or longer."""
    return tuple(span for span in spans if span[1] - span[0] >= seconds)


def without(spans: Iterable[Span], holes: Sequence[Span]) -> tuple[Span, ...]:
    """What is left of the spans outside the holes."""
    left = list(spans)
    for from_, to in holes:
        left = [
            piece
            for start, end in left
            for piece in ((start, min(end, from_)), (max(start, to), end))
            if piece[1] > piece[0]
        ]
    return tuple(left)


def total(spans: Iterable[Span]) -> float:
    """Their length in seconds, overlaps counted once."""
    return sum(end - start for start, end in bridge(spans, 0.0))

"""The best pitches for a line: a second-order Viterbi search over what melody, harmony and the bass ask of every note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Costs = NDArray[np.float64]

_INTERVALS = {0: 0.9, 1: 0.0, 2: 0.05, 3: 0.45, 4: 0.55, 5: 0.9, 7: 1.2, 8: 4.0, 9: 3.6, 12: 3.6}
_OTHER_INTERVAL = 4.4
_UNRESOLVED, _THIRD_REPEAT = 1.6, 3.0
_OUTSIDE, _CLASH, _STRONG, _WEAK = 60.0, 9.0, 1.7, 0.5
_CONTOUR = 0.36
_CAP = 25.0


@dataclass(frozen=True)
class Wish:
    """What is asked of one note: near `target`, in `scale`, at best in `chord`; `avoid` rubs; `bass` sounds below it."""

    target: float
    scale: frozenset[int]
    chord: frozenset[int]
    avoid: frozenset[int]
    bass: int
    #: Strong beats and long notes ask for chord tones.
    strong: bool
    #: Pitch classes a phrase may end on; empty inside the phrase.
    goals: frozenset[int] = frozenset()
    #: Beats since the note before ended.
    rest: float = 0.0
    #: Pitch classes that are a little less welcome, and by how much.
    plain: frozenset[int] = frozenset()


def best_line(wishes: Sequence[Wish], low: int, high: int, *, peak: int | None = None) -> list[int]:
    """MIDI pitches from `low` to `high` for every wish; the note at index `peak` is higher than all others."""
    if not wishes:
        return []
    costs = [_emission(wish, low, high) for wish in wishes]
    if peak is not None and len(wishes) > 1:
        _cap(costs, peak, _peak_pitch(wishes, peak, low, high) - low)
    if len(wishes) == 1:
        return [low + int(np.argmin(costs[0]))]
    return [low + index for index in _search(wishes, costs, low, high)]


def _emission(wish: Wish, low: int, high: int) -> Costs:
    """What each pitch costs by itself."""
    pitches = np.arange(low, high + 1)
    cost: Costs = np.abs(pitches - wish.target) * _CONTOUR
    for index, pitch in enumerate(range(low, high + 1)):
        cost[index] += _tonal(pitch % 12, wish)
    cost[:2] += 0.5
    cost[-2:] += 0.5
    return cost


def _tonal(pitch_class: int, wish: Wish) -> float:
    if pitch_class not in wish.scale:
        return _OUTSIDE
    goal = 2.5 if wish.goals and pitch_class not in wish.goals else 0.0
    if pitch_class in wish.chord:
        return goal
    if wish.strong:
        return goal + (_CLASH if pitch_class in wish.avoid else _STRONG)
    return goal + _WEAK + (0.4 if pitch_class in wish.plain else 0.0)


def _peak_pitch(wishes: Sequence[Wish], peak: int, low: int, high: int) -> int:
    """The pitch of the single highest note: above every other note's target, in the chord of its place."""
    above = max(wish.target for index, wish in enumerate(wishes) if index != peak)
    start = max(low + 5, round(max(wishes[peak].target, above + 1)))
    able = [pitch for pitch in range(start, high + 1) if pitch % 12 in wishes[peak].chord]
    fallback = [pitch for pitch in range(high, low, -1) if pitch % 12 in wishes[peak].chord]
    return able[0] if able else fallback[0]


def _cap(costs: list[Costs], peak: int, place: int) -> None:
    """Only the peak reaches its height."""
    for index, cost in enumerate(costs):
        if index == peak:
            cost[:place] += _CAP
            cost[place + 1 :] += _CAP
        else:
            cost[place:] += _CAP


@lru_cache(maxsize=64)
def _moves(count: int) -> Costs:
    """Cost of going from one pitch to another."""
    gaps = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
    table = np.array([_INTERVALS.get(gap, _OTHER_INTERVAL) for gap in range(count)])
    return np.asarray(table[gaps], np.float64)


@lru_cache(maxsize=64)
def _turns(count: int) -> Costs:
    """Cost of three pitches in a row: leaps that are not answered by a step back, and a third repeat."""
    pitches = np.arange(count)
    first = pitches[None, :, None] - pitches[:, None, None]
    second = pitches[None, None, :] - pitches[None, :, None]
    leap = np.abs(first) > 4
    answered = (first * second < 0) & (np.abs(second) <= 4)
    wide = np.where(np.abs(first) > 7, 2.0, 1.0)
    return np.asarray(
        np.where(leap & ~answered, _UNRESOLVED * wide, 0.0) + np.where((first == 0) & (second == 0), _THIRD_REPEAT, 0.0)
    )


def _step(before: Wish, wish: Wish, low: int, high: int) -> Costs:
    """Cost of each pair of neighbours: the interval, less across a rest, and perfect parallels with the bass."""
    moves = _moves(high - low + 1)
    cost = moves * (0.8 if wish.rest >= 1 else 1.0)
    motion = wish.bass - before.bass
    if motion:
        pitches = np.arange(low, high + 1)
        same = ((pitches[:, None] - before.bass) % 12 == (pitches[None, :] - wish.bass) % 12) & np.isin(
            (pitches[None, :] - wish.bass) % 12, (0, 7)
        )
        cost = cost + np.where(same & ((pitches[None, :] - pitches[:, None]) * motion > 0), 5.0, 0.0)
    return np.asarray(cost, np.float64)


def _search(wishes: Sequence[Wish], costs: list[Costs], low: int, high: int) -> list[int]:
    turns = _turns(high - low + 1)
    total = costs[0][:, None] + _step(wishes[0], wishes[1], low, high) + costs[1][None, :]
    back: list[NDArray[np.intp]] = []
    for index in range(2, len(wishes)):
        ways = total[:, :, None] + turns
        came = np.argmin(ways, axis=0)
        back.append(came)
        least = np.take_along_axis(ways, came[None], axis=0)[0]
        total = least + _step(wishes[index - 1], wishes[index], low, high) + costs[index][None, :]
    last = int(np.argmin(total))
    path = [last // total.shape[1], last % total.shape[1]]
    for came in reversed(back):
        path.insert(0, int(came[path[0], path[1]]))
    return path

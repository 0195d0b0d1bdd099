"""Notes made once and played often: what an arrangement repeats costs a copy, not a synthesis."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sottovoce.audio import Samples
from sottovoce.synth.instruments import instrument
from sottovoce.synth.strike import Strike

# Lengths in seconds within which sounds are shared; each is made for the longest that is asked.
_SPANS = (1.0, 3.0, 8.0, 24.0)
_SILENT = 3e-5
# Sounds of more bytes are not kept: long pads, which are quickly made and seldom the same.
_BULKY = 4 << 20


def layered(strike: Strike, layers: int) -> Strike:
    """The strike at the nearest of so many velocities; what lies between is scaled."""
    return replace(strike, velocity=max(1, round(strike.velocity * layers)) / layers)


def shared(strikes: Sequence[Strike]) -> list[Strike]:
    """The strikes, those that differ only in length lengthened to the longest of about their size."""
    longest: dict[tuple[int, Strike], float] = {}
    for strike in strikes:
        key = _span(strike)
        longest[key] = max(longest.get(key, 0.0), strike.seconds)
    return [replace(strike, seconds=longest[_span(strike)]) for strike in strikes]


def _span(strike: Strike) -> tuple[int, Strike]:
    return bisect_left(_SPANS, strike.seconds), replace(strike, seconds=0.0)


class NoteCache:
    """Sounds of instruments by strike, the least recently used ones dropped beyond `most` bytes."""

    def __init__(self, most: int = 64 << 20) -> None:
        self._most, self._held = most, 0
        self._sounds: OrderedDict[tuple[str, Strike], Samples] = OrderedDict()

    def sound(self, name: str, strike: Strike) -> Samples:
        """The sound without its end, [1 or 2, frames], its silent rest cut off; do not write to it."""
        key = (name, strike)
        if key in self._sounds:
            self._sounds.move_to_end(key)
            return self._sounds[key]
        player = instrument(name)
        made = _audible(player.sound(strike))
        made *= np.float32(10 ** (player.level_db / 20))
        if made.nbytes > _BULKY:
            return made
        self._sounds[key] = made
        self._held += made.nbytes
        while self._held > self._most and len(self._sounds) > 1:
            self._held -= self._sounds.popitem(last=False)[1].nbytes
        return made


def _audible(samples: Samples) -> Samples:
    """The samples up to where they have died away."""
    block = 2_048
    whole = samples.shape[1] // block * block
    if not whole:
        return samples
    peaks = np.abs(samples[:, :whole]).reshape(samples.shape[0], -1, block).max(axis=(0, 2))
    loud = np.flatnonzero(peaks > _SILENT * peaks.max())
    return samples[:, : (int(loud[-1]) + 2) * block] if loud.size else samples[:, :block]

"""Where a sound is silent: before it starts, after it ends, and the gaps between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sottovoce.audio import Samples

_HOPS_A_SECOND = 100
#: Quiet is what lies below -60 dBFS, and in quiet material what lies 55 dB below its loudest moment.
_QUIET_DB, _BELOW_LOUDEST_DB = -60.0, 55.0
_TINY = 1e-30


@dataclass(frozen=True)
class Silence:
    """Seconds of silence (to 10 ms) at the start, at the end and in the longest gap, where that gap is, and the share of all.

    `ending_db` is the RMS of the last 50 ms in dBFS. A sound with nothing in it is all leading silence.
    """

    leading: float = 0.0
    trailing: float = 0.0
    longest_gap: float = 0.0
    gap_at: float | None = None
    share: float = 0.0
    ending_db: float = -300.0


class SilenceMeter:
    """Silence of a stream of blocks [channels, frames]; keeps a hundred levels a second."""

    def __init__(self, rate: int, channels: int) -> None:
        self._hop = max(1, rate // _HOPS_A_SECOND)
        self._rate = rate
        self._rest = np.zeros((channels, 0), np.float32)
        self._powers: list[NDArray[np.float32]] = []

    def push(self, block: Samples) -> None:
        """Take the next block."""
        joined = np.concatenate([self._rest, block], axis=1)
        whole = joined.shape[1] // self._hop * self._hop
        self._powers.append(self._power(joined[:, :whole]))
        self._rest = joined[:, whole:]

    def silence(self) -> Silence:
        """What was silent so far."""
        rest = np.pad(self._rest, ((0, 0), (0, -self._rest.shape[1] % self._hop)))
        levels = 10 * np.log10(np.concatenate([*self._powers, self._power(rest)]) + _TINY)
        if len(levels) == 0:
            return Silence()
        quiet = levels < max(_QUIET_DB, float(levels.max()) - _BELOW_LOUDEST_DB)
        return self._described(quiet, float(levels[-5:].max()))

    def _described(self, quiet: NDArray[np.bool_], ending: float) -> Silence:
        hop = self._hop / self._rate
        heard = np.flatnonzero(~quiet)
        if len(heard) == 0:
            return Silence(leading=len(quiet) * hop, share=1.0, ending_db=ending)
        gaps = np.diff(heard) - 1
        longest = int(gaps.argmax()) if len(gaps) else 0
        length = int(gaps[longest]) if len(gaps) else 0
        return Silence(
            leading=int(heard[0]) * hop,
            trailing=(len(quiet) - 1 - int(heard[-1])) * hop,
            longest_gap=length * hop,
            gap_at=(int(heard[longest]) + 1) * hop if length else None,
            share=float(quiet.mean()),
            ending_db=ending,
        )

    def _power(self, samples: Samples) -> NDArray[np.float32]:
        """Mean power of each hop, of the loudest channel."""
        hops = samples.reshape(samples.shape[0], -1, self._hop)
        power: NDArray[np.float32] = np.einsum("cnk,cnk->cn", hops, hops).max(axis=0) / np.float32(self._hop)
        return power

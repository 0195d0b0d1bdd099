"""Musical key: the pitch classes of the whole, compared with how often each step of a key is heard (Albrecht and Shanahan 2013)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sottovoce.audio import Samples
from sottovoce.dsp.spectrum import chroma

_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_MAJOR = (0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081)
_MINOR = (0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052)
_BASS, _END = 0.4, 0.4
_END_SECONDS = 4.0


@dataclass(frozen=True)
class KeyEstimate:
    """A key: `root` in semitones above C; `strength` is the correlation with its profile (-1 to 1), `margin` the lead over the next key.

    The relative key does not count as the next: it has the same notes. Sound without pitch has strength and margin 0.
    """

    root: int
    minor: bool
    strength: float
    margin: float

    @property
    def key(self) -> str:
        """The name, such as `A minor`."""
        return f"{_NAMES[self.root]} {'minor' if self.minor else 'major'}"

    def agrees(self, root: int, *, minor: bool) -> bool:
        """Whether that key is this one, its relative, or a fifth up or down in the same mode: what listeners, too, take for one another."""
        if minor == self.minor:
            return (root - self.root) % 12 in (0, 5, 7)
        return _relative(root + 12 * minor) == self.root + 12 * self.minor


def key(samples: Samples, rate: int) -> KeyEstimate:
    """The key of samples [channels, frames], whatever pitch they are tuned to.

    All notes count, the bass and the last seconds once more: basses play roots, and music ends at home.
    """
    found = chroma(samples, rate)
    last = found.classes[:, -max(1, round(_END_SECONDS / found.hop)) :]
    return key_of(_share(found.classes) + _BASS * _share(found.bass) + _END * _share(last))


def key_of(profile: NDArray[np.floating]) -> KeyEstimate:
    """The key whose profile is most like the strength of twelve pitch classes from C upwards."""
    if profile.std() < 1e-9:
        return KeyEstimate(0, minor=False, strength=0.0, margin=0.0)
    table = np.array([np.roll(steps, root) for steps in (_MAJOR, _MINOR) for root in range(12)])
    score = np.corrcoef(profile, table)[0, 1:]
    best = int(np.argmax(score))
    rivals = np.delete(score, [best, _relative(best)])
    return KeyEstimate(
        best % 12, minor=best >= 12, strength=float(score[best]), margin=float(score[best] - rivals.max())
    )


def _share(classes: NDArray[np.float32]) -> NDArray[np.float64]:
    whole = classes.sum(axis=1, dtype=np.float64)
    return np.asarray(whole / max(float(whole.sum()), 1e-12))


def _relative(row: int) -> int:
    return (row + 9) % 12 + 12 if row < 12 else (row + 3) % 12

"""Modal synthesis: decaying sinusoids summed as one matrix product (Adrien 1991 for the model).

With n = pB + q, a sum of decaying sinusoids Im sum_k a_k z_k^n is Im(U V), U[p, k] = a_k z_k^(pB), V[k, q] = z_k^q: exponentials
only of the factors, and the rest is the fastest thing a processor does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sottovoce.audio import DELIVERY_RATE, Samples

_BLOCK = 512
_INAUDIBLE = 3e-5

Complex = NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class Modes:
    """Sinusoids: frequency in Hz [modes], time constant in seconds [modes], complex amplitude [channels, modes]."""

    frequency: NDArray[np.float64]
    decay: NDArray[np.float64]
    amplitude: Complex

    def below(self, limit: float) -> Modes:
        """Only the modes under a frequency (nothing may alias)."""
        keep = self.frequency < limit
        return Modes(self.frequency[keep], self.decay[keep], self.amplitude[:, keep])


def modes(frequency: object, decay: object, amplitude: object, *, spread: NDArray[np.float64] | None = None) -> Modes:
    """Modes from array-likes that broadcast over the frequencies.

    All start as sines; `spread` [modes] in radians turns the phase of the left channel back and of the right one forth,
    which makes the sound wide. Without it the sound has one channel.
    """
    hertz = np.atleast_1d(np.asarray(frequency, np.float64))
    level = np.broadcast_to(np.asarray(amplitude, np.float64), hertz.shape)
    turn = np.zeros((1, hertz.size)) if spread is None else np.stack([-spread, spread])
    return Modes(hertz, np.broadcast_to(np.asarray(decay, np.float64), hertz.shape), level * np.exp(1j * turn))


def both(one: Modes, other: Modes) -> Modes:
    """The modes of two sounds together."""
    return Modes(
        np.concatenate([one.frequency, other.frequency]),
        np.concatenate([one.decay, other.decay]),
        np.concatenate([one.amplitude, other.amplitude], axis=1),
    )


def ring(sound: Modes, frames: int) -> Samples:
    """Sum the modes, float32 [channels, frames]; a mode is dropped once it has died away."""
    sound = sound.below(0.48 * DELIVERY_RATE)
    rows = -(-frames // _BLOCK)
    pole = np.asarray((-1 / sound.decay + 2j * np.pi * sound.frequency) / DELIVERY_RATE, np.complex128)
    life = _life(sound) / _BLOCK
    order = np.argsort(-life)
    pole, life, amplitude = pole[order], life[order], sound.amplitude[:, order]
    within = _within(pole)
    out = np.empty((len(amplitude), rows, _BLOCK), np.float32)
    start, end = 0, min(16, rows)
    while start < rows:
        alive = max(1, int(np.searchsorted(-life, -float(start))))
        across = _across(pole[:alive], amplitude[:, :alive], start, end)
        np.matmul(across, within[: 2 * alive], out=out[:, start:end])
        start, end = end, min(3 * end, rows)
    return out.reshape(len(amplitude), -1)[:, :frames]


def _life(sound: Modes) -> NDArray[np.float64]:
    """Samples until each mode is inaudible beside the loudest."""
    level = np.abs(sound.amplitude).max(axis=0)
    above = level / (level.max(initial=0) + 1e-30) / _INAUDIBLE
    return np.asarray(sound.decay * DELIVERY_RATE * np.log(np.maximum(above, 1.0)))


def _powers(pole: Complex, count: int, step: int) -> NDArray[np.complex64]:
    """exp(pole * step * n) for n < count, shape [count, modes], by doubling."""
    out = np.ones((count, len(pole)), np.complex64)
    known = 1
    while known < count:
        fresh = min(known, count - known)
        factor = np.exp(pole * (step * known)).astype(np.complex64)
        np.multiply(out[:fresh], factor, out=out[known : known + fresh])
        known += fresh
    return out


def _within(pole: Complex) -> NDArray[np.float32]:
    """V as float32 [2 * modes, block], imaginary and real rows by turns."""
    powers = _powers(pole, _BLOCK, 1).T
    return np.stack([powers.imag, powers.real], axis=1).reshape(2 * len(pole), _BLOCK)


def _across(pole: Complex, amplitude: Complex, first: int, end: int) -> NDArray[np.float32]:
    """U as float32 [channels, rows, 2 * modes], real and imaginary columns by turns."""
    start = (amplitude * np.exp(pole * (first * _BLOCK))).astype(np.complex64)
    return np.multiply(_powers(pole, end - first, _BLOCK)[None], start[:, None, :], order="C").view(np.float32)

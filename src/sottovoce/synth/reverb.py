"""Space: impulse responses of rooms, plates, halls and echoes, and the block convolution that plays them.

A response is noise in bands that die at their own rates after a short build-up and a few early reflections (Moorer 1979),
which has none of the ringing of comb filters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from sottovoce.audio import DELIVERY_RATE, Samples
from sottovoce.synth.envelope import rise, soften
from sottovoce.synth.spectral import band, noise, shaped


@dataclass(frozen=True)
class Space:
    """A place: `kind` room, plate or hall, seconds to -60 dB, seconds before it answers."""

    kind: str = "plate"
    seconds: float = 1.8
    pre_delay: float = 0.018


@dataclass(frozen=True)
class Echo:
    """Repeats going from side to side: seconds between them, share of each that returns, how many."""

    seconds: float
    feedback: float = 0.42
    repeats: int = 3


# For each kind: build-up in seconds, level of the early reflections, where the highs end in Hz.
_CHARACTER = {"room": (0.003, 0.30, 7_000.0), "plate": (0.005, 0.10, 8_500.0), "hall": (0.016, 0.20, 6_500.0)}
# Bands in Hz with their share of the reverberation time.
_BANDS = ((120.0, 450.0, 1.0), (450.0, 1_600.0, 0.95), (1_600.0, 4_500.0, 0.66), (4_500.0, 12_000.0, 0.36))


@lru_cache(maxsize=8)
def impulse(space: Space) -> Samples:
    """The response of a place, [2, frames], unit energy per side (do not write to it)."""
    build, early, top = _CHARACTER[space.kind]
    rng = np.random.default_rng(round(space.seconds * 1000) + 7919 * len(space.kind))
    frames = round(1.08 * space.seconds * DELIVERY_RATE)
    tail = _tail(frames, space.seconds, rng)
    head = round(build * DELIVERY_RATE)
    tail[:, :head] *= rise(head)
    tail /= np.sqrt(np.mean(np.sum(np.square(tail), axis=1)))
    _reflect(tail, early, rng)
    tail = shaped(tail, band(150, top, order=2.0))
    tail /= np.float32(np.sqrt(np.mean(np.sum(np.square(tail), axis=1))))
    out = np.concatenate([np.zeros((2, round(space.pre_delay * DELIVERY_RATE)), np.float32), tail], axis=1)
    return soften(out, 0.0, 0.12 * space.seconds)


def _tail(frames: int, seconds: float, rng: np.random.Generator) -> Samples:
    out = np.zeros((2, frames), np.float32)
    for low, high, share in _BANDS:
        part = noise(frames, band(low, high, order=3.0), rng, channels=2, mono_below=220) * np.float32(
            np.sqrt(np.log2(high / low))
        )
        rate = 6.91 / (share * seconds * DELIVERY_RATE)
        part[1] = np.float32(0.4) * part[0] + np.float32(0.917) * part[1]
        out += part * np.exp(-rate * np.arange(frames)).astype(np.float32)
    return out


def _reflect(tail: Samples, level: float, rng: np.random.Generator) -> None:
    """Six early reflections between 7 and 60 ms, by turns left and right."""
    for turn in range(6):
        at = round((0.007 + 0.009 * turn + 0.003 * rng.random()) * DELIVERY_RATE)
        sides = (1.0, 0.35) if turn % 2 else (0.35, 1.0)
        tail[:, at] += np.float32(level * 0.86**turn * (-1) ** (turn // 2)) * np.array(sides, np.float32)


def echoes(echo: Echo) -> Samples:
    """The response of an echo, [2, frames]: each repeat duller than the last and on the other side."""
    step = round(echo.seconds * DELIVERY_RATE)
    out = np.zeros((2, step * echo.repeats + 4_096), np.float32)
    for turn in range(1, echo.repeats + 1):
        grain = np.zeros((1, 4_096), np.float32)
        grain[0, 2_048] = echo.feedback ** (turn - 1)
        dull = shaped(grain, band(180, 5_200 / (1 + 0.35 * turn), order=1.5))[0]
        sides = (0.9, 0.35) if turn % 2 else (0.35, 0.9)
        first = turn * step - 2_048
        out[:, first : first + 4_096] += np.array(sides, np.float32)[:, None] * dull
    return out


class Convolver:
    """Mono sends into stereo spaces, block by block (overlap-add); all sends share one FFT call, which is what makes it fast.

    `block` is how many frames every block but the last should have.
    """

    def __init__(self, responses: Sequence[Samples], frames: int) -> None:
        """`responses`: one [2, n] for each send; `frames`: how long the whole is."""
        longest = max(response.shape[1] for response in responses)
        self._size = _fast_size(longest, frames)
        self.block = self._size - longest
        self._sends = len(responses)
        # The FFT takes rows by fours; three cost more than four.
        rows = self._sends + (self._sends % 4 == 3)
        padded = np.zeros((rows, 2, longest), np.float32)
        for row, response in zip(padded, responses, strict=False):
            row[:, : response.shape[1]] = response
        self._spectra = scipy.fft.rfft(padded, self._size, axis=-1)
        self._tail = np.zeros((rows, 2, longest), np.float32)

    def feed(self, sends: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Blocks [frames] of every send in, [sends, 2, frames] out."""
        frames, longest = sends[0].size, self._tail.shape[2]
        rows = np.zeros((len(self._spectra), frames), np.float32)
        rows[: self._sends] = sends
        spectrum = scipy.fft.rfft(rows, self._size, axis=-1)
        wet = np.asarray(scipy.fft.irfft(spectrum[:, None] * self._spectra, self._size, axis=-1), np.float32)
        wet[..., :longest] += self._tail
        self._tail = wet[..., frames : frames + longest].copy()
        return wet[: self._sends, :, :frames]


def _fast_size(longest: int, frames: int) -> int:
    """The FFT length that costs least a frame: hardly any factor but two, little overlap, not far beyond the cache."""
    sizes = [factor << power for power in range(12, 19) for factor in (4, 5, 6)]
    whole = [size for size in sizes if size >= longest + frames]
    fitting = [size for size in sizes if size >= 1.5 * longest]
    return whole[0] if whole and whole[0] <= 3 * longest else min(fitting, key=lambda size: _cost(size, longest))


def _cost(size: int, longest: int) -> float:
    octaves = np.log2(size / 4_096)
    return float(size / (size - longest) * (1 + 0.06 * octaves + 0.5 * max(0.0, octaves - 6.6)))

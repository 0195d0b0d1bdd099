"""Space: impulse responses of rooms, plates, halls and echoes, and the block convolution that plays them.

A response is noise in bands that die at their own rates after a short build-up and a few early reflections (Moorer 1979),
which has none of the ringing of comb filters.
"""

from __future__ import annotations

from collections import deque
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
# Share of the time to -60 dB that is played; what follows is under everything.
_HEARD = 0.92
# Bands in Hz with their share of the reverberation time.
_BANDS = ((120.0, 450.0, 1.0), (450.0, 1_600.0, 0.95), (1_600.0, 4_500.0, 0.66), (4_500.0, 12_000.0, 0.36))


@lru_cache(maxsize=8)
def impulse(space: Space) -> Samples:
    """The response of a place, [2, frames], unit energy per side (do not write to it)."""
    build, early, top = _CHARACTER[space.kind]
    rng = np.random.default_rng(round(space.seconds * 1000) + 7919 * len(space.kind))
    frames = round(_HEARD * space.seconds * DELIVERY_RATE)
    tail = _tail(frames, space.seconds, rng)
    head = round(build * DELIVERY_RATE)
    tail[:, :head] *= rise(head)
    tail /= np.sqrt(np.mean(np.sum(np.square(tail), axis=1)))
    _reflect(tail, early, rng)
    tail = shaped(tail, band(150, top, order=2.0))
    tail /= np.float32(np.sqrt(np.mean(np.sum(np.square(tail), axis=1))))
    out = np.concatenate([np.zeros((2, round(space.pre_delay * DELIVERY_RATE)), np.float32), tail], axis=1)
    return soften(out, 0.0, 0.15 * space.seconds)


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

    `block` is how many frames every block but the last must have. Long responses are cut into pieces of that length, each of
    which answers the block that lies so far back.
    """

    def __init__(self, responses: Sequence[Samples], frames: int) -> None:
        """`responses`: one [2, n] for each send; `frames`: how long the whole is."""
        longest = max(response.shape[1] for response in responses)
        self._size, self.block = _sizes(longest, frames)
        pieces = -(-longest // self.block) if longest > self._size - self.block else 1
        self._sends = len(responses)
        # The FFT takes rows by fours; three cost more than four.
        rows = self._sends + (self._sends % 4 == 3)
        padded = np.zeros((2, rows, max(longest, pieces * self.block)), np.float32)
        for row, response in enumerate(responses):
            padded[:, row, : response.shape[1]] = response
        self._spectra = [self._cut(side, pieces) for side in padded]
        self._heard: deque[NDArray[np.complex64]] = deque(maxlen=pieces)
        self._tails = np.zeros((2, rows, self._size - self.block), np.float32)

    def _cut(self, side: Samples, pieces: int) -> list[NDArray[np.complex64]]:
        if pieces == 1:
            return [scipy.fft.rfft(side, self._size, axis=-1)]
        starts = range(0, pieces * self.block, self.block)
        return [scipy.fft.rfft(side[:, start : start + self.block], self._size, axis=-1) for start in starts]

    def feed(self, sends: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Blocks [frames] of every send in, [sends, 2, frames] out."""
        frames, reach = sends[0].size, self._tails.shape[2]
        rows = np.zeros((self._tails.shape[1], frames), np.float32)
        rows[: self._sends] = sends
        self._heard.appendleft(scipy.fft.rfft(rows, self._size, axis=-1))
        out = np.empty((self._sends, 2, frames), np.float32)
        for side, tail in enumerate(self._tails):
            wet = np.asarray(scipy.fft.irfft(self._answer(side), self._size, axis=-1), np.float32)
            wet[:, :reach] += tail
            tail[:] = wet[:, frames : frames + reach]
            out[:, side] = wet[: self._sends, :frames]
        return out

    def _answer(self, side: int) -> NDArray[np.complex64]:
        whole, *rest = (heard * piece for heard, piece in zip(self._heard, self._spectra[side], strict=False))
        for part in rest:
            whole += part
        return np.asarray(whole)


# The FFT is fastest where its work fits the cache.
_SIZE = 1 << 18


def _sizes(longest: int, frames: int) -> tuple[int, int]:
    """FFT length and block: all at once if that is short, else blocks of at least half the FFT."""
    if longest + frames <= _SIZE:
        return scipy.fft.next_fast_len(longest + frames, real=True), frames
    return _SIZE, max(_SIZE // 2, _SIZE - longest)

"""From the desk to the finished piece: glue, fade, beds, exact loudness and true peak; one gain curve for all stems alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sottovoce.audio import DELIVERY_RATE, Samples, Stem
from sottovoce.composer.mix import GRAIN
from sottovoce.dsp.limiter import StreamLimiter
from sottovoce.dsp.loudness import LoudnessMeter, gain_for

#: True peaks stay under this, in dBTP.
CEILING = -1.0

# The limiter leaves this much room, in dB, for the correction that makes the loudness exact.
_IN_HAND = 0.3
_TRIES = 4
# Frames of silence at the very end.
_REST = 1_920
_BLOCK = 1 << 17

#: The stem that beds belong to.
TEXTURE = Stem("texture")

Curve = NDArray[np.float32]
#: One block of what lies under the music, from a frame on, so many frames; None if there is nothing.
Bed = Callable[[int, int], Samples | None]


@dataclass(frozen=True)
class Finish:
    """What the master is to reach: LUFS, most compression in dB, and the last seconds over which everything fades."""

    loudness: float
    glue_db: float = 0.0
    fade_seconds: float = 0.0


class Master:
    """Hears the mix as it leaves the desk, block by block, then finishes it in place."""

    def __init__(self, finish: Finish) -> None:
        self.finish = finish
        self._meter = LoudnessMeter(DELIVERY_RATE, 2)
        self._powers: list[NDArray[np.float32]] = []

    def hear(self, block: Samples) -> None:
        """Take note of the next block; all but the last are whole multiples of `GRAIN` frames."""
        self._meter.push(block)
        missing = -block.shape[1] % GRAIN
        squares = np.pad(np.einsum("ci,ci->i", block, block), (0, missing))
        self._powers.append(squares.reshape(-1, GRAIN).mean(axis=1))

    def apply(self, mix: Samples, stems: Mapping[Stem, Samples], bed: Bed) -> None:
        """Finish the mix and its stems in place; the bed goes in at its own level before the limiter."""
        glue = self._glue()
        gain = gain_for(self.finish.loudness, self._meter.integrated() + _mean_db(glue, self._power()))
        for start, part in _blocks(mix):
            span = slice(start, start + part.shape[1])
            curve = self._curve(glue, start, part.shape[1], mix.shape[1]) * np.float32(gain)
            for samples in (part, *(stem[:, span] for stem in stems.values())):
                samples *= curve
            laid = bed(start, part.shape[1])
            if laid is not None:
                part += laid
                if TEXTURE in stems:
                    stems[TEXTURE][:, span] += laid
        self._limit(mix, tuple(stems.values()))

    def _limit(self, mix: Samples, stems: tuple[Samples, ...]) -> None:
        """Limit until the loudness is reached with room to spare; the last correction needs no limiter."""
        for _ in range(_TRIES):
            correction = self._pass(mix, stems)
            for samples in (mix, *stems):
                samples *= np.float32(correction)
            if correction <= 10 ** (_IN_HAND / 20):
                return

    def _pass(self, mix: Samples, stems: tuple[Samples, ...]) -> float:
        """Limit everything by the mix, in place; the gain that is missing to the target."""
        limiter = StreamLimiter(DELIVERY_RATE, mix.shape[0], ceiling_db=CEILING - _IN_HAND)
        meter = LoudnessMeter(DELIVERY_RATE, mix.shape[0])
        done = 0
        for limited, gain in _limited(limiter, mix):
            end = done + limited.shape[1]
            mix[:, done:end] = limited
            for stem in stems:
                stem[:, done:end] *= gain
            meter.push(limited)
            done = end
        return gain_for(self.finish.loudness, meter.integrated())

    def _power(self) -> NDArray[np.float64]:
        return np.concatenate(self._powers).astype(np.float64)

    def _glue(self) -> NDArray[np.float64]:
        """Gain of each grain: what is louder than usual is turned down by a third, slowly, within `glue_db`."""
        power, most = self._power(), self.finish.glue_db
        if not most:
            return np.ones(len(power))
        smooth = 10 * np.log10(ndimage.gaussian_filter1d(power, 0.1 * DELIVERY_RATE / GRAIN) + 1e-12)
        over = np.clip(0.35 * (smooth - 10 * np.log10(power.mean() + 1e-12) + 1.5), 0, None)
        return np.asarray(10 ** (-most * np.tanh(over / most) / 20))

    def _curve(self, glue: NDArray[np.float64], start: int, frames: int, whole: int) -> Curve:
        """The gain of one block, straight lines between the middles of grains, and the fade at the end of the piece."""
        centres = (np.arange(len(glue)) + 0.5) * GRAIN
        at = np.arange(start, start + frames)
        curve = np.interp(at, centres, glue) if self.finish.glue_db else np.ones(frames)
        fade = round(self.finish.fade_seconds * DELIVERY_RATE)
        if fade > _REST and start + frames > whole - fade:
            curve *= np.cos(np.clip((at + fade - whole) / (fade - _REST), 0, 1) * np.pi / 2) ** 2
        return curve.astype(np.float32)


def _mean_db(gain: NDArray[np.float64], power: NDArray[np.float64]) -> float:
    """By how much a gain changes the level of a signal."""
    return float(10 * np.log10(((gain**2 * power).sum() + 1e-12) / (power.sum() + 1e-12)))


def _blocks(samples: Samples) -> Iterator[tuple[int, Samples]]:
    for start in range(0, samples.shape[1], _BLOCK):
        yield start, samples[:, start : start + _BLOCK]


def _limited(limiter: StreamLimiter, mix: Samples) -> Iterator[tuple[Samples, Curve]]:
    for _, block in _blocks(mix):
        yield limiter.push(block)
    yield limiter.flush()

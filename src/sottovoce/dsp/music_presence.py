"""Music in a clip itself: singing, a concert, a radio. Told from speech by partials that stay where they are.

A sung or played tone holds its partials for a fifth of a second and more; the partials of speech glide, and noise has none. The measure is
the share of the power between 125 and 2000 Hz that lies in such held partials. On real clips speech stays under 0.05, singing lies over 0.14,
songs with drums over 0.05, and wind, applause, laughter and barking at 0. What never moves at all (mains hum, a machine) is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, median_filter, minimum_filter1d, uniform_filter1d

from sottovoce.audio import Samples
from sottovoce.dsp import spans as span
from sottovoce.dsp.resample import StreamResampler
from sottovoce.dsp.spans import Span
from sottovoce.dsp.spectrum import Spectra, StreamStft

#: The analysis: rate in Hz, frames of 64 ms every 32 ms, bins from 125 to 2000 Hz.
_RATE, _SIZE, _HOP = 4_000, 256, 128
_LOW, _HIGH = 8, 128
#: A partial is held for so many frames (0.2 s) and stands so far above the power around it.
_HELD, _PEAK = 7, 8.0
#: A bin that is held for more than this share of a chunk of so many frames (16 s) is hum.
_HUM, _CHUNK = 0.9, 500
#: The share is taken over so many seconds. Where nobody speaks the first figure is music, where somebody does the second: that is singing.
_OVER, _UNSPOKEN, _SPOKEN = 4.0, 0.05, 0.155
#: Seconds: shorter is a ring tone, and shorter gaps belong to the music.
_SHORTEST, _PAUSE = 4.0, 6.0
_QUIETEST = 1e-9


@dataclass(frozen=True, eq=False)
class MusicPresence:
    """The share of held partials: 0-1, float32, one per `hop` seconds."""

    share: NDArray[np.float32]
    hop: float

    def spans(self, voices: Sequence[Span]) -> tuple[Span, ...]:
        """The stretches of music, given where voices are (speech or song)."""
        if not len(self.share):
            return ()
        voiced = span.within(voices, len(self.share), self.hop).astype(np.float32)
        spoken = uniform_filter1d(voiced, round(_OVER / self.hop), mode="nearest")
        musical = self.share / (_UNSPOKEN + (_SPOKEN - _UNSPOKEN) * spoken)
        certain = span.at_least(span.hysteresis(musical, 1.0, 0.6, self.hop), 1.0)
        return span.at_least(span.bridge(certain, _PAUSE), _SHORTEST)


def music_presence(samples: Samples, rate: int) -> MusicPresence:
    """How much of samples [channels, frames] is held tones."""
    detector = MusicDetector(rate)
    detector.push(samples)
    return detector.finish()


class MusicDetector:
    """Listens to a stream block by block."""

    def __init__(self, rate: int) -> None:
        self._resampler = StreamResampler(rate, _RATE, 1, quality="high")
        self._spectra = StreamStft(1, _SIZE, _HOP)
        self._power = np.zeros((_HIGH - _LOW, 0), np.float32)
        self._held: list[NDArray[np.float32]] = [np.zeros(0, np.float32)]
        self._whole: list[NDArray[np.float32]] = [np.zeros(0, np.float32)]

    def push(self, block: Samples) -> None:
        """Listen on; the block is float32 [channels, frames] of any length."""
        mono = block.mean(axis=0, keepdims=True, dtype=np.float32)
        self._hear(self._spectra.push(self._resampler.push(mono)))

    def finish(self) -> MusicPresence:
        """What was heard; the stream ends here."""
        self._hear(self._spectra.push(self._resampler.flush()))
        self._hear(self._spectra.flush())
        if self._power.shape[1]:
            self._judge(self._power)
        hop, size = _HOP / _RATE, round(_OVER * _RATE / _HOP)
        held, whole = (
            uniform_filter1d(np.concatenate(part).astype(np.float64), size, mode="constant")
            for part in (self._held, self._whole)
        )
        return MusicPresence((held / np.maximum(whole, _QUIETEST)).astype(np.float32), hop)

    def _hear(self, spectra: Spectra) -> None:
        power = np.square(np.abs(spectra[0, _LOW:_HIGH]))
        self._power = np.concatenate([self._power, power], axis=1)
        while self._power.shape[1] >= _CHUNK:
            self._judge(self._power[:, :_CHUNK])
            self._power = self._power[:, _CHUNK:]

    def _judge(self, power: NDArray[np.float32]) -> None:
        near = maximum_filter1d(power, 3, axis=0)
        held = minimum_filter1d(near, _HELD, axis=1)
        around = uniform_filter1d(median_filter(power, size=(17, 1)), _HELD, axis=1)
        peaks = held > _PEAK * around + _QUIETEST
        hum = peaks.mean(axis=1) > _HUM
        self._held.append(np.where(hum[:, None], 0, held * peaks).sum(axis=0))
        self._whole.append(np.where(hum[:, None], 0, near).sum(axis=0))

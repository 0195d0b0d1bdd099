"""Sounds that stand out of a clip's own noise floor: laughter, applause, a shout, a bark; not steady wind, rain or hum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d, percentile_filter, uniform_filter1d

from sottovoce.audio import Samples
from sottovoce.dsp import spans as span
from sottovoce.dsp.filters import StreamFilter, high_pass
from sottovoce.dsp.spans import Span

#: The floor is the 20th percentile of the level over half a minute: what sounds for most of it belongs to the place.
_FLOOR_PERCENTILE, _FLOOR_SECONDS, _FLOOR_STEP = 20, 30.0, 0.25
#: A sound begins this far above the floor, in dB, and lasts as long as it keeps half of that.
_MARGIN = 9.0
#: Gusts and waves swell; what stands out rises by this many dB within so many seconds.
_RISE, _RISE_SECONDS = 8.0, 0.3
#: Seconds: shorter ones are bumps and clicks; pauses that do not end a sound.
_SHORTEST, _PAUSE = 0.08, 0.3
#: (seconds, dB): what lasts longer at a level that stays within so many dB is a hum, a machine or the rain that came on.
_STEADY = ((4.0, 1.5), (15.0, 4.0))
#: Below this frequency in Hz there is rumble, wind and mains hum.
_RUMBLE = 200.0
#: What stands out is judged at about this rate in Hz; averaging neighbours is filter enough for a level.
_HEARD_RATE = 16_000
_QUIETEST = 1e-5


@dataclass(frozen=True, eq=False)
class Envelope:
    """The level of a clip as recorded: RMS per `hop` seconds (full scale 1), whole and without rumble."""

    rms: NDArray[np.float32]
    heard: NDArray[np.float32]
    hop: float

    def loudest(self, stretch: Span, *, over: float = 0.05) -> float:
        """The highest RMS over `over` seconds within a stretch; 0 if it holds no sound."""
        first, last = round(stretch[0] / self.hop), round(stretch[1] / self.hop)
        power = np.square(self.rms[first : max(last, first + 1)], dtype=np.float64)
        if not len(power):
            return 0.0
        size = min(len(power), max(1, round(over / self.hop)))
        return float(np.sqrt(np.convolve(power, np.full(size, 1 / size), mode="valid").max()))


@dataclass(frozen=True)
class Sound:
    """A sound that stands out: start and end in seconds, its highest RMS as recorded, how many dB it rises above the floor."""

    start: float
    end: float
    rms: float
    above_floor_db: float


class EnvelopeMeter:
    """Measures the level of a stream block by block, every 10 ms; power is averaged over channels."""

    def __init__(self, rate: int, channels: int) -> None:
        self._rate = rate
        self._decimation = max(1, rate // _HEARD_RATE)
        self._hop = self._decimation * max(1, round(rate / self._decimation / 100))
        rate_heard = round(rate / self._decimation)
        self._rumble = StreamFilter(high_pass(min(_RUMBLE, rate_heard / 4), rate_heard), 1)
        self._left = np.zeros((channels, 0), np.float32)
        self._rms: list[NDArray[np.float32]] = []
        self._heard: list[NDArray[np.float32]] = []

    def push(self, block: Samples) -> None:
        """Listen on; the block is float32 [channels, frames] of any length."""
        joined = np.concatenate([self._left, block], axis=1) if self._left.shape[1] else block
        whole = joined.shape[1] // self._hop * self._hop
        self._left = joined[:, whole:].copy()
        if whole:
            self._measure(joined[:, :whole])

    def finish(self) -> Envelope:
        """What was measured; the stream ends here."""
        if self._left.shape[1]:
            self.push(np.zeros((self._left.shape[0], self._hop - self._left.shape[1]), np.float32))
        nothing = np.zeros(0, np.float32)
        return Envelope(
            np.concatenate([nothing, *self._rms]), np.concatenate([nothing, *self._heard]), self._hop / self._rate
        )

    def _measure(self, windows: Samples) -> None:
        self._rms.append(np.mean([_rms(channel, self._hop) ** 2 for channel in windows], axis=0) ** np.float32(0.5))
        mono = windows.mean(axis=0).reshape(1, -1, self._decimation).mean(axis=2)
        self._heard.append(_rms(self._rumble.push(mono)[0], self._hop // self._decimation))


def _rms(channel: NDArray[np.floating], hop: int) -> NDArray[np.float32]:
    windows = channel.reshape(-1, hop)
    power: NDArray[np.floating] = np.einsum("wh,wh->w", windows, windows)
    return np.sqrt(power / hop).astype(np.float32)


def envelope(samples: Samples, rate: int) -> Envelope:
    """The level of samples [channels, frames] every 10 ms."""
    meter = EnvelopeMeter(rate, samples.shape[0])
    meter.push(samples)
    return meter.finish()


def stand_out(measured: Envelope, threshold: float) -> tuple[Sound, ...]:
    """The sounds that reach `threshold` (RMS 0-1, as recorded) and stand out of the clip's own floor."""
    if not len(measured.rms):
        return ()
    level = _decibels(measured.heard, 0.05, measured.hop)
    above = level - _floor(measured)
    candidates = span.bridge(span.hysteresis(above, _MARGIN, _MARGIN / 2, measured.hop), _PAUSE)
    rising = _rises(_decibels(measured.heard, 0.1, measured.hop), measured.hop)
    sounds = [
        Sound(start, end, measured.loudest((start, end)), float(_part(above, (start, end), measured.hop).max()))
        for start, end in span.at_least(candidates, _SHORTEST)
        if _part(rising, (start - _RISE_SECONDS, end), measured.hop).max() >= _RISE
        and not _is_steady(_part(level, (start, end), measured.hop), measured.hop)
    ]
    return tuple(sound for sound in sounds if sound.rms >= threshold)


def _floor(measured: Envelope) -> NDArray[np.float64]:
    """The floor in dB for every window."""
    per = max(1, round(_FLOOR_STEP / measured.hop))
    starts = np.arange(0, len(measured.heard), per)
    power = np.add.reduceat(np.square(measured.heard, dtype=np.float64), starts) / np.diff(
        [*starts, len(measured.heard)]
    )
    coarse = 10 * np.log10(power + _QUIETEST**2)
    size = min(len(coarse), round(_FLOOR_SECONDS / _FLOOR_STEP))
    floor = percentile_filter(coarse, _FLOOR_PERCENTILE, size=size, mode="nearest")
    return np.interp(np.arange(len(measured.heard)), starts + per / 2, floor)


def _decibels(rms: NDArray[np.float32], seconds: float, hop: float) -> NDArray[np.float64]:
    power = uniform_filter1d(np.square(rms, dtype=np.float64), max(1, round(seconds / hop)), mode="nearest")
    return 10 * np.log10(np.maximum(power, 0) + _QUIETEST**2)


def _rises(level: NDArray[np.float64], hop: float) -> NDArray[np.float64]:
    """By how many dB the level has risen, at each window, above its lowest of the moment before."""
    size = max(1, round(_RISE_SECONDS / hop))
    lowest = minimum_filter1d(level, size, mode="nearest", origin=(size - 1) // 2)
    return level - lowest


def _is_steady(level: NDArray[np.float64], hop: float) -> bool:
    low, high = np.percentile(level, [10, 90])
    return any(len(level) * hop >= seconds and high - low < spread for seconds, spread in _STEADY)


def _part(values: NDArray[np.float64], stretch: Span, hop: float) -> NDArray[np.float64]:
    first = max(0, round(stretch[0] / hop))
    return values[first : max(first + 1, round(stretch[1] / hop))]

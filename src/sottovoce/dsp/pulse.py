"""How mechanical a rhythm is: three numbers that tell a ticking track from music.

All rest on onsets, found as peaks of the logarithmic mel flux (Böck and Widmer 2013): how far the onset curve repeats
itself within a second, how many onsets are the same time apart, and how alike they sound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sottovoce.audio import Samples
from sottovoce.dsp.spectrum import StreamStft, mel_filters, size_for

Floats = NDArray[np.float32]

_BANDS = 60
#: Long sounds are judged minute by minute; a rest shorter than this is left out.
_MINUTE, _LEAST = 60.0, 10.0
_SHORTEST_BEAT, _LONGEST_BEAT = 0.25, 1.0
_TINY = 1e-12
#: A curve that never rises further than this has no onsets: steady tones beating reach 0.01, the quietest music 0.07.
_FAINT = 0.03


@dataclass(frozen=True)
class Pulse:
    """What a sound's onsets are like.

    `periodicity` (0-1) is the highest autocorrelation of the onset curve at 0.25-1 s, `same_gap_share` (0-1) the share of
    gaps between onsets within 15 ms of the commonest, `onset_sameness` (-1 to 1) the mean likeness of the spectra at the
    onsets. Music lies near 0.5, 0.4 and 0.2, a tick track near 1, 1 and 0.95.
    """

    periodicity: float = 0.0
    same_gap_share: float = 0.0
    onset_sameness: float = 0.0
    onsets_per_second: float = 0.0


def pulse(samples: Samples, rate: int) -> Pulse:
    """The pulse of samples [channels, frames]."""
    meter = PulseMeter(rate)
    for start in range(0, samples.shape[1], 1 << 17):
        meter.push(samples[:, start : start + (1 << 17)].mean(axis=0, dtype=np.float32))
    return meter.pulse()


class PulseMeter:
    """The pulse and the mean spectrum of a mono stream; keeps a minute of bands, whatever the length."""

    def __init__(self, rate: int) -> None:
        self._size = size_for(rate, 0.0213)
        self._hop = self._size // 2
        self._rate = rate
        self._stream = StreamStft(1, self._size, self._hop)
        self._filters = mel_filters(rate, self._size, _BANDS)
        self._bands: list[Floats] = []
        self._loudest = 0.0
        self._frames = 0
        self._judged: list[tuple[float, Pulse]] = []
        self._power = np.zeros(self._size // 2 + 1)
        self._most = round(_MINUTE * rate / self._hop)

    def push(self, mono: NDArray[np.float32]) -> None:
        """Take the next samples, float32 [frames]."""
        spectra = self._stream.push(mono[None])[0]
        power = spectra.real**2 + spectra.imag**2
        while power.shape[1]:
            room = self._most - self._frames
            self._keep(power[:, :room])
            power = power[:, room:]
            if self._frames == self._most:
                self._judge()

    def pulse(self) -> Pulse:
        """The mean over the minutes so far, each weighing what it lasts."""
        judged = list(self._judged)
        if self._frames and (not judged or self._seconds >= _LEAST):
            judged.append((self._seconds, self._judgement()))
        total = sum(weight for weight, _ in judged)
        if total == 0:
            return Pulse()
        names = ("periodicity", "same_gap_share", "onset_sameness", "onsets_per_second")
        return Pulse(**{name: sum(weight * getattr(each, name) for weight, each in judged) / total for name in names})

    def spectrum(self) -> NDArray[np.float64]:
        """Power in each bin of the transform, summed over time: [bins], from 0 Hz to half the rate."""
        return self._power

    @property
    def _seconds(self) -> float:
        return self._frames * self._hop / self._rate

    def _keep(self, power: Floats) -> None:
        self._power += power.sum(axis=1, dtype=np.float64)
        self._loudest = max(self._loudest, float(power.max()))
        self._bands.append(self._filters @ power)
        self._frames += power.shape[1]

    def _judge(self) -> None:
        self._judged.append((self._seconds, self._judgement()))
        self._bands, self._loudest, self._frames = [], 0.0, 0

    def _judgement(self) -> Pulse:
        levels = np.log10(1 + 1000 / (self._loudest + _TINY) * np.concatenate(self._bands, axis=1))
        rate = self._rate / self._hop
        curve = _onset_curve(levels)
        if np.percentile(curve, 99.5) < _FAINT:
            return Pulse()
        onsets = _onsets(curve, rate)
        return Pulse(
            periodicity=_periodicity(curve, rate),
            same_gap_share=_same_gap_share(onsets / rate),
            onset_sameness=_sameness(levels, onsets),
            onsets_per_second=len(onsets) / self._seconds,
        )


def _onset_curve(levels: Floats) -> Floats:
    """Mean rise of the bands against two frames before, each widened by its neighbours so that vibrato is no onset."""
    if levels.shape[1] < 3:
        return np.zeros(levels.shape[1], np.float32)
    past = np.maximum(levels, np.maximum(np.roll(levels, 1, axis=0), np.roll(levels, -1, axis=0)))
    past[0], past[-1] = np.maximum(levels[0], levels[1]), np.maximum(levels[-1], levels[-2])
    rise = np.maximum(0, levels[:, 2:] - past[:, :-2]).mean(axis=0)
    return np.concatenate([np.zeros(2, np.float32), rise])


def _onsets(curve: Floats, rate: float) -> NDArray[np.intp]:
    """Frames where the curve peaks above its surroundings, at least 50 ms apart."""
    surroundings = ndimage.uniform_filter1d(curve, max(1, int(0.6 * rate)))
    highest = ndimage.maximum_filter1d(curve, int(0.07 * rate) | 1)
    floor = 0.12 * np.percentile(curve, 99.5) if len(curve) else 0.0
    found = np.flatnonzero((curve == highest) & (curve > 1.3 * surroundings + floor))
    return found[np.diff(found, prepend=-rate) > 0.05 * rate]


def _periodicity(curve: Floats, rate: float) -> float:
    """Highest autocorrelation within the range of beats."""
    if len(curve) < 3:
        return 0.0
    # Beats rarely last a whole number of frames; a little blur lets those half a frame off still meet.
    blurred = np.convolve(curve, [0.25, 0.5, 0.25], "same")
    blurred -= blurred.mean()
    energy = float(blurred @ blurred)
    lags = range(int(_SHORTEST_BEAT * rate), min(int(_LONGEST_BEAT * rate), len(curve) - 1))
    if energy <= _TINY:
        return 0.0
    return max((float(blurred[:-lag] @ blurred[lag:]) / energy for lag in lags), default=0.0)


def _same_gap_share(times: NDArray[np.float64]) -> float:
    gaps = np.sort(np.diff(times))
    if len(gaps) < 4:
        return 0.0
    near = np.searchsorted(gaps, gaps + 0.015) - np.searchsorted(gaps, gaps - 0.015, side="right")
    return float(near.max() / len(gaps))


def _sameness(levels: Floats, onsets: NDArray[np.intp]) -> float:
    """Mean cosine between the spectra of each pair of onsets, 40 ms long, after what all frames share is taken away."""
    count = len(onsets)
    if count < 4:
        return 0.0
    last = levels.shape[1] - 1
    struck = (levels[:, np.minimum(onsets + 1, last)] + levels[:, np.minimum(onsets + 2, last)]) / 2
    struck -= levels.mean(axis=1, keepdims=True)
    struck /= np.linalg.norm(struck, axis=0) + _TINY
    return float(((struck.sum(axis=1) ** 2).sum() - count) / (count * (count - 1)))

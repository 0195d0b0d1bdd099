"""Loudness as heard: ITU-R BS.1770-4 (K-weighting, two gates, true peak) and EBU Tech 3341 and 3342 (windows, range).

All functions take float32 [channels, frames] at any rate from 4 kHz on. Channels are counted as L, R, C, LFE, Ls, Rs:
the LFE is left out, the surrounds weigh 1.41. A single channel is one loudspeaker, so it reads 3 LU below the same
signal on two.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sottovoce.audio import Samples
from sottovoce.dsp import levels
from sottovoce.dsp.filters import Sections, StreamFilter
from sottovoce.dsp.peaks import TruePeakMeter

Levels = NDArray[np.float64]

#: Nothing below this counts, in LUFS.
ABSOLUTE_GATE = -70.0

_OFFSET = -0.691
_HOPS_A_SECOND = 10
_MOMENTARY = 4
_SHORT_TERM = 30
_BLOCK = 1 << 16
_DENSE_RATE = 176_400


def integrated(samples: Samples, rate: int) -> float:
    """Loudness of the whole in LUFS; -inf for silence. Shorter than 400 ms, all of it is one window."""
    return _metered(samples, rate).integrated()


def momentary(samples: Samples, rate: int) -> Levels:
    """LUFS of every 400 ms window, 100 ms apart; a shorter signal is one window."""
    return _metered(samples, rate).momentary()


def short_term(samples: Samples, rate: int) -> Levels:
    """LUFS of every 3 s window, 100 ms apart; a shorter signal is one window."""
    return _metered(samples, rate).short_term()


def loudness_range(samples: Samples, rate: int) -> float:
    """LRA in LU; 0 for what is shorter than 3 s or silent."""
    return _metered(samples, rate).loudness_range()


def rms_db(samples: Samples) -> float:
    """RMS over all channels in dB against full scale (a full-scale sine is -3.01); -inf for silence or nothing."""
    if samples.size == 0:
        return -math.inf
    energy = sum(float(np.einsum("i,i->", channel, channel, dtype=np.float64)) for channel in samples)
    return levels.power_decibels(energy / samples.size)


def true_peak_db(samples: Samples, rate: int) -> float:
    """Highest true peak of all channels in dBTP; -inf for silence.

    From 176.4 kHz on the samples themselves are dense enough, as BS.1770-4 allows.
    """
    if rate >= _DENSE_RATE:
        return levels.decibels(float(np.abs(samples).max(initial=0.0)))
    meter = TruePeakMeter(samples.shape[0])
    for start in range(0, samples.shape[1], _BLOCK):
        meter.push(samples[:, start : start + _BLOCK])
    return levels.decibels(meter.peak())


def gain_for(target: float, measured: float) -> float:
    """The linear gain that brings a measured loudness to a target, both in LUFS (or both in dB); 1 for silence."""
    return levels.amplitude(target - measured) if math.isfinite(measured) else 1.0


class LoudnessMeter:
    """Loudness of a stream of blocks [channels, frames]; keeps ten numbers a second and nothing else.

    `weights` replaces the channel weights of the standard's layouts.
    """

    def __init__(self, rate: int, channels: int, *, weights: tuple[float, ...] | None = None) -> None:
        self._filter = StreamFilter(k_weighting(rate), channels)
        self._weights = np.array(weights or channel_weights(channels))
        self._hop = round(rate / _HOPS_A_SECOND)
        self._energies: list[NDArray[np.float64]] = []
        self._part = 0.0
        self._part_frames = 0

    def push(self, block: Samples) -> None:
        """Take the next block."""
        if block.shape[1] == 0:
            return
        weighted = self._filter.push(block)
        np.square(weighted, out=weighted)
        power = self._weights @ weighted
        starts = np.arange(self._hop - self._part_frames, len(power), self._hop)
        sums = np.add.reduceat(power, np.concatenate([[0], starts]))
        sums[0] += self._part
        self._part_frames = (self._part_frames + len(power)) % self._hop
        self._part = float(sums[-1]) if self._part_frames else 0.0
        self._energies.append(sums[:-1] if self._part_frames else sums)

    def integrated(self) -> float:
        """LUFS so far; -inf while there is only silence."""
        loud = self._powers(_MOMENTARY)
        loud = loud[_lufs(loud) > ABSOLUTE_GATE]
        if len(loud) == 0:
            return -math.inf
        loud = loud[_lufs(loud) > _lufs(loud.mean()) - 10]
        return float(_lufs(loud.mean()))

    def momentary(self) -> Levels:
        """LUFS of every 400 ms so far, 100 ms apart."""
        return _lufs(self._powers(_MOMENTARY))

    def short_term(self) -> Levels:
        """LUFS of every 3 s so far, 100 ms apart."""
        return _lufs(self._powers(_SHORT_TERM))

    def loudness_range(self) -> float:
        """LRA so far in LU: the span from the 10th to the 95th percentile of the gated short-term loudness."""
        windows = self._powers(_SHORT_TERM)
        windows = windows[_lufs(windows) > ABSOLUTE_GATE]
        if len(windows) < 2:
            return 0.0
        loud = _lufs(windows)
        low, high = np.percentile(loud[loud > _lufs(windows.mean()) - 20], [10, 95])
        return float(high - low)

    def _powers(self, hops: int) -> NDArray[np.float64]:
        """Mean power of every window of that many hops; of all there is while that is less than one."""
        energies = np.concatenate([np.zeros(0), *self._energies])
        if len(energies) >= hops:
            return np.convolve(energies, np.ones(hops), "valid") / (hops * self._hop)
        frames = len(energies) * self._hop + self._part_frames
        return np.array([(energies.sum() + self._part) / frames]) if frames else energies


def channel_weights(channels: int) -> tuple[float, ...]:
    """BS.1770's weights of the usual layouts: L R C, L R Ls Rs, L R C Ls Rs, L R C LFE Ls Rs, and 7.1."""
    front, surround = (1.0, 1.0, 1.0), (1.41, 1.41)
    layouts = {4: (1.0, 1.0, *surround), 5: (*front, *surround), 6: (*front, 0.0, *surround)}
    layouts[8] = (*layouts[6], *surround)
    return layouts.get(channels, (1.0,) * channels)


def k_weighting(rate: int) -> Sections:
    """The pre-filter of BS.1770 at any rate: a high shelf for the head, then a high pass.

    The standard tabulates coefficients for 48 kHz only. They are the bilinear transforms of the analogue filters whose
    frequencies, gain and Q are used here (B. De Man, "Evaluation of implementations of the EBU R128 loudness
    measurement", AES 145, 2018); at 48 kHz the table comes out again within 1e-9.
    """
    return np.array([_head_shelf(rate), _low_cut(rate)])


def _head_shelf(rate: int) -> list[float]:
    hertz, gain_db, q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
    k = math.tan(math.pi * min(hertz / rate, 0.49))
    high = 10 ** (gain_db / 20)
    band = high**0.4996667741545416
    a0 = 1 + k / q + k * k
    b = [high + band * k / q + k * k, 2 * (k * k - high), high - band * k / q + k * k]
    return [*(value / a0 for value in b), 1.0, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0]


def _low_cut(rate: int) -> list[float]:
    hertz, q = 38.13547087602444, 0.5003270373238773
    k = math.tan(math.pi * hertz / rate)
    a0 = 1 + k / q + k * k
    return [1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0]


def _metered(samples: Samples, rate: int) -> LoudnessMeter:
    meter = LoudnessMeter(rate, samples.shape[0])
    for start in range(0, samples.shape[1], _BLOCK):
        meter.push(samples[:, start : start + _BLOCK])
    return meter


def _lufs(power: NDArray[np.float64] | np.float64) -> Levels:
    """Loudness of mean K-weighted power; -inf for none."""
    heard = np.asarray(power)
    level = np.full(heard.shape, -np.inf)
    return np.asarray(_OFFSET + 10 * np.log10(heard, where=heard > 0, out=level))

"""Everything that is measured of a finished sound, in one pass over its blocks and with bounded memory."""

from __future__ import annotations

import math

import numpy as np
from pydantic import BaseModel, ConfigDict

from sottovoce.audio import ArrayReader, Audio, AudioReader, Samples
from sottovoce.dsp.bandwidth import share_above_db, upper_edge
from sottovoce.dsp.clicks import DefectMeter
from sottovoce.dsp.levels import decibels
from sottovoce.dsp.loudness import LoudnessMeter
from sottovoce.dsp.peaks import TruePeakMeter
from sottovoce.dsp.pulse import PulseMeter
from sottovoce.dsp.silence import SilenceMeter
from sottovoce.dsp.stereo import ImageMeter

_BLOCK = 1 << 17
#: Samples beyond this are as useless as those that are no numbers.
_ABSURD = 1e4
_FULL_SCALE = 0.9999
_TIMES = 20


class Measurements(BaseModel):
    """What was measured; None where there is nothing to measure, such as the loudness of silence.

    Levels are in dB against full scale, times in seconds. `clipped` counts samples in runs of three or more at full
    scale, `clicks` hard seams too, `pops` what is round, as a record's crackle, `not_finite` samples that are no usable numbers and were taken for silence. The times
    are those of the first twenty. The image is None for one channel; the rhythm is described in `dsp.pulse`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate: int
    channels: int
    frames: int
    seconds: float
    lufs: float | None
    loudness_range: float
    true_peak_db: float | None
    peak_db: float | None
    crest_db: float | None
    dc: float
    clipped: int
    not_finite: int
    clicks: int
    click_times: tuple[float, ...]
    pops: int
    pop_times: tuple[float, ...]
    dropouts: int
    dropout_times: tuple[float, ...]
    leading_silence: float
    trailing_silence: float
    longest_gap: float
    gap_at: float | None
    silent_share: float
    first_sample: float
    last_sample: float
    ending_db: float
    correlation: float | None
    low_correlation: float | None
    side_mid_db: float | None
    balance_db: float | None
    upper_edge_hz: float
    above_8k_db: float | None
    periodicity: float
    same_gap_share: float
    onset_sameness: float
    onsets_per_second: float


def measure(source: Audio | AudioReader) -> Measurements:
    """Measure samples, or a file of any length block by block."""
    reader: AudioReader = ArrayReader(source) if isinstance(source, Audio) else source
    meters = _Meters(reader.rate, reader.channels)
    for block in reader.blocks(_BLOCK):
        meters.push(block)
    return meters.measurements()


class _Meters:
    """All meters side by side, so that each block is read while it is in the processor's cache."""

    def __init__(self, rate: int, channels: int) -> None:
        self._rate, self._channels = rate, channels
        self._samples = _SampleMeter(channels)
        self._loudness = LoudnessMeter(rate, channels)
        self._true_peak = TruePeakMeter(channels)
        self._silence = SilenceMeter(rate, channels)
        self._image = ImageMeter(rate, channels)
        self._pulse = PulseMeter(rate)
        self._defects = DefectMeter(rate, channels)

    def push(self, block: Samples) -> None:
        usable = self._samples.push(block)
        for meter in (self._loudness, self._true_peak, self._silence, self._image, self._defects):
            meter.push(usable)
        self._pulse.push(usable.mean(axis=0, dtype=np.float32))

    def measurements(self) -> Measurements:
        silence, image, defects = self._silence.silence(), self._image.image(), self._defects.defects()
        pulse, power = self._pulse.pulse(), self._pulse.spectrum()
        peak_db, rms_db = _known(decibels(self._samples.peak)), _known(decibels(image.rms))
        return Measurements(
            rate=self._rate,
            channels=self._channels,
            frames=self._samples.frames,
            seconds=self._samples.frames / self._rate,
            lufs=_known(self._loudness.integrated()),
            loudness_range=self._loudness.loudness_range(),
            true_peak_db=_known(decibels(self._true_peak.peak())),
            peak_db=peak_db,
            crest_db=None if peak_db is None or rms_db is None else peak_db - rms_db,
            dc=image.dc,
            clipped=self._samples.clipped,
            not_finite=self._samples.not_finite,
            clicks=len(defects.clicks),
            click_times=tuple(at / self._rate for at in defects.clicks[:_TIMES]),
            pops=len(defects.pops),
            pop_times=tuple(at / self._rate for at in defects.pops[:_TIMES]),
            dropouts=len(defects.dropouts),
            dropout_times=tuple(each.start / self._rate for each in defects.dropouts[:_TIMES]),
            leading_silence=silence.leading,
            trailing_silence=silence.trailing,
            longest_gap=silence.longest_gap,
            gap_at=silence.gap_at,
            silent_share=silence.share,
            first_sample=self._samples.first,
            last_sample=self._samples.last,
            ending_db=silence.ending_db,
            correlation=image.correlation,
            low_correlation=image.low_correlation,
            side_mid_db=image.side_mid_db,
            balance_db=image.balance_db,
            upper_edge_hz=upper_edge(power, self._rate),
            above_8k_db=share_above_db(power, self._rate, 8000.0),
            periodicity=pulse.periodicity,
            same_gap_share=pulse.same_gap_share,
            onset_sameness=pulse.onset_sameness,
            onsets_per_second=pulse.onsets_per_second,
        )


class _SampleMeter:
    """What is told by single samples: how many, how high, how many stuck at full scale, how many no numbers."""

    def __init__(self, channels: int) -> None:
        self.frames = self.clipped = self.not_finite = 0
        self.peak = self.first = self.last = 0.0
        self._full = np.zeros((channels, 3), np.bool_)

    def push(self, block: Samples) -> Samples:
        """Take the next block, and give it back with silence for what is no usable number."""
        size = np.abs(block)
        peak = float(size.max(initial=0.0))
        if not peak <= _ABSURD:
            usable = size <= _ABSURD
            self.not_finite += int(usable.size - usable.sum())
            block, size = np.where(usable, block, np.float32(0)), np.where(usable, size, np.float32(0))
            peak = float(size.max())
        self._count_clipped(size >= _FULL_SCALE if peak >= _FULL_SCALE else np.zeros(size.shape, np.bool_))
        self.first = self.first if self.frames else float(np.abs(block[:, 0]).max())
        self.last = float(np.abs(block[:, -1]).max())
        self.peak = max(self.peak, peak)
        self.frames += block.shape[1]
        return block

    def _count_clipped(self, full: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> None:
        joined = np.concatenate([self._full, full], axis=1)
        self._full = joined[:, -3:]
        run = joined[:, :-2] & joined[:, 1:-1] & joined[:, 2:]
        begins = run[:, 1:] & ~run[:, :-1]
        self.clipped += int(run[:, 1:].sum()) + 2 * int(begins.sum())


def _known(level: float) -> float | None:
    return level if math.isfinite(level) else None

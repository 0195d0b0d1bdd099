"""The checks every output passes, for any sound: what was measured against what is tolerated."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from sottovoce.audio import Audio, AudioReader
from sottovoce.dsp.measure import Measurements, measure


class Limits(BaseModel):
    """What is tolerated; where there are two, a fault is soft beyond the first and hard beyond the second."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loudness_lu: float = 0.3
    dc: float = 1e-3
    gap: tuple[float, float] = (0.6, 1.5)
    leading: tuple[float, float] = (0.15, 1.5)
    range_lu: float = 12.0
    correlation: tuple[float, float] = (0.3, -0.3)
    low_correlation: float = 0.85
    upper_edge_hz: float = 8000.0
    cut_off: float = 0.1
    periodicity: tuple[float, float] = (0.65, 0.85)
    same_gap_share: tuple[float, float] = (0.6, 0.85)
    onset_sameness: tuple[float, float] = (0.34, 0.55)


class Fault(BaseModel):
    """Something wrong: a code, a sentence, whether the sound must not be delivered like this, and where, in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    message: str
    hard: bool
    at: float | None = None


class Inspection(Measurements):
    """What was measured, and what is wrong with it."""

    faults: tuple[Fault, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether no fault is hard."""
        return not any(fault.hard for fault in self.faults)


def inspect(
    audio: Audio | AudioReader,
    *,
    expected_frames: int | None = None,
    target_lufs: float | None = None,
    ceiling_db: float | None = -1.0,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> Inspection:
    """Measure a sound and judge it; a reader is read once, block by block, so that its length costs no memory.

    Length and loudness are judged if asked for, true peaks unless `ceiling_db` is None.
    """
    found = measure(audio)
    faults = (
        *_of_length(found, expected_frames),
        *_of_samples(found, limits),
        *_of_level(found, target_lufs, ceiling_db, limits),
        *_of_silence(found, limits),
        *_of_image(found, limits),
        *_of_rhythm(found, limits),
    )
    return Inspection(**dict(found), faults=faults)


def _of_length(found: Measurements, expected: int | None) -> Iterator[Fault]:
    if found.frames == 0:
        yield _hard("EMPTY", "there is no sound in it")
    elif expected is not None and found.frames != expected:
        yield _hard("LENGTH", f"{found.frames} frames instead of {expected} ({found.seconds:.3f} s)")


def _of_samples(found: Measurements, limits: Limits) -> Iterator[Fault]:
    if found.not_finite:
        yield _hard("NOT_FINITE", f"{found.not_finite} samples are no numbers")
    if found.clipped:
        yield _hard("CLIPPED", f"{found.clipped} samples are clipped at full scale")
    if found.clicks:
        yield _hard("CLICK", f"{found.clicks} clicks or hard seams", found.click_times[0])
    if found.pops:
        yield _soft("CRACKLE", f"{found.pops} pops, as of a record", found.pop_times[0])
    if found.dropouts:
        yield _hard("DROPOUT", f"{found.dropouts} dropouts", found.dropout_times[0])
    if found.dc > limits.dc:
        yield _hard("DC", f"the signal is off its centre by {found.dc:.4f}")
    if found.first_sample > limits.cut_off:
        yield _soft("CUT_START", "it starts in the middle of a wave", 0.0)
    if found.last_sample > limits.cut_off:
        yield _soft("CUT_END", "it breaks off in the middle of a wave", found.seconds)


def _of_level(found: Measurements, target: float | None, ceiling: float | None, limits: Limits) -> Iterator[Fault]:
    if found.lufs is None or found.true_peak_db is None:
        return
    if target is not None and abs(found.lufs - target) > limits.loudness_lu:
        yield _hard("LOUDNESS", f"{found.lufs:.1f} LUFS instead of {target:.1f}")
    if ceiling is not None and found.true_peak_db > ceiling:
        yield _hard("TRUE_PEAK", f"true peaks reach {found.true_peak_db:.2f} dBTP, over the ceiling of {ceiling:.2f}")
    if found.loudness_range > limits.range_lu:
        yield _soft("RANGE", f"the loudness ranges over {found.loudness_range:.1f} LU")


def _of_silence(found: Measurements, limits: Limits) -> Iterator[Fault]:
    if found.frames and found.lufs is None and found.silent_share == 1.0:
        yield _hard("SILENT", "it is silent from beginning to end")
        return
    if found.leading_silence > limits.leading[0]:
        late = found.leading_silence > limits.leading[1]
        yield Fault(code="LATE", message=f"it starts after {found.leading_silence:.2f} s of silence", hard=late, at=0.0)
    if found.longest_gap > limits.gap[0]:
        long = found.longest_gap > limits.gap[1]
        yield Fault(code="GAP", message=f"a gap of {found.longest_gap:.2f} s", hard=long, at=found.gap_at)


def _of_image(found: Measurements, limits: Limits) -> Iterator[Fault]:
    if found.correlation is not None and found.correlation < limits.correlation[0]:
        hollow = found.correlation < limits.correlation[1]
        message = f"the sides are nearly {'opposite' if hollow else 'unrelated'} (correlation {found.correlation:.2f})"
        yield Fault(code="PHASE", message=message, hard=hollow)
    if found.low_correlation is not None and found.low_correlation < limits.low_correlation:
        yield _soft("WIDE_BASS", f"the bass is not in the middle (correlation {found.low_correlation:.2f})")
    if 0 < found.upper_edge_hz < limits.upper_edge_hz:
        yield _soft("DULL", f"there is nothing above {found.upper_edge_hz:.0f} Hz")


def _of_rhythm(found: Measurements, limits: Limits) -> Iterator[Fault]:
    """Music may repeat itself, keep to a grid or to one sound; what does all three ticks."""
    soft, hard = (
        found.periodicity > limits.periodicity[level]
        and found.same_gap_share > limits.same_gap_share[level]
        and found.onset_sameness > limits.onset_sameness[level]
        for level in (0, 1)
    )
    if hard:
        yield _hard("TICKING", f"it ticks like a metronome (periodicity {found.periodicity:.2f})")
    elif soft:
        yield _soft("MONOTONOUS", f"its rhythm is mechanical (periodicity {found.periodicity:.2f})")


def _hard(code: str, message: str, at: float | None = None) -> Fault:
    return Fault(code=code, message=message, hard=True, at=at)


def _soft(code: str, message: str, at: float | None = None) -> Fault:
    return Fault(code=code, message=message, hard=False, at=at)

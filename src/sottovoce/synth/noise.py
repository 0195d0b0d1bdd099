"""Beds without notes: weather, tape, rooms, animals. Each is a seamless stereo loop whose length is prime to any bar."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from sottovoce.audio import DELIVERY_RATE, Samples
from sottovoce.synth.envelope import decay, rise
from sottovoce.synth.spectral import Response, band, noise, sampled
from sottovoce.synth.strike import NEUTRAL, Tone

_LOOP = scipy.fft.next_fast_len(round(11.3 * DELIVERY_RATE), real=True)
_SHORT = scipy.fft.next_fast_len(round(7.1 * DELIVERY_RATE), real=True)

Floats = NDArray[np.float64]
Generator = np.random.Generator


def bed(kind: str, start: int, frames: int, tone: Tone = NEUTRAL) -> Samples:
    """`frames` samples of a texture at unit RMS from sample `start` of an endless one, [2, frames].

    KeyError for a texture that is not in `TEXTURES`.
    """
    whole = _loop_of(kind, tone)
    turn = whole.shape[1]
    turns = (start + frames - 1) // turn - start // turn + 1
    return np.concatenate([whole] * turns, axis=1)[:, start % turn : start % turn + frames]


@lru_cache(maxsize=12)
def _loop_of(kind: str, tone: Tone) -> Samples:
    out = TEXTURES[kind](np.random.default_rng(zlib.crc32(kind.encode())))
    spectrum = scipy.fft.rfft(out, axis=1)
    spectrum *= sampled(tone.gain, out.shape[1])
    out = scipy.fft.irfft(spectrum, out.shape[1], axis=1)
    return out / np.float32(np.sqrt(np.mean(np.square(out))) + 1e-12)


def _rain(rng: Generator) -> Samples:
    """A soft bed and single drops."""
    out = _wide(
        _LOOP, lambda f: 1 / np.sqrt(1 + (f / 1_100) ** 2) * _low_cut(f, 160) / np.sqrt(1 + (f / 9_000) ** 4), rng
    )
    _scatter(out, rng, each_second=38, level=0.55, sound=lambda: _drop(rng, 1_700, 5_500, 0.004))
    return out


def _storm(rng: Generator) -> Samples:
    """Heavy rain, gusts, and thunder far away."""
    out = _rain(rng) + np.float32(0.8) * _wind(rng)[:, :_LOOP]
    rumble = _wide(_LOOP, band(35, 140), rng)
    out += rumble * (np.float32(2.2) * _swell(_LOOP, rng, periods=2, sharp=6.0))
    return out


def _vinyl(rng: Generator) -> Samples:
    """Ticks and dust of an old record, its motor far below."""
    out = np.float32(0.25) * _wide(_LOOP, lambda f: band(500, 5_000, order=1.0)(f) / (1 + (f / 2_500)), rng)
    _scatter(out, rng, each_second=9, level=5.0, sound=lambda: _tick(rng), heavy=True)
    return out + np.float32(0.12) * _wide(_LOOP, band(28, 60), rng)


def _tape(rng: Generator) -> Samples:
    """Hiss that breathes a little."""
    out = _wide(_LOOP, lambda f: _low_cut(f, 250) * np.sqrt(np.maximum(f, 200) / 3_000) / (1 + (f / 5_500) ** 2), rng)
    out *= 1 + np.float32(0.12) * _swell(_LOOP, rng, periods=5, sharp=1.0)
    return out


def _cafe(rng: Generator) -> Samples:
    """Murmur of a room without a single word, cups now and then."""
    out = np.zeros((2, _LOOP), np.float32)
    for _ in range(7):
        voice = _wide(_LOOP, band(rng.uniform(180, 320), rng.uniform(700, 1_900), order=2.0), rng, width=0.6)
        syllables = noise(_LOOP, band(0.3, rng.uniform(3.0, 4.5), order=2.0), rng)
        turn = _pair(rng.uniform(-0.8, 0.8))
        out += turn * voice * np.clip(syllables * np.float32(0.6) + np.float32(0.15), 0, 2)
    _scatter(out, rng, each_second=0.7, level=1.1, sound=lambda: _cup(rng))
    return out + np.float32(0.15) * _wide(_LOOP, band(90, 600, order=1.0), rng)


def _waves(rng: Generator) -> Samples:
    """Surf: each wave comes fast and runs out slowly."""
    far = np.float32(0.25) * _wide(_LOOP, band(60, 700, order=1.0), rng)
    wash = _wide(_LOOP, lambda f: _low_cut(f, 120) / np.sqrt(1 + (f / 900) ** 2) / np.sqrt(1 + (f / 7_000) ** 4), rng)
    return far + wash * _surf(_LOOP)


def _wind(rng: Generator) -> Samples:
    """Gusts: two bands that rise and fall on their own."""
    low = _wide(_LOOP, band(70, 380, order=1.0), rng) * (np.float32(0.4) + _swell(_LOOP, rng, periods=3, sharp=1.5))
    high = _wide(_LOOP, band(420, 900, order=2.0), rng) * _swell(_LOOP, rng, periods=4, sharp=3.0)
    return np.asarray(low + np.float32(0.45) * high)


def _birds(rng: Generator) -> Samples:
    """A few birds in a quiet garden."""
    out = np.float32(0.05) * _wide(_LOOP, band(300, 3_000, order=1.0), rng)
    _scatter(out, rng, each_second=1.1, level=1.0, sound=lambda: _chirp(rng))
    return out


def _fire(rng: Generator) -> Samples:
    """A hearth: a low roar and crackles in bursts."""
    roar = _wide(_LOOP, band(50, 420, order=1.0), rng) * (
        np.float32(0.7) + np.float32(0.4) * _swell(_LOOP, rng, periods=9, sharp=1.0)
    )
    _scatter(roar, rng, each_second=7, level=5.0, sound=lambda: _drop(rng, 900, 4_200, 0.003), heavy=True)
    return roar


def _crickets(rng: Generator) -> Samples:
    """Night: three crickets, each with its own beat, and air."""
    out = np.float32(0.12) * _wide(_SHORT, band(200, 2_500, order=1.0), rng)
    time = np.arange(_SHORT) / DELIVERY_RATE
    whole = _SHORT / DELIVERY_RATE
    for hertz, beat in ((4_150, 2.1), (4_480, 1.6), (3_820, 2.7)):
        turns, pulses = round(beat * whole) / whole, round(31 * whole) / whole
        gate = np.clip(np.sin(2 * np.pi * (turns * time + rng.random())) - 0.15, 0, 1)
        grain = np.clip(np.sin(2 * np.pi * pulses * time), 0, 1)
        tone = np.sin(2 * np.pi * round(hertz * whole) / whole * time) * gate * grain
        out += _pair(rng.uniform(-0.9, 0.9)) * tone.astype(np.float32)
    return out


TEXTURES: Mapping[str, Callable[[Generator], Samples]] = {
    "rain": _rain,
    "storm": _storm,
    "vinyl": _vinyl,
    "tape": _tape,
    "cafe": _cafe,
    "waves": _waves,
    "wind": _wind,
    "birds": _birds,
    "fire": _fire,
    "crickets": _crickets,
}


def _wide(frames: int, response: Response, rng: Generator, *, width: float = 1.0) -> Samples:
    """Periodic stereo noise; below some 250 Hz both sides are alike."""
    both = noise(frames, response, rng, channels=2, mono_below=250)
    both[1] = np.float32(np.sqrt(1 - width**2 * 0.75)) * both[0] + np.float32(width * np.sqrt(0.75)) * both[1]
    return both


def _low_cut(frequency: Floats, hertz: float) -> Floats:
    return np.asarray(1 / np.sqrt(1 + (hertz / np.maximum(frequency, 1e-3)) ** 4))


def _pair(pan: float) -> NDArray[np.float32]:
    angle = np.pi / 4 * (1 + pan)
    return np.array([[np.cos(angle)], [np.sin(angle)]], np.float32) * np.float32(np.sqrt(2))


def _swell(frames: int, rng: Generator, *, periods: int, sharp: float) -> NDArray[np.float32]:
    """A slow curve 0-1 that repeats without a seam: sums of whole turns, bent so that peaks are rare."""
    time = np.linspace(0, 2 * np.pi, frames, endpoint=False, dtype=np.float32)
    wave = sum(
        np.sin(np.float32(k) * time + np.float32(rng.uniform(0, 6.28))) / np.float32(k**0.5)
        for k in range(1, periods + 1)
    )
    unit = (wave - wave.min()) / (wave.max() - wave.min())
    return np.asarray(unit ** np.float32(sharp), np.float32)


def _surf(frames: int) -> NDArray[np.float32]:
    """Two waves a loop, steep in front; seamless because the last one runs into the first."""
    curve = np.zeros(2 * frames, np.float32)
    for at in (0.08, 0.55, 1.08, 1.55):
        start, front = int(at * frames), round(1.4 * DELIVERY_RATE)
        shape = decay(2 * frames - start, 2.1)
        shape[:front] *= rise(front)[: len(shape)] ** 2
        curve[start:] += shape * np.float32(1.0 if (at % 1) < 0.3 else 0.7)
    return curve[frames:]


def _scatter(
    out: Samples,
    rng: Generator,
    *,
    each_second: float,
    level: float,
    sound: Callable[[], NDArray[np.float32]],
    heavy: bool = False,
) -> None:
    """Throw single sounds into a loop at random moments and places; what passes the end goes on at the start."""
    frames = out.shape[1]
    spread = 0.9 if heavy else 0.5
    for _ in range(rng.poisson(each_second * frames / DELIVERY_RATE)):
        grain = sound()
        gain = level * 0.35 * np.exp(spread * rng.standard_normal() - 0.5)
        at = (int(rng.integers(frames)) + np.arange(grain.size)) % frames
        out[:, at] += _pair(rng.uniform(-0.9, 0.9)) * np.float32(gain) * grain


def _drop(rng: Generator, low: float, high: float, time: float) -> NDArray[np.float32]:
    """A drop or spark: a short falling whistle."""
    frames = round(6 * time * DELIVERY_RATE)
    hertz = np.exp(rng.uniform(np.log(low), np.log(high)))
    phase = 2 * np.pi * hertz / DELIVERY_RATE * np.arange(frames)
    start = np.minimum(1, np.arange(frames) / 24)
    return np.asarray(np.sin(phase) * decay(frames, time * rng.uniform(0.5, 1.3)) * start, np.float32)


def _tick(rng: Generator) -> NDArray[np.float32]:
    """A speck of dust under the needle."""
    frames = 96
    wave = rng.standard_normal(frames) * np.exp(-np.arange(frames) / rng.uniform(6, 22))
    return np.convolve(wave, [0.25, 0.5, 0.25], mode="same").astype(np.float32)


def _cup(rng: Generator) -> NDArray[np.float32]:
    frames = round(0.18 * DELIVERY_RATE)
    time = np.arange(frames) / DELIVERY_RATE
    hertz = rng.uniform(2_100, 3_300) * np.array([1.0, 1.52, 2.31])
    wave = sum(np.sin(2 * np.pi * f * time) * np.exp(-time / (0.03 / (k + 1))) for k, f in enumerate(hertz))
    return np.asarray(wave * np.minimum(1, np.arange(frames) / 40), np.float32)


def _chirp(rng: Generator) -> NDArray[np.float32]:
    """One call: a few quick notes that slide."""
    parts = []
    centre = rng.uniform(2_600, 5_200)
    for _ in range(int(rng.integers(2, 6))):
        frames = round(rng.uniform(0.05, 0.13) * DELIVERY_RATE)
        slide = np.linspace(rng.uniform(-0.15, 0.15), rng.uniform(-0.2, 0.2), frames)
        phase = np.cumsum(2 * np.pi * centre * 2**slide / DELIVERY_RATE)
        parts += [np.sin(phase) * np.sin(np.linspace(0, np.pi, frames)) ** 1.5, np.zeros(round(0.03 * DELIVERY_RATE))]
    return np.concatenate(parts).astype(np.float32)

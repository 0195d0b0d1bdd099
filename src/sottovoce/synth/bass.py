"""Basses, one channel each: upright, electric, and the sub that small speakers can still hear."""

from __future__ import annotations

import numpy as np

from sottovoce.audio import DELIVERY_RATE, Samples
from sottovoce.synth.envelope import at_unit_power, centred, decay, rise, seconds, soften
from sottovoce.synth.modal import modes, ring
from sottovoce.synth.spectral import band, noise
from sottovoce.synth.strike import Strike


def upright_bass(strike: Strike) -> Samples:
    """A plucked double bass: round, with wood and finger at the start and a slow bloom after it."""
    k = np.arange(1.0, 17)
    hertz = strike.hz * k * np.sqrt(1 + 1.2e-4 * k**2)
    level = (np.abs(np.sin(0.24 * np.pi * k)) + 0.03) / k ** (1.55 - 0.25 * strike.velocity)
    level *= 10 ** (strike.of_pitch("double bass").normal(0, 1.2, k.size) / 20) * strike.tone.gain(hertz)
    time = 0.9 * 2 ** (-(strike.pitch - 36) / 18) / (1 + 0.25 * (k - 1))
    out = at_unit_power(ring(modes(hertz, time, level), strike.frames), 0.3)
    out[:, : len(_bloom(out.shape[1]))] *= _bloom(out.shape[1])
    _add_thump(out, strike, (102.0, 180.0, 333.0), 0.30)
    return _finish(out, strike, drive=0.65, attack=0.004)


def electric_bass(strike: Strike) -> Samples:
    """Fingers on a long scale, flat-wound strings."""
    k = np.arange(1.0, 21)
    hertz = strike.hz * k
    level = (np.abs(np.sin(0.12 * np.pi * k)) + 0.02) / k ** (1.5 - 0.6 * strike.velocity) * strike.tone.gain(hertz)
    level /= np.sqrt(1 + (hertz / (900 + 1_700 * strike.velocity)) ** 4)
    time = 1.4 * 2 ** (-(strike.pitch - 36) / 20) / (1 + 0.12 * k)
    out = at_unit_power(ring(modes(hertz, time, level), strike.frames), 0.3)
    _add_thump(out, strike, (160.0, 420.0), 0.10)
    return _finish(out, strike, drive=0.75, attack=0.003)


def sub_bass(strike: Strike) -> Samples:
    """A bent sine with enough second and third harmonic to be heard on a phone."""
    time = seconds(strike.frames)
    settle = np.float32(2 * np.pi * strike.hz * 0.012 * 0.5) * (1 - np.exp(-time / np.float32(0.012)))
    phase = np.float32(2 * np.pi) * np.mod(time.astype(np.float64) * strike.hz, 1).astype(np.float32) + settle
    wave = np.tanh(np.float32(1.1 + strike.velocity) * np.sin(phase)) + np.float32(0.10) * np.sin(2 * phase)
    out = at_unit_power((wave * decay(strike.frames, 1.1))[None], 0.3)
    out *= np.float32(0.3 + 0.7 * strike.velocity)
    return soften(centred(out, 0.2), 0.006, 0.03)


def _bloom(frames: int) -> Samples:
    span = min(frames, round(0.09 * DELIVERY_RATE))
    return np.float32(0.72) + np.float32(0.28) * rise(span)


def _add_thump(out: Samples, strike: Strike, hertz: tuple[float, ...], level: float) -> None:
    wood = ring(modes(hertz, 0.035, level / np.arange(1.0, len(hertz) + 1)), min(out.shape[1], DELIVERY_RATE // 5))
    out[:, : wood.shape[1]] += wood * np.float32(0.4 + 0.6 * strike.velocity)
    frames = min(out.shape[1], DELIVERY_RATE // 30)
    finger = noise(DELIVERY_RATE // 30, band(500, 1_800), strike.of_variant("finger"))[:, :frames]
    out[:, :frames] += finger * decay(frames, 0.006) * np.float32(0.25 * level * strike.velocity)


def _finish(out: Samples, strike: Strike, *, drive: float, attack: float) -> Samples:
    force = np.float32(drive * (0.5 + strike.velocity))
    bent = np.tanh(force * out) / force
    bent *= np.float32(0.22 + 0.78 * strike.velocity)
    return soften(centred(bent, 0.2), attack, 0.03)

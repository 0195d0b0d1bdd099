"""Drums and cymbals by themselves, one channel each: skins as modes, wires and metal as shaped noise (808 metal after Werner 2014)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sottovoce.audio import DELIVERY_RATE, Samples
from sottovoce.synth.envelope import centred, decay, rise, seconds, soften
from sottovoce.synth.modal import modes, ring
from sottovoce.synth.spectral import band, noise, shaped
from sottovoce.synth.strike import Strike

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class Kick:
    """A bass drum: where its pitch ends (Hz), how far it falls (Hz), time constant (s), drive, level of the beater."""

    hz: float = 50.0
    fall: float = 110.0
    ring: float = 0.13
    drive: float = 1.3
    beater: float = 0.12


@dataclass(frozen=True)
class Snare:
    """A snare: shell modes (Hz), their level, wires' level and time constant (s), and where the wires lie (Hz)."""

    shell: tuple[float, float, float] = (186.0, 334.0, 492.0)
    body: float = 0.9
    wires: float = 0.42
    ring: float = 0.085
    low: float = 900.0
    high: float = 7_500.0


def kick(strike: Strike, drum: Kick) -> Samples:
    """A falling sine through soft saturation, and the beater."""
    frames, hand = _frames(0.55), strike.of_variant("kick")
    time = seconds(frames).astype(np.float64)
    pitch = drum.hz * hand.uniform(0.985, 1.015)
    turns = pitch * time + drum.fall * 0.018 * (1 - np.exp(-time / 0.018)) + 260 * 0.0025 * (1 - np.exp(-time / 0.0025))
    skin = np.sin((2 * np.pi * turns).astype(np.float32)) * decay(frames, drum.ring)
    out = np.tanh(np.float32(drum.drive) * skin) / np.float32(drum.drive) ** np.float32(0.5)
    out *= np.minimum(1, np.float32(0.35) + seconds(frames) / np.float32(0.004))
    click = noise(_frames(0.03), band(700, 3_200), hand)[0] * decay(_frames(0.03), 0.004)
    out[: click.size] += click * np.float32(drum.beater * strike.velocity)
    return soften(centred(out[None], drum.ring), 0.0006, 0.10)


def snare(strike: Strike, drum: Snare) -> Samples:
    """Shell and wires; the wires answer a moment later and die in two slopes."""
    frames, hand, v = _frames(0.42), strike.of_variant("snare"), strike.velocity
    hertz = np.array(drum.shell) * hand.uniform(0.985, 1.015)
    shell = ring(modes(hertz, [0.055, 0.038, 0.022], drum.body * np.array([1, 0.5, 0.25])), frames)[0]
    wires = noise(frames, band(drum.low * hand.uniform(0.9, 1.1), drum.high * (0.6 + 0.4 * v), order=1.5), hand)[0]
    slopes = np.float32(0.7) * decay(frames, 0.35 * drum.ring) + np.float32(0.3) * decay(frames, 1.5 * drum.ring)
    slopes[: _frames(0.003)] *= rise(_frames(0.003))
    out = shell + np.float32(drum.wires * (0.5 + 0.5 * v)) * wires * slopes
    stick = noise(_frames(0.012), band(1_500, 6_000), hand)[0] * decay(_frames(0.012), 0.002)
    out[: stick.size] += stick * np.float32(0.2 * v)
    return soften(out[None], 0.0006, 0.08)


def side_stick(strike: Strike) -> Samples:
    """The stick laid across the rim."""
    hand = strike.of_variant("side stick")
    hertz = np.array([483.0, 1_010.0, 1_705.0, 2_570.0]) * hand.uniform(0.98, 1.02)
    wood = ring(modes(hertz, [0.020, 0.014, 0.012, 0.006], [0.7, 0.35, 0.8, 0.25]), _frames(0.16))
    tick = noise(_frames(0.012), band(1_200, 5_000), hand) * decay(_frames(0.012), 0.002)
    wood[:, : tick.shape[1]] += np.float32(0.35) * tick
    return soften(wood, 0.0006, 0.04)


def clap(strike: Strike) -> Samples:
    """Four pairs of hands, never quite together, in a small room."""
    frames, hand = _frames(0.32), strike.of_variant("clap")
    curve = np.zeros(frames, np.float32)
    for at in (0.0, 0.011, 0.021):
        start = _frames(at + hand.uniform(0, 0.003))
        curve[start:] = np.maximum(curve[start:], decay(frames - start, 0.006))
    tail = _frames(0.030)
    curve[tail:] = np.maximum(curve[tail:], np.float32(0.8) * decay(frames - tail, 0.06))
    return soften(noise(frames, band(900, 3_600, order=1.5), hand) * curve, 0.0008, 0.08)


def hat(strike: Strike, *, time: float, soft: float = 1.0) -> Samples:
    """Two cymbals: six unrelated squares and noise in a high band; every variant is another spot of the metal."""
    frames, hand = _frames(min(6 * time + 0.04, 1.1)), strike.of_variant("hat")
    metal = _metal(strike.variant)[:frames] + np.float32(0.9) * noise(frames, band(5_000, 13_000), hand)[0]
    low = (4_200 + 1_800 * hand.random()) * (0.85 + 0.3 * strike.velocity)
    out = _through(metal, low, 8_500 + 2_500 * strike.velocity * soft)
    length = time * hand.uniform(0.88, 1.12)
    out *= np.float32(0.72) * decay(frames, length) + np.float32(0.28) * decay(frames, 0.3 * length)
    return soften(out[None], 0.0012, min(0.05, 2 * time))


def cymbal(strike: Strike, *, time: float, bow: float) -> Samples:
    """Ride (`bow` 1: a clear stick) or crash (`bow` 0: a wash): many modes crowded towards the top, and noise."""
    frames, hand = _frames(min(4.5 * time, 3.2)), strike.of_pitch("cymbal")
    hertz = np.exp(hand.uniform(np.log(330), np.log(13_500), 150))
    times = time * (hertz / 2_000) ** -0.45 * hand.uniform(0.5, 1.4, 150)
    level = np.abs(hand.standard_normal(150)) * (hertz / 3_000) ** (0.15 + 0.3 * strike.velocity)
    level /= np.sqrt(1 + (hertz / 9_000) ** 4) * (1 + (500 / hertz) ** 2)
    wash = ring(modes(hertz, times, level * 0.11 * (1 + 0.1 * strike.of_variant("spot").standard_normal(150))), frames)
    slow = rise(_frames(0.010 + 0.03 * (1 - bow)))
    wash[:, : slow.size] *= slow
    air = noise(frames, band(3_500, 11_000), strike.of_variant("air")) * decay(frames, 0.35 * time)
    out = wash + np.float32(0.35 * (1 - 0.7 * bow)) * air
    stick = noise(_frames(0.02), band(2_500, 7_000), strike.of_variant("tip")) * decay(_frames(0.02), 0.004)
    out[:, : stick.shape[1]] += np.float32(0.8 * bow) * stick
    return soften(out, 0.001, 0.25)


def brush_sweep(strike: Strike) -> Samples:
    """A brush drawn round the head: noise that swells and goes."""
    frames, hand = _frames(0.40), strike.of_variant("sweep")
    swell = np.exp(-(((seconds(frames) - np.float32(0.13)) / np.float32(0.08)) ** 2))
    return soften(noise(frames, band(1_100, 6_500, order=1.2), hand) * swell, 0.02, 0.06)


def brush_tap(strike: Strike) -> Samples:
    """The brush let fall on the snare."""
    frames, hand = _frames(0.26), strike.of_variant("tap")
    wires = noise(frames, band(1_000, 7_000, order=1.2), hand)[0]
    wires *= np.float32(0.6) * decay(frames, 0.020) + np.float32(0.4) * decay(frames, 0.060)
    shell = ring(modes([178.0, 322.0], [0.045, 0.03], [0.45, 0.2]), frames)[0]
    return soften((np.float32(0.6) * wires + shell)[None], 0.003, 0.06)


def shaker(strike: Strike) -> Samples:
    """Grains thrown against the front of a shell."""
    frames, hand = _frames(0.12), strike.of_variant("shaker")
    swell = np.exp(-(((seconds(frames) - np.float32(0.035)) / np.float32(0.016 + 0.004 * hand.random())) ** 2))
    return soften(noise(frames, band(4_500, 9_500, order=1.5), hand) * swell, 0.003, 0.03)


def tom(strike: Strike, *, hz: float) -> Samples:
    """A tom: a skin whose pitch falls a little, and the stick."""
    frames, hand = _frames(0.75), strike.of_variant("tom")
    hertz = hz * hand.uniform(0.99, 1.01) * np.array([1.0, 1.02, 1.59, 2.14])
    skin = ring(modes(hertz, [0.24, 0.12, 0.09, 0.06], [0.8, 0.3, 0.35, 0.18]), frames)
    stick = noise(_frames(0.02), band(700, 4_000), hand) * decay(_frames(0.02), 0.004)
    skin[:, : stick.shape[1]] += np.float32(0.22 * strike.velocity) * stick
    return soften(skin, 0.001, 0.15)


def _frames(length: float) -> int:
    return round(length * DELIVERY_RATE)


@lru_cache(maxsize=8)
def _metal(variant: int) -> Wave:
    """A second of six squares that belong to no chord, another spot of the metal for each variant."""
    hand = np.random.default_rng((0x808, variant))
    hertz = np.array([205.3, 304.4, 369.6, 522.7, 540.0, 800.0]) * hand.uniform(1.0, 1.5) * hand.uniform(0.99, 1.01, 6)
    turns = np.mod(np.outer(hertz, np.arange(_frames(1.1)) / DELIVERY_RATE) + hand.random((6, 1)), 1)
    return np.asarray(np.where(turns < 0.5, 0.4, -0.4).sum(axis=0), np.float32)


def _through(wave: Wave, low: float, high: float) -> Wave:
    out: Wave = shaped(wave, band(low, high, order=2.0))
    return out / np.float32(np.sqrt(np.mean(np.square(out))) + 1e-9)

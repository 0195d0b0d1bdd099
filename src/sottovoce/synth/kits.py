"""Drum kits: General MIDI keys to drums, each with its level, its place between the speakers, and the room around them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from sottovoce.audio import DELIVERY_RATE, Samples
from sottovoce.synth.drums import (
    Kick,
    Snare,
    brush_sweep,
    brush_tap,
    clap,
    cymbal,
    hat,
    kick,
    shaker,
    side_stick,
    snare,
    tom,
)
from sottovoce.synth.envelope import decay, soften
from sottovoce.synth.spectral import band, noise, sampled, shaped
from sottovoce.synth.strike import Strike


@dataclass(frozen=True)
class Piece:
    """One drum in a kit: how it sounds, level in dB, pan -1 to 1, how much room is around it."""

    sound: Callable[[Strike], Samples]
    level_db: float
    pan: float = 0.0
    room: float = 0.3


LOFI: Mapping[int, Piece] = {
    35: Piece(partial(kick, drum=Kick(hz=47, fall=70, beater=0.05)), 0.0, room=0.05),
    36: Piece(partial(kick, drum=Kick()), 0.0, room=0.05),
    37: Piece(side_stick, -8.0, 0.08, 0.35),
    38: Piece(partial(snare, drum=Snare()), -4.0, 0.04, 0.35),
    39: Piece(clap, -6.0, -0.06, 0.45),
    40: Piece(brush_sweep, -15.0, -0.12, 0.3),
    41: Piece(partial(tom, hz=88), -6.0, 0.35, 0.35),
    42: Piece(partial(hat, time=0.036), -13.5, 0.22, 0.2),
    44: Piece(partial(hat, time=0.022), -16.5, 0.22, 0.2),
    45: Piece(partial(tom, hz=118), -6.0, 0.12, 0.35),
    46: Piece(partial(hat, time=0.22), -17.0, 0.22, 0.2),
    48: Piece(partial(tom, hz=158), -6.0, -0.18, 0.35),
    49: Piece(partial(cymbal, time=0.85, bow=0.0), -14.0, -0.30, 0.3),
    51: Piece(partial(cymbal, time=0.75, bow=1.0), -17.0, -0.25, 0.25),
    70: Piece(shaker, -18.0, -0.30, 0.2),
}

BRUSH: Mapping[int, Piece] = {
    **LOFI,
    35: Piece(partial(kick, drum=Kick(hz=56, fall=40, ring=0.15, drive=0.8, beater=0.03)), -3.0, room=0.25),
    36: Piece(partial(kick, drum=Kick(hz=56, fall=45, ring=0.15, drive=0.8, beater=0.05)), -3.0, room=0.25),
    38: Piece(brush_tap, -6.0, 0.05, 0.45),
    40: Piece(brush_sweep, -11.0, -0.10, 0.4),
    42: Piece(partial(hat, time=0.030, soft=0.8), -16.0, 0.25, 0.35),
    51: Piece(partial(cymbal, time=0.95, bow=0.8), -16.0, -0.25, 0.35),
}


def drum_kit_lofi(strike: Strike) -> Samples:
    """A dusty kit in a small carpeted room."""
    return _hit(LOFI, strike, dust=1.0)


def drum_kit_brush(strike: Strike) -> Samples:
    """A jazz kit played with brushes."""
    return _hit(BRUSH, strike, dust=0.0)


def hit_seconds(pitch: int) -> float:
    """How long a hit can be heard, whatever its note says."""
    return {49: 3.2, 51: 3.2, 46: 1.1, 41: 0.9, 45: 0.9, 48: 0.9}.get(pitch, 0.6)


def _hit(kit: Mapping[int, Piece], strike: Strike, *, dust: float) -> Samples:
    """A drum of the kit (the snare for a key it does not have), worn by `dust`, placed and put into the room."""
    piece = kit.get(strike.pitch, kit[38])
    dry = piece.sound(strike)[0]
    if dust:
        dry = np.tanh(np.float32(1.0 + 0.5 * dust) * dry) / np.float32(1.0 + 0.35 * dust)
    out = _in_room(dry, piece, strike)
    level = 10 ** (piece.level_db / 20) * (0.06 + 0.94 * strike.velocity**1.5)
    return out * np.float32(level)


def _in_room(dry: NDArray[np.float32], piece: Piece, strike: Strike) -> Samples:
    frames = len(dry) + _ROOM
    size = scipy.fft.next_fast_len(frames, real=True)
    spectrum = scipy.fft.rfft(dry, size)
    spectrum *= sampled(strike.tone.gain, size)
    angle = np.pi / 4 * (1 + piece.pan)
    sides = np.sqrt(2) * np.array([[np.cos(angle)], [np.sin(angle)]])
    space = sides.astype(np.float32) + np.float32(piece.room) * _room_spectrum(size)
    out: Samples = scipy.fft.irfft(spectrum[None] * space, size, axis=1)[:, :frames]
    return soften(out, 0.0006, 0.05)


_ROOM = round(0.16 * DELIVERY_RATE)


@lru_cache(maxsize=32)
def _room_spectrum(size: int) -> NDArray[np.complex64]:
    """A small damped room: noise that dies within a sixth of a second, two early reflections; [2, bins]."""
    rng = np.random.default_rng(0x51D)
    tail = shaped(noise(_ROOM, band(220, 5_000, order=1.0), rng, channels=2), band(180, 6_000, order=1.0))
    tail *= decay(_ROOM, 0.032) * np.float32(0.05)
    for channel, frame, level in ((0, 190, 0.30), (1, 263, 0.27), (0, 521, -0.2), (1, 466, -0.22)):
        tail[channel, frame] += np.float32(level)
    return np.asarray(scipy.fft.rfft(soften(tail, 0.002, 0.04), size, axis=1))

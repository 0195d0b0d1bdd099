"""What each of the fifteen moods changes in a style: mode, tempo, register, density, velocity, tone, space, harmony."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Modifier:
    """A mood as numbers: `valence` and `arousal` -1 to 1 place it among the others; the rest multiplies or adds to the style."""

    valence: float
    arousal: float
    #: Modes it likes, the first most.
    modes: tuple[str, ...]
    tempo: float = 1.0
    #: Semitones by which lead and comp move.
    register: int = 0
    density: float = 1.0
    #: MIDI velocity, and how far it swings.
    velocity: float = 72.0
    swing: float = 8.0
    #: dB per octave that the whole is brighter (or, negative, darker).
    tilt_db: float = 0.0
    reverb: float = 1.0
    #: Length of notes against the written one.
    legato: float = 1.0
    #: Length of chords against the style's.
    chord_pace: float = 1.0
    energy: float = 0.0
    drive_db: float = 0.0
    wow: float = 1.0
    #: Most parts at once; None is the style's own.
    most_parts: int | None = None
    without: tuple[str, ...] = ()


MODIFIERS: dict[str, Modifier] = {
    "happy": Modifier(0.8, 0.4, ("ionian", "mixolydian"), 1.06, 3, 1.15, 84, 8, 1.0, 0.9, 0.8, energy=0.08),
    "sad": Modifier(-0.7, -0.4, ("aeolian", "dorian"), 0.86, -3, 0.75, 58, 7, -1.2, 1.15, 1.05, energy=-0.08),
    "calm": Modifier(0.4, -0.7, ("ionian", "lydian"), 0.88, 0, 0.65, 56, 6, -0.6, 1.3, 1.0, 1.6, energy=-0.12),
    "energetic": Modifier(
        0.5, 0.9, ("mixolydian", "dorian"), 1.12, 2, 1.4, 98, 8, 0.8, 0.8, 0.9, energy=0.15, drive_db=3
    ),
    "romantic": Modifier(0.6, -0.1, ("ionian",), 0.92, 0, 0.85, 68, 12, -0.3, 1.15, 1.05),
    "dramatic": Modifier(-0.3, 0.7, ("harmonic_minor", "aeolian"), 1.0, -4, 1.1, 92, 18, -0.3, 1.2, energy=0.1),
    "playful": Modifier(0.7, 0.5, ("ionian", "lydian"), 1.08, 4, 1.0, 78, 14, 0.8, 0.8, 0.6, energy=0.03),
    "nostalgic": Modifier(0.1, -0.3, ("dorian", "ionian"), 0.94, -1, 0.85, 64, 8, -0.8, 1.1, wow=1.6),
    "mysterious": Modifier(
        -0.3, -0.1, ("dorian", "phrygian", "aeolian"), 0.92, -4, 0.7, 60, 10, -0.8, 1.3, energy=-0.06
    ),
    "inspiring": Modifier(0.7, 0.5, ("ionian", "lydian"), 1.04, 2, 1.1, 82, 14, 0.5, 1.1, energy=0.08),
    "peaceful": Modifier(
        0.6, -0.8, ("ionian", "lydian"), 0.84, 1, 0.55, 52, 6, -0.5, 1.25, 1.05, 1.6, energy=-0.15, without=("kit",)
    ),
    "melancholic": Modifier(-0.5, -0.5, ("aeolian", "dorian"), 0.88, -2, 0.75, 58, 9, -0.9, 1.15, 1.05, energy=-0.06),
    "uplifting": Modifier(0.8, 0.6, ("ionian",), 1.06, 3, 1.2, 88, 10, 0.8, 1.0, energy=0.12),
    "tender": Modifier(
        0.5, -0.5, ("ionian", "mixolydian"), 0.9, 2, 0.7, 55, 8, -0.5, 1.1, 1.05, energy=-0.08, most_parts=4
    ),
    "exciting": Modifier(
        0.6, 1.0, ("mixolydian", "dorian"), 1.15, 3, 1.5, 100, 10, 1.0, 0.8, 0.85, energy=0.2, drive_db=3
    ),
}

NEUTRAL = Modifier(0.2, -0.2, ())


def modifier(names: Sequence[str]) -> Modifier:
    """The numbers of up to two moods averaged (the first wins the modes); neutral for none."""
    found = [MODIFIERS[name] for name in names[:2]]
    if not found:
        return NEUTRAL
    first, last = found[0], found[-1]
    return Modifier(
        valence=_mean(first.valence, last.valence),
        arousal=_mean(first.arousal, last.arousal),
        modes=first.modes,
        tempo=_mean(first.tempo, last.tempo),
        register=round(_mean(first.register, last.register)),
        density=_mean(first.density, last.density),
        velocity=_mean(first.velocity, last.velocity),
        swing=_mean(first.swing, last.swing),
        tilt_db=_mean(first.tilt_db, last.tilt_db),
        reverb=_mean(first.reverb, last.reverb),
        legato=_mean(first.legato, last.legato),
        chord_pace=_mean(first.chord_pace, last.chord_pace),
        energy=_mean(first.energy, last.energy),
        drive_db=_mean(first.drive_db, last.drive_db),
        wow=_mean(first.wow, last.wow),
        most_parts=first.most_parts,
        without=first.without,
    )


def _mean(one: float, other: float) -> float:
    return (one + other) / 2

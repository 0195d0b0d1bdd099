"""Scales, roman numerals and chords, in pitch classes (semitones above C) and intervals (semitones above a root)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from sottovoce.composer.notation import ChordSpan

MODES: dict[str, tuple[int, ...]] = {
    "ionian": (0, 2, 4, 5, 7, 9, 11),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "aeolian": (0, 2, 3, 5, 7, 8, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "harmonic_minor": (0, 2, 3, 5, 7, 8, 11),
}

#: Quality -> intervals above the root, the root first.
QUALITIES: dict[str, tuple[int, ...]] = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "dim": (0, 3, 6),
    "aug": (0, 4, 8),
    "5": (0, 7),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
    "add9": (0, 4, 7, 14),
    "madd9": (0, 3, 7, 14),
    "6": (0, 4, 7, 9),
    "m6": (0, 3, 7, 9),
    "69": (0, 4, 7, 9, 14),
    "m69": (0, 3, 7, 9, 14),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "m7": (0, 3, 7, 10),
    "mM7": (0, 3, 7, 11),
    "m7b5": (0, 3, 6, 10),
    "dim7": (0, 3, 6, 9),
    "9": (0, 4, 7, 10, 14),
    "maj9": (0, 4, 7, 11, 14),
    "m9": (0, 3, 7, 10, 14),
    "m11": (0, 3, 7, 10, 17),
    "13": (0, 4, 10, 14, 21),
    "maj13": (0, 4, 11, 14, 21),
    "7sus": (0, 5, 7, 10),
    "9sus": (0, 5, 7, 10, 14),
    "13sus": (0, 5, 10, 14, 21),
    "7b9": (0, 4, 7, 10, 13),
    "7#9": (0, 4, 7, 10, 15),
    "7alt": (0, 4, 10, 13, 20),
    "maj7#11": (0, 4, 7, 11, 18),
}

#: What stands behind a numeral -> quality for upper and for lower case, and the inversion (0 root position).
_SUFFIXES: dict[str, tuple[str, str, int]] = {
    "": ("maj", "min", 0),
    "5": ("5", "5", 0),
    "6": ("maj", "min", 1),
    "64": ("maj", "min", 2),
    "7": ("7", "m7", 0),
    "65": ("7", "m7", 1),
    "43": ("7", "m7", 2),
    "42": ("7", "m7", 3),
    "M7": ("maj7", "mM7", 0),
    "M9": ("maj9", "mM7", 0),
    "M13": ("maj13", "mM7", 0),
    "M7#11": ("maj7#11", "mM7", 0),
    "m7": ("m7", "m7", 0),
    "m9": ("m9", "m9", 0),
    "9": ("9", "m9", 0),
    "11": ("9sus", "m11", 0),
    "13": ("13", "m9", 0),
    "add6": ("6", "m6", 0),
    "69": ("69", "m69", 0),
    "add9": ("add9", "madd9", 0),
    "sus": ("sus4", "sus4", 0),
    "sus2": ("sus2", "sus2", 0),
    "sus4": ("sus4", "sus4", 0),
    "7sus": ("7sus", "7sus", 0),
    "9sus": ("9sus", "9sus", 0),
    "13sus": ("13sus", "13sus", 0),
    "7b9": ("7b9", "m7", 0),
    "7#9": ("7#9", "m7", 0),
    "7alt": ("7alt", "m7", 0),
    "+": ("aug", "aug", 0),
    "o": ("dim", "dim", 0),
    "o7": ("dim7", "dim7", 0),
    "ø7": ("m7b5", "m7b5", 0),
}

_DEGREES = {"I": 0, "II": 2, "III": 4, "IV": 5, "V": 7, "VI": 9, "VII": 11}
_NUMERAL = re.compile(r"^([b#]?)(VII|VI|V|IV|III|II|I|vii|vi|v|iv|iii|ii|i)([^/]*)(?:/(.+))?$")
_STEP = re.compile(r"^([b#]?)([1-7])$")
_ACCIDENTALS = {"": 0, "b": -1, "#": 1}


@dataclass(frozen=True)
class Chord:
    """A chord: root and bass as pitch classes, quality of `QUALITIES`, and the numeral it was written as."""

    root: int
    quality: str
    bass: int
    roman: str


@lru_cache(maxsize=4096)
def chord(roman: str, tonic: int) -> Chord:
    """The chord of a numeral above a tonic: `bVIM7`, `ivm9`, `V7#9`, `#ivø7`, `V7/ii`, `I/3`, `bVII/1`; ValueError for others.

    Degrees count along the major scale, `b` and `#` move them; upper case has a major third, lower case a minor one; `6`, `64`, `65`, `43`
    and `42` are inversions (an added sixth is `add6`); behind a slash stands a bass step or the chord that the numeral belongs to.
    """
    match = _NUMERAL.match(roman)
    if match is None or match[3].strip("()") not in _SUFFIXES:
        raise ValueError(f"{roman!r} is no roman numeral this theory knows")
    accidental, degree, suffix, below = match.groups()
    if below and _NUMERAL.match(below):
        inner = chord(f"{accidental}{degree}{suffix}", chord(below, tonic).root)
        return Chord(inner.root, inner.quality, inner.bass, roman)
    root = (tonic + _ACCIDENTALS[accidental] + _DEGREES[degree.upper()]) % 12
    upper, lower, inversion = _SUFFIXES[suffix.strip("()")]
    quality = upper if degree.isupper() else lower
    bass = (tonic + _step(below, roman)) % 12 if below else (root + QUALITIES[quality][inversion]) % 12
    return Chord(root, quality, bass, roman)


def _step(text: str, roman: str) -> int:
    match = _STEP.match(text)
    if match is None:
        raise ValueError(f"{roman!r} has no bass step this theory knows behind its slash")
    return _ACCIDENTALS[match[1]] + MODES["ionian"][int(match[2]) - 1]


def tones(span: Chord | ChordSpan) -> tuple[int, ...]:
    """The pitch classes of a chord, the root first; a foreign bass note is not among them."""
    return tuple((span.root + interval) % 12 for interval in QUALITIES[span.quality])


def scale(mode: str, tonic: int) -> frozenset[int]:
    """The pitch classes of a mode above a tonic."""
    return frozenset((tonic + interval) % 12 for interval in MODES[mode])


def scale_over(pitch_classes: frozenset[int], span: ChordSpan) -> frozenset[int]:
    """The scale bent to a chord: its tones come in, and what stands a semitone from a foreign one goes out."""
    inside = set(tones(span))
    foreign = inside - pitch_classes
    clashing = {(tone + side) % 12 for tone in foreign for side in (-1, 1)} - inside
    return frozenset((pitch_classes - clashing) | inside)


def avoid(span: ChordSpan) -> frozenset[int]:
    """Pitch classes that rub against a chord: a semitone above or below one of its tones, and none themselves."""
    inside = set(tones(span))
    return frozenset({(tone + side) % 12 for tone in inside for side in (-1, 1)} - inside)


def third(span: Chord | ChordSpan) -> int:
    """The interval that tells the colour: third, or what is suspended for it (7 in a bare fifth)."""
    return QUALITIES[span.quality][1]


def seventh(span: Chord | ChordSpan) -> int:
    """The seventh or sixth above the root; the octave where there is none."""
    return next((i for i in QUALITIES[span.quality] if i in (9, 10, 11)), 12)


def fifth(span: Chord | ChordSpan) -> int:
    """The fifth as the chord has it: 6, 7 or 8."""
    return next((i for i in QUALITIES[span.quality] if i in (6, 7, 8)), 7)


def ladder(pitch_classes: frozenset[int], low: int, high: int) -> list[int]:
    """The MIDI pitches of a scale from `low` to `high`."""
    return [pitch for pitch in range(low, high + 1) if pitch % 12 in pitch_classes]


def nearest(pitch: float, pitch_classes: frozenset[int] | set[int]) -> int:
    """The MIDI pitch of a set of pitch classes that lies nearest; the lower of two alike."""
    middle = round(pitch)
    return min(range(middle - 6, middle + 7), key=lambda p: (p % 12 not in pitch_classes, abs(p - pitch), p))


def name(root: int, quality: str, bass: int) -> str:
    """A chord as a chart writes it: `Fmaj9`, `Am7/G`."""
    letters = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
    plain = {"maj": "", "min": "m"}.get(quality, quality)
    return f"{letters[root]}{plain}" + (f"/{letters[bass]}" if bass != root else "")

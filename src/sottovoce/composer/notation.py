"""Notes on paper: notes, chords, sections and the tempo map, in beats (quarter notes) and seconds."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True)
class Note:
    """One note: start and length in beats, MIDI pitch (drums: General MIDI key), velocity 1-127.

    `shift` is the human displacement in seconds, applied after the tempo map; `slide` is semitones to glide from.
    """

    start: float
    length: float
    pitch: int
    velocity: int
    shift: float = 0.0
    slide: float = 0.0


@dataclass(frozen=True)
class Part:
    """The notes of one player: its name, the stem it belongs to, and the instrument of `synth` it plays."""

    name: str
    stem: str
    instrument: str
    notes: tuple[Note, ...]
    #: Level in dB beside the style's default, pan -1 (left) to 1 (right), share sent to the reverb 0-1.
    gain_db: float = 0.0
    pan: float = 0.0
    send: float = 0.3


@dataclass(frozen=True)
class Texture:
    """A bed without notes (rain, vinyl, tape, ...): from beat to beat, level in dBFS RMS."""

    kind: str
    start: float
    end: float
    level_db: float


@dataclass(frozen=True)
class ChordSpan:
    """A chord: start and length in beats, root 0-11, quality (`maj9`), bass note 0-11, roman numeral."""

    start: float
    length: float
    root: int
    quality: str
    bass: int
    roman: str


@dataclass(frozen=True)
class SectionSpan:
    """A section of the form: name, start and length in beats, energy 0-1, names of the parts that play."""

    name: str
    start: float
    length: float
    energy: float
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class TempoMap:
    """Piecewise constant tempo: (beat, seconds, bpm) in rising order, the first at beat 0."""

    points: tuple[tuple[float, float, float], ...]

    def seconds(self, beat: float) -> float:
        """When a beat sounds."""
        at, start, bpm = self.points[max(0, bisect_right([p[0] for p in self.points], beat) - 1)]
        return start + (beat - at) * 60 / bpm

    def beat(self, seconds: float) -> float:
        """Which beat sounds at a time."""
        at, start, bpm = self.points[max(0, bisect_right([p[1] for p in self.points], seconds) - 1)]
        return at + (seconds - start) * bpm / 60


@dataclass(frozen=True)
class Notation:
    """A whole piece on paper; `seconds` is its exact length with the ring of the last chord."""

    seconds: float
    tempo: TempoMap
    beats_per_bar: float
    time_signature: str
    key_root: int
    minor: bool
    sections: tuple[SectionSpan, ...]
    chords: tuple[ChordSpan, ...]
    parts: tuple[Part, ...]
    textures: tuple[Texture, ...] = ()

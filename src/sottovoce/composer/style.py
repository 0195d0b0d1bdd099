"""What a style is: data only. A new style is a new file in `styles/`; nothing else changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sottovoce.composer.mix import MixStyle

#: What a player does; each role has one way of writing notes.
Role = Literal["bass", "drone", "figure", "comp", "pad", "swell", "loop", "lead", "answer", "counter", "double", "kit"]

#: Cells by time signature ("4/4", "3/4", "6/8"; 2/4 is written as halves of 4/4); "4/4" must be there, others are cut from it.
Cells = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Player:
    """One player of a style.

    `cells` are one bar each, in the words of the role:
    bass and figure: `beat:degree:length`, degrees R b2 3 5 7 8 9 10 12 and `a` (approach to the next root);
    comp: `beat:length:voices`, voices `c` all, `r` rolled, `t` the two on top, `l` the lowest, or a digit counted from below;
    lead: two bars of sixteenths, `x` onset, `-` held, `.` rest;
    kit: rows of sixteenths (`K 9......5`), velocity 1-9, joined by `;`, from sparse to full;
    loop: `length in beats|beat beat beat`.
    The other roles need none: a pad and a drone hold, swells lead into chords, a counter and a double follow the lead.
    """

    name: str
    role: Role
    stem: str
    #: Instruments of `synth` with their weights.
    instruments: tuple[tuple[str, float], ...]
    #: Least energy of a section in which it plays.
    threshold: float
    #: Register in MIDI pitches.
    low: int
    high: int
    cells: Cells = field(default_factory=dict)
    gain_db: float = 0.0
    pan: float = 0.0
    send: float = 0.3
    #: Loudness against the others, multiplies velocity.
    weight: float = 1.0
    voices: int = 4
    #: Notes ring on until the chord changes, as under a pedal.
    pedal: bool = False
    #: Usual displacement in milliseconds: how far this player leans back (or, negative, ahead).
    habit_ms: float = 0.0
    #: Share of tracks in which this player is there at all.
    presence: float = 1.0
    #: Another player's name, whose instrument this one shares (two hands on one piano).
    partner: str = ""


@dataclass(frozen=True)
class Progression:
    """Numerals, `|` between chords, `,` between two in the time of one; for sections by letter, in some modes."""

    romans: str
    modes: tuple[str, ...]
    letters: str = "ABC"
    weight: float = 1.0


@dataclass(frozen=True)
class Style:
    """Everything that makes a style sound like itself."""

    name: str
    title: str
    #: Slowest, usual and fastest tempo in quarter notes a minute.
    bpm: tuple[float, float, float]
    #: Modes with weights, keys (as pitch-class names) that suit major-like and minor-like ones.
    modes: tuple[tuple[str, float], ...]
    major_keys: tuple[str, ...]
    minor_keys: tuple[str, ...]
    progressions: tuple[Progression, ...]
    #: Cadences with their modes; the last chord is the end.
    cadences: tuple[Progression, ...]
    #: Numerals that lead from the end of a section into the next chord, above its root; none: sections join softly.
    turnarounds: tuple[str, ...]
    players: tuple[Player, ...]
    #: Energy of each kind of section, 0-1: intro A A' B C break A'' B' outro.
    energies: Mapping[str, float]
    mix: MixStyle
    #: Integrated loudness in LUFS.
    loudness: float
    #: Time signatures it likes, with weights.
    meters: tuple[tuple[str, float], ...] = (("4/4", 1.0),)
    #: Off-beats stand at this share of a pair (0.5 straight) of notes of `swing_unit` beats.
    swing: float = 0.5
    swing_unit: float = 0.25
    #: How long a chord likes to last, and a section, in seconds.
    chord_seconds: float = 3.0
    section_seconds: tuple[float, float] = (10.0, 24.0)
    #: Seconds the last chord rings: least, usual, most.
    ring: tuple[float, float, float] = (2.5, 3.4, 5.0)
    #: Tempo at the very end against the tempo before, and how many beats it takes; 1: none.
    ritardando: float = 1.0
    ritardando_beats: float = 0.0
    #: Tempo moves by this share within a phrase.
    rubato: float = 0.0
    #: Share of a lead's bars in which it plays.
    lead_share: float = 0.65
    #: Onsets of the lead per bar of four beats.
    lead_density: float = 3.5
    #: Deviation of the timing in milliseconds.
    noise_ms: float = 3.0
    #: Fills before edges, 0-1.
    fills: float = 0.85
    #: Outer voices must not move in parallel fifths or octaves.
    strict: bool = False
    #: Beds that are always there: kind and level in dBFS.
    textures: tuple[tuple[str, float], ...] = ()
    #: Words for titles: what and where.
    title_words: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

"""Notation as a standard MIDI file: format 1, 480 ticks to the quarter note, tempo map, markers, one track for each part."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import chain

from sottovoce.composer.notation import Notation, Note, Part, TempoMap

TICKS = 480
_DRUM_CHANNEL = 9

#: Instruments of `synth` -> General MIDI programs, counted from 0.
PROGRAMS: dict[str, int] = {
    "felt_piano": 0,
    "grand_piano": 0,
    "e_piano": 4,
    "reversed_piano": 0,
    "upright_bass": 32,
    "electric_bass": 33,
    "sub_bass": 38,
    "nylon_guitar": 24,
    "muted_guitar": 28,
    "flute": 73,
    "vibes": 11,
    "kalimba": 108,
    "bell": 14,
    "pad_warm": 89,
    "pad_dark": 95,
    "choir": 52,
    "string_ensemble": 48,
}

#: An event: tick, order among events of the same tick, bytes.
_Event = tuple[int, int, bytes]
#: Sharps (positive) or flats of the major keys, from C upwards by semitones.
_SIGNATURES = (0, -5, 2, -3, 4, -1, 6, 1, -4, 3, -2, 5)


def to_midi(notation: Notation) -> bytes:
    """The file's bytes; notes stand where they are played, displaced as on the audio."""
    tracks = [_conductor(notation), *(_part(part, index, notation.tempo) for index, part in enumerate(notation.parts))]
    header = b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks), TICKS)
    return header + b"".join(b"MTrk" + struct.pack(">I", len(track)) + track for track in tracks)


def _conductor(notation: Notation) -> bytes:
    numerator, denominator = (int(part) for part in notation.time_signature.split("/"))
    signature = _SIGNATURES[(notation.key_root + (3 if notation.minor else 0)) % 12]
    events: list[_Event] = [
        (0, 0, _text(3, "Sottovoce")),
        (0, 1, _meta(0x58, bytes((numerator, denominator.bit_length() - 1, 36 if denominator == 8 else 24, 8)))),
        (0, 2, _meta(0x59, struct.pack(">bB", signature, notation.minor))),
    ]
    events += [
        (_ticks(beat), 3, _meta(0x51, round(6e7 / bpm).to_bytes(3, "big"))) for beat, _, bpm in notation.tempo.points
    ]
    events += [(_ticks(section.start), 4, _text(6, section.name)) for section in notation.sections]
    return _track(events, _ticks(notation.tempo.beat(notation.seconds)))


def _part(part: Part, index: int, tempo: TempoMap) -> bytes:
    drums = part.instrument.startswith("drum_kit")
    channel = _DRUM_CHANNEL if drums else (index % 15) + (index % 15 >= _DRUM_CHANNEL)
    events: list[_Event] = [(0, 0, _text(3, part.name))]
    if not drums:
        events.append((0, 1, bytes((0xC0 | channel, PROGRAMS.get(part.instrument, 0)))))
    events.append((0, 2, bytes((0xB0 | channel, 10, round(64 + 63 * max(-1.0, min(1.0, part.pan)))))))
    events += chain.from_iterable(_note(note, channel, tempo) for note in part.notes)
    return _track(events, max((tick for tick, _, _ in events), default=0))


def _note(note: Note, channel: int, tempo: TempoMap) -> tuple[_Event, _Event]:
    start = _ticks(tempo.beat(max(0.0, tempo.seconds(note.start) + note.shift)))
    end = max(start + 1, _ticks(tempo.beat(max(0.0, tempo.seconds(note.start + note.length) + note.shift))))
    on = bytes((0x90 | channel, note.pitch, note.velocity))
    return (start, 6, on), (end, 5, bytes((0x80 | channel, note.pitch, 0)))


def _track(events: Iterable[_Event], end: int) -> bytes:
    body = bytearray()
    now = 0
    for tick, _, data in sorted(events, key=lambda event: event[:2]):
        body += _variable(tick - now) + data
        now = tick
    return bytes(body + _variable(max(0, end - now)) + _meta(0x2F, b""))


def _ticks(beat: float) -> int:
    return round(beat * TICKS)


def _variable(number: int) -> bytes:
    """A variable-length quantity: seven bits a byte, the highest first."""
    parts = [number & 0x7F]
    while number := number >> 7:
        parts.append(0x80 | (number & 0x7F))
    return bytes(reversed(parts))


def _meta(kind: int, data: bytes) -> bytes:
    return bytes((0xFF, kind)) + _variable(len(data)) + data


def _text(kind: int, words: str) -> bytes:
    return _meta(kind, words.encode("utf-8"))

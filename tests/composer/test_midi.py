from __future__ import annotations

import io

import mido
import pytest

from sottovoce.composer.brief import Brief
from sottovoce.composer.compose import Piece, compose
from sottovoce.composer.midi import TICKS, to_midi


@pytest.fixture(scope="module")
def piece() -> Piece:
    return compose(Brief("lofi", 45, 3))


def opened(piece: Piece) -> mido.MidiFile:
    return mido.MidiFile(file=io.BytesIO(to_midi(piece.notation)))


def test_it_opens_elsewhere(piece: Piece) -> None:
    midi = opened(piece)
    assert (midi.type, midi.ticks_per_beat) == (1, TICKS)
    assert [track.name for track in midi.tracks[1:]] == [part.name for part in piece.notation.parts]
    assert midi.length == pytest.approx(piece.notation.seconds, abs=0.02)


def test_every_note_begins_where_it_sounds(piece: Piece) -> None:
    midi = opened(piece)
    tempo = piece.notation.tempo
    for track, part in zip(midi.tracks[1:], piece.notation.parts, strict=True):
        now, starts = 0, []
        for message in track:
            now += message.time
            if message.type == "note_on" and message.velocity:
                starts.append((now, message.note, message.velocity))
        wanted = sorted(
            (round(tempo.beat(max(0.0, tempo.seconds(n.start) + n.shift)) * TICKS), n.pitch, n.velocity)
            for n in part.notes
        )
        assert sorted(starts) == wanted


def test_markers_meter_key_and_drum_channel(piece: Piece) -> None:
    midi = opened(piece)
    conductor = midi.tracks[0]
    assert [m.text for m in conductor if m.type == "marker"] == [s.name for s in piece.notation.sections]
    signature = next(m for m in conductor if m.type == "time_signature")
    assert f"{signature.numerator}/{signature.denominator}" == piece.notation.time_signature
    drums = next(t for t in midi.tracks if t.name == "drums")
    assert {m.channel for m in drums if m.type == "note_on"} == {9}


@pytest.mark.parametrize(
    ("key", "written"), [("A minor", "Am"), ("F major", "F"), ("C# minor", "C#m"), ("Eb major", "Eb")]
)
def test_key_signatures(key: str, written: str) -> None:
    midi = opened(compose(Brief(f"piano solo in {key}", 20, 1)))
    assert next(m.key for m in midi.tracks[0] if m.type == "key_signature") == written


def test_tempo_map_reaches_the_end(piece: Piece) -> None:
    slowed = compose(Brief("piano solo", 40, 2))
    midi = opened(slowed)
    assert len([m for m in midi.tracks[0] if m.type == "set_tempo"]) == len(slowed.notation.tempo.points)
    assert midi.length == pytest.approx(40, abs=0.03)

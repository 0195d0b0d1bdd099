"""A track's beats are those of its recipe, and where it has none those that are heard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.library.conftest import MakeTrack

from sottovoce.audio import Audio
from sottovoce.library.structure import Heard, listen, structure
from sottovoce.library.track import Track, made
from sottovoce.library.tracks import Library
from sottovoce.media.encode import encode, format_of
from sottovoce.recipe import EngineUsed, Recipe, Section, TempoPoint

NOTHING = Heard(None, None, (), 0)
HEARD = Heard(120.0, "C major", (0.5, 1.0, 1.5, 2.0, 2.5, 3.0), 1)


@pytest.fixture
def filed(library: Library, new: MakeTrack, recipe: Recipe) -> Any:
    """Files a track of two seconds with these fields in its recipe."""
    return lambda **fields: library.add(made("Night", new().audio, recipe.model_copy(update=fields)))


def never() -> Heard:
    raise AssertionError("what is written needs no listening")


def points(*given: tuple[float, float, float]) -> tuple[TempoPoint, ...]:
    return tuple(TempoPoint(seconds=seconds, beat=beat, bpm=bpm) for seconds, beat, bpm in given)


def test_the_recipe_says_it_all(filed: Any) -> None:
    track = filed(
        tempo_map=points((0, 0, 240)),
        request={"time_signature": "3/4"},
        sections=(Section(name="A", start=0, seconds=1.25), Section(name="outro", start=1.25, seconds=0.75)),
    )
    found = structure(track, never)
    assert found.as_dict() == {
        "seconds": 2.0,
        "bpm": 240,
        "key": "A minor",
        "time_signature": "3/4",
        "sections": [{"name": "A", "start": 0, "end": 1.25}, {"name": "outro", "start": 1.25, "end": 2.0}],
        "beats": (0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75),
        "bars": (0, 0.75, 1.5),
        "measured": False,
    }


def test_beats_follow_a_tempo_that_changes(filed: Any) -> None:
    track = filed(tempo_map=points((0, 0, 120), (1.0, 2, 240)))
    assert structure(track, never).beats == (0, 0.5, 1.0, 1.25, 1.5, 1.75)
    between = filed(tempo_map=points((0.1, 0, 120), (0.85, 1.5, 60)), seed=8)
    assert structure(between, never).beats == (0.1, 0.6, 1.35)


@pytest.mark.parametrize(("signature", "bars"), [("6/8", 4), ("2/4", 4), ("4/4", 2), (None, 0)])
def test_bars_have_as_many_beats_as_are_felt(filed: Any, signature: str | None, bars: int) -> None:
    engine = EngineUsed(name="composer", version="1", options={"plan": {"time_signature": signature}})
    found = structure(filed(tempo_map=points((0, 0, 240)), engine=engine), never)
    assert (found.time_signature, len(found.bars)) == (signature, bars)


def test_without_a_tempo_map_the_beats_are_heard(filed: Any) -> None:
    found = structure(filed(tempo_map=(), sections=(Section(name="calm", start=0, seconds=2),)), lambda: HEARD)
    assert (found.bpm, found.key, found.measured) == (120.0, "A minor", True)
    assert (found.beats, found.bars) == (HEARD.beats, (1.0, 3.0))
    assert [section.name for section in found.sections] == ["calm"]


def test_an_imported_track_and_a_recipe_of_another_version_are_heard(library: Library, new: MakeTrack) -> None:
    track = library.add(new(kind="import", bpm=78.0))
    for other in (track, Track(**{**vars(track), "recipe_json": "{}"})):
        found = structure(other, lambda: NOTHING)
        assert (found.bpm, found.key, found.beats, found.measured) == (78.0, None, (), True)


def test_clicks_are_heard_as_beats(tmp_path: Path) -> None:
    samples = np.zeros((1, 22_050 * 12), np.float32)
    for beat in range(24):
        at = round((0.25 + beat * 0.5) * 22_050)
        samples[0, at : at + 400] = np.random.default_rng(beat).normal(0, 0.3, 400)
    path = tmp_path / "clicks.wav"
    encode(Audio(samples, 22_050), path, format_of(path))
    heard = listen(path)
    assert heard.bpm == pytest.approx(120, abs=1)
    assert np.diff(heard.beats) == pytest.approx(0.5, abs=0.03)
    assert Heard(**heard.as_dict()) == heard


def test_silence_and_less_than_a_second_have_no_beat(tmp_path: Path) -> None:
    for frames in (1000, 100_000):
        path = tmp_path / f"{frames}.wav"
        encode(Audio(np.zeros((1, frames), np.float32), 22_050), path, format_of(path))
        heard = listen(path)
        assert (heard.bpm, heard.key, heard.beats) == (None, None, ())

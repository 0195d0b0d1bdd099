"""Generate: exact length, seeds, fall-back and what is refused, with the test tone as the engine."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest

from sottovoce import errors
from sottovoce.audio import ArrayReader
from sottovoce.engines.base import Capabilities, Generator
from sottovoce.engines.catalog import GENERATORS, Catalog
from sottovoce.engines.tone import Tone
from sottovoce.media.decode import decode
from sottovoce.media.encode import sha256_pcm
from sottovoce.tasks.generate import Generate, generate, seeds_of
from sottovoce.tasks.outcome import Outcome, TaskRun
from sottovoce.tasks.request import validate

TONE = Catalog({GENERATORS.group: ("tone",)})


def make(scratch: Path, **fields: Any) -> Outcome:
    request = validate(Generate, {"prompt": "a calm chord", "duration": 5, "engine": "tone", "seed": 7} | fields)
    return generate(request, TONE, TaskRun(scratch=scratch))


@pytest.mark.parametrize("seconds", [5, 5.00001, 7.123])
def test_the_length_is_exact_to_the_sample(tmp_path: Path, seconds: float) -> None:
    track = make(tmp_path, duration=seconds).tracks[0]
    assert decode(track.audio).frames == round(seconds * 48_000) == track.recipe.audio.frames


def test_the_recipe_has_the_hash_of_what_was_written(tmp_path: Path) -> None:
    track = make(tmp_path).tracks[0]
    assert sha256_pcm(ArrayReader(decode(track.audio))) == track.recipe.audio.sha256_pcm


def test_the_same_seed_is_the_same_and_another_is_not(tmp_path: Path) -> None:
    def hash_of(name: str, seed: int) -> str:
        folder = tmp_path / name
        folder.mkdir()
        return make(folder, seed=seed).tracks[0].recipe.audio.sha256_pcm

    assert hash_of("a", 1) == hash_of("b", 1) != hash_of("c", 2)


def test_a_seed_is_drawn_and_recorded(tmp_path: Path) -> None:
    outcome = make(tmp_path, seed=None)
    recorded = outcome.tracks[0].recipe
    assert recorded.request["seed"] == recorded.seed == outcome.report["seed"]


def test_versions_have_seeds_of_their_own(tmp_path: Path) -> None:
    outcome = make(tmp_path, versions=3, seed=2**32 - 2)
    assert [track.recipe.seed for track in outcome.tracks] == [2**32 - 2, 2**32 - 1, 0] == list(seeds_of(2**32 - 2, 3))
    assert [track.recipe.batch.index for track in outcome.tracks] == [0, 1, 2]


def test_stems_add_up_to_the_mix(tmp_path: Path) -> None:
    track = make(tmp_path, stems=True).tracks[0]
    rest = decode(track.audio).samples.astype(float)
    for path in track.stems.values():
        rest = rest - decode(path).samples
    assert abs(rest).max() < 1e-5


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"prompt": "  "}, errors.InvalidPrompt),
        ({"prompt": "x" * 1001}, errors.InvalidPrompt),
        ({"duration": 0}, errors.InvalidDuration),
        ({"duration": 4.9}, errors.InvalidDuration),
        ({"duration": 601}, errors.InvalidDuration),
        ({"duration": math.nan}, errors.InvalidDuration),
        ({"duration": "long"}, errors.InvalidDuration),
        ({"engine": "orchestra"}, errors.InvalidBackend),
        ({"key": "H minor"}, errors.InvalidParameter),
        ({"bpm": 301}, errors.InvalidParameter),
        ({"time_signature": "7/8"}, errors.InvalidParameter),
        ({"mood": "hungry"}, errors.InvalidParameter),
        ({"seed": -1}, errors.InvalidParameter),
        ({"versions": 9}, errors.InvalidParameter),
        ({"colour": "blue"}, errors.InvalidParameter),
        ({"options": {"loud": 1}}, errors.InvalidParameter),
        ({"duration": 60, "scenes": [{"start": 20}, {"start": 25}]}, errors.InvalidParameter),
        ({"duration": 60, "scenes": [{"start": 3, "mood": "sad"}]}, errors.InvalidParameter),
        ({"duration": 60, "scenes": [{"start": 55, "mood": "sad"}]}, errors.InvalidParameter),
        ({"duration": 60, "scenes": [{"start": 20, "mood": "hungry"}]}, errors.InvalidParameter),
        ({"duration": 60, "scenes": [{"start": 20, "mood": "sad"}], "lyrics": "la"}, errors.InvalidParameter),
    ],
)
def test_bad_requests_are_refused_before_any_work(
    tmp_path: Path, fields: dict[str, Any], error: type[errors.SottovoceError]
) -> None:
    with pytest.raises(error):
        make(tmp_path, **fields)
    assert not list(tmp_path.iterdir())


def test_scenes_are_sections_of_their_own(tmp_path: Path) -> None:
    track = make(tmp_path, duration=30, bpm=120, scenes=[{"start": 12, "mood": "sad", "words": "low strings"}]).tracks[
        0
    ]
    assert decode(track.audio).frames == 30 * 48_000
    assert [section.name for section in track.recipe.sections] == ["part 1", "sad"]
    assert track.recipe.sections[1].start == pytest.approx(12, abs=2.5)
    assert track.recipe.request["scenes"][0]["words"] == "low strings"


class Short(Tone):
    """A test tone of twenty seconds at most."""

    name: ClassVar[str] = "short"
    capabilities: ClassVar[Capabilities] = replace(Tone.capabilities, seconds=(5.0, 20.0), lyrics=True)


def test_what_is_too_long_for_an_engine_is_made_in_sections(tmp_path: Path) -> None:
    engines = Catalog({GENERATORS.group: ("short",)})
    engines.preload(GENERATORS, "short", cast("Generator", Short(Short.Config())))
    fields = {"prompt": "x", "duration": 40, "engine": "short", "seed": 7}
    (track,) = generate(validate(Generate, fields), engines, TaskRun(scratch=tmp_path)).tracks
    assert decode(track.audio).frames == 40 * 48_000
    assert len(track.recipe.sections) > 2
    with pytest.raises(errors.InvalidDuration, match="5 to 20"):
        generate(validate(Generate, fields | {"lyrics": "la"}), engines, TaskRun(scratch=tmp_path))


def test_a_failing_engine_is_an_error_when_it_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(errors.OutOfMemory):
        make(tmp_path, options={"fail": "OUT_OF_MEMORY"})


def test_stopping_from_the_progress_call_stops_the_work(tmp_path: Path) -> None:
    def stop(_progress: object) -> None:
        raise errors.Cancelled("stop")

    request = validate(Generate, {"prompt": "x", "engine": "tone"})
    with pytest.raises(errors.Cancelled):
        generate(request, TONE, TaskRun(progress=stop, scratch=tmp_path))

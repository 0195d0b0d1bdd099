from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sottovoce import errors
from sottovoce.audio import ArrayReader, Audio, Samples, read_all
from sottovoce.dsp.levels import decibels
from sottovoce.dsp.loudness import integrated
from sottovoce.engines.catalog import GENERATORS, Catalog
from sottovoce.media.encode import Format, encode
from sottovoce.tasks.outcome import TaskRun
from sottovoce.tasks.request import Scene
from sottovoce.tasks.soundtrack import Joined, Silence, Wish, from_file, made, plan

RATE = 48_000
ENGINES = Catalog({GENERATORS.group: ("tone",)})


def noise(seconds: float, seed: int = 0, level: float = 0.1) -> Samples:
    drawn = np.random.default_rng(seed).standard_normal((2, round(seconds * RATE)))
    return (level * drawn).astype(np.float32)


def file(folder: Path, samples: Samples) -> Path:
    encode(Audio(samples, RATE), folder / "music.wav", Format("wav", bit_depth="float"))
    return folder / "music.wav"


def rms_db(samples: Samples) -> float:
    return decibels(float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))))


def wish(**changes: object) -> Wish:
    fields = {"words": "calm", "mood": None, "genre": None, "engine": "tone", "first": (), "seed": 5, "versions": 1}
    return Wish(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("seconds", [0.5, 6.25, 600])
def test_a_clip_within_an_engines_reach_is_one_part(seconds: float) -> None:
    assert plan(seconds, (3.0,)) == ((0.0, seconds),)


def test_a_long_clip_is_planned_as_overlapping_parts_that_meet_on_cuts() -> None:
    cuts = (100.0, 1035.0, 2500.0)
    parts = plan(3600, cuts)
    assert parts[0][0] == 0
    assert parts[-1][1] == 3600
    for (_, end), (start, _) in pairwise(parts):
        assert end - start == pytest.approx(4)
    assert max(end - start for start, end in parts) <= 600
    assert 1035 in [end - 2 for _, end in parts]


def test_joined_parts_keep_their_power_through_the_joins() -> None:
    parts = tuple(ArrayReader(Audio(noise(10, seed), RATE)) for seed in range(3))
    joined = read_all(Joined(parts, 22 * RATE)).samples
    assert joined.shape == (2, 22 * RATE)
    assert np.array_equal(joined[:, : 6 * RATE], parts[0].audio.samples[:, : 6 * RATE])
    assert np.array_equal(joined[:, 16 * RATE :], parts[2].audio.samples[:, 4 * RATE :])
    for start in range(22):
        assert rms_db(joined[:, start * RATE : (start + 1) * RATE]) == pytest.approx(-20, abs=0.2)


def test_a_file_of_the_right_length_stays_as_it_is(tmp_path: Path) -> None:
    music = noise(6)
    found = from_file(file(tmp_path, music), 6 * RATE, fade_out=3)
    assert np.array_equal(read_all(found.reader).samples, music)
    assert found.lufs == pytest.approx(integrated(music, RATE), abs=0.01)
    assert found.notes == ()


def test_a_long_file_is_cut_and_ends_softly_even_without_a_fade_of_the_mix(tmp_path: Path) -> None:
    music = noise(20)
    for fade_out in (0.0, 3.0):
        found = from_file(file(tmp_path, music), 8 * RATE, fade_out=fade_out)
        cut = read_all(found.reader).samples
        assert np.array_equal(cut[:, : 4 * RATE], music[:, : 4 * RATE])
        assert cut.shape[1] == 8 * RATE
        assert (rms_db(cut[:, -RATE // 10 :]) < -40) == (fade_out == 0)
        assert "longer than the clip" in found.notes[0]


def test_a_short_file_is_looped_without_a_gap(tmp_path: Path) -> None:
    found = from_file(file(tmp_path, noise(7)), 30 * RATE, fade_out=3)
    looped = read_all(found.reader).samples
    assert looped.shape[1] == 30 * RATE
    for start in range(24):
        assert rms_db(looped[:, start * RATE : (start + 1) * RATE]) == pytest.approx(-20, abs=1)
    assert "looped" in found.notes[0]


def test_silence_is_no_music(tmp_path: Path) -> None:
    with pytest.raises(errors.CorruptMedia):
        from_file(file(tmp_path, noise(3, level=0)), 6 * RATE, fade_out=3)


@pytest.mark.long
@pytest.mark.parametrize("seconds", [1.5, 5.0, 7.123])
def test_made_music_has_the_exact_length_even_below_an_engines_shortest(tmp_path: Path, seconds: float) -> None:
    found = made(wish(), round(seconds * RATE), ENGINES, TaskRun(scratch=tmp_path))
    assert read_all(found.reader).frames == round(seconds * RATE)
    assert found.engine == "tone"
    assert np.isfinite(found.lufs)


@pytest.mark.long
def test_every_version_is_a_take_with_a_seed_and_a_tag_of_its_own(tmp_path: Path) -> None:
    found = made(wish(versions=3), 6 * RATE, ENGINES, TaskRun(scratch=tmp_path))
    assert [take.recipe.seed for take in found.takes] == [5, 6, 7]
    assert [take.tags for take in found.takes] == [("score", f"take-{number}") for number in (1, 2, 3)]
    assert found.take in {1, 2, 3}


def test_cuts_become_cues_of_the_part_they_lie_in(tmp_path: Path) -> None:
    (take,) = made(wish(cuts=(2.0, 9.0)), 6 * RATE, ENGINES, TaskRun(scratch=tmp_path)).takes
    assert take.recipe.request["cues"] == [2.0]


def test_a_long_clip_passes_its_scenes_on_to_the_parts_they_lie_in(tmp_path: Path) -> None:
    scenes = (Scene(start=0, mood="calm"), Scene(start=345, mood="sad"), Scene(start=400, mood="happy"))
    parts = made(wish(scenes=scenes), 690 * RATE, ENGINES, TaskRun(scratch=tmp_path)).takes
    assert [[scene["mood"] for scene in part.recipe.request["scenes"]] for part in parts] == [
        ["calm"],
        ["sad", "happy"],
    ]
    assert [section.name for section in parts[1].recipe.sections] == ["sad", "happy"]
    assert parts[1].recipe.sections[1].start == pytest.approx(400 - 343, abs=2.5)


def test_the_stems_of_made_music_are_as_long_as_it_and_add_up_to_it(tmp_path: Path) -> None:
    found = made(wish(stems=True), 3 * RATE, ENGINES, TaskRun(scratch=tmp_path))
    stems = [read_all(reader).samples for reader in found.stems.values()]
    assert [stem.shape for stem in stems] == [(2, 3 * RATE)] * 3
    assert np.abs(np.sum(stems, axis=0) - read_all(found.reader).samples).max() < 1e-6


def test_a_part_without_a_stem_is_silent_where_the_others_go_on() -> None:
    part = ArrayReader(Audio(noise(10), RATE))
    joined = read_all(Joined((part, Silence(10 * RATE), part), 22 * RATE)).samples
    assert rms_db(joined[:, : 6 * RATE]) == pytest.approx(-20, abs=0.2)
    assert not joined[:, 10 * RATE : 12 * RATE].any()
    assert rms_db(joined[:, 16 * RATE :]) == pytest.approx(-20, abs=0.2)


def test_silence_is_as_long_as_it_is_said_to_be() -> None:
    blocks = list(Silence(2500).blocks(1000))
    assert [block.shape for block in blocks] == [(2, 1000), (2, 1000), (2, 500)]
    assert not np.concatenate(blocks, axis=1).any()

"""The music in parts: which stem belongs to which, what is left, and that nothing is lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sottovoce.audio import ArrayReader, Audio, Samples, Stem, read_all
from sottovoce.engines.catalog import SEPARATORS, Catalog
from sottovoce.tasks.music_parts import Parts, Summed, level_db, parts_of
from sottovoce.tasks.outcome import TaskRun
from sottovoce.tasks.soundtrack import Soundtrack

RATE = 48_000
ENGINES = Catalog({SEPARATORS.group: ("gone", "tone")})


def noise(level: float, seed: int) -> Samples:
    return (level * np.random.default_rng(seed).standard_normal((2, 2 * RATE))).astype(np.float32)


def reader(samples: Samples) -> ArrayReader:
    return ArrayReader(Audio(samples, RATE))


def music(**levels: float) -> Soundtrack:
    """Music with stems of these RMS levels, made by an engine."""
    stems = {Stem(name): noise(level, seed) for seed, (name, level) in enumerate(levels.items())}
    whole = np.stack(list(stems.values())).sum(axis=0, dtype=np.float32)
    return Soundtrack(reader(whole), -20, engine="maker", stems={stem: reader(part) for stem, part in stems.items()})


def made_of(parts: Parts) -> dict[str, tuple[str, ...]]:
    return {part.name: tuple(map(str, part.made_of)) for part in parts.parts}


def cut(found: Soundtrack, count: int, scratch: Path = Path()) -> Parts:
    assert count in (2, 4)
    return parts_of(found, 4 if count == 4 else 2, "auto", ENGINES, TaskRun(scratch=scratch))


def test_the_composers_stems_are_four_parts() -> None:
    found = cut(music(drums=0.1, bass=0.1, melody=0.1, piano=0.1, pads=0.1, texture=0.01), 4)
    assert made_of(found) == {
        "drums": ("drums",),
        "bass": ("bass",),
        "vocals": ("melody",),
        "other": ("piano", "pads", "texture"),
    }
    assert found.engine == "maker"
    assert [part.share for part in found.parts] == [0, 0.7, 1, 0.8]


def test_what_is_left_is_the_music_without_the_other_parts() -> None:
    found = cut(music(drums=0.1, bass=0.2, harmony=0.02, strings=0.02), 4)
    assert found.rest.name == "other"
    assert level_db(found.rest.envelope) == pytest.approx(20 * np.log10(0.02 * 2**0.5), abs=0.1)
    assert {part.name: level_db(part.envelope) for part in found.parts if part.reader} == pytest.approx(
        {"drums": -20, "bass": 20 * np.log10(0.2)}, abs=0.1
    )


def test_of_two_parts_the_melody_is_what_is_sung_or_leads() -> None:
    found = cut(music(drums=0.1, melody=0.05, lead_vocals=0.05, pads=0.1), 2)
    assert made_of(found) == {"melody": ("melody", "lead_vocals"), "accompaniment": ("drums", "pads")}


@pytest.mark.parametrize("sung", [{}, {"vocals": 0.001}])
def test_music_without_anyone_who_leads_has_its_melody_in_what_is_neither_drums_nor_bass(
    sung: dict[str, float],
) -> None:
    found = cut(music(drums=0.1, bass=0.1, piano=0.1, **sung), 2)
    assert made_of(found) == {"accompaniment": ("drums", "bass"), "melody": ("piano", *sung)}
    assert found.rest.name == "melody"


def test_a_solo_is_all_melody() -> None:
    assert made_of(cut(music(piano=0.1), 2)) == {"melody": ("piano",)}


def test_music_without_stems_is_split_by_the_first_separator_that_can(tmp_path: Path) -> None:
    whole = noise(0.1, 0)
    found = cut(Soundtrack(reader(whole), -20), 4, tmp_path)
    assert found.engine == "tone"
    assert [skip.engine for skip in found.skipped] == ["gone"]
    shares = {part.name: level_db(part.envelope) + 20 for part in found.parts}
    wanted = {"drums": 0.3, "bass": 0.2, "vocals": 0.4, "other": 0.1}
    assert shares == pytest.approx({name: 20 * np.log10(share) for name, share in wanted.items()}, abs=0.1)
    assert all(part.reader is None or part.reader.frames == 2 * RATE for part in found.parts)


def test_a_sum_is_read_in_blocks() -> None:
    parts = [noise(0.1, seed) for seed in range(3)]
    whole = Summed(tuple(map(reader, parts)))
    assert (whole.rate, whole.channels, whole.frames) == (RATE, 2, 2 * RATE)
    assert np.array_equal(read_all(whole).samples, parts[0] + parts[1] + parts[2])

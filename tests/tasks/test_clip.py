"""The key of a score: who splits the voices off, who is passed over, and when a clip stays whole."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest

from sottovoce import errors
from sottovoce.audio import Audio, AudioReader, StemWriter, read_all
from sottovoce.engines.base import EngineOptions, Run, Separation, Separator
from sottovoce.engines.catalog import SEPARATORS, Catalog
from sottovoce.engines.tone import ToneSeparator
from sottovoce.media.encode import Format, encode
from sottovoce.tasks.clip import Key, voice_key
from sottovoce.tasks.outcome import TaskRun
from sottovoce.tasks.request import LocalFile

RATE = 8000


class Breaking(ToneSeparator):
    """Fails when it has begun to write."""

    def separate(self, source: AudioReader, sink: StemWriter, options: EngineOptions, run: Run) -> Separation:
        for block in source.blocks(100):
            sink.write(self.capabilities.stems[0], block)
            break
        raise errors.OutOfMemory("there was too little memory")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    sound = 0.1 * np.random.default_rng(0).standard_normal((1, RATE))
    encode(Audio(sound.astype(np.float32), RATE), tmp_path / "clip.wav", Format("wav", bit_depth="float"))
    return tmp_path / "clip.wav"


def key(clip: Path, *order: str, separator: str | None = None) -> Key:
    engines = Catalog({SEPARATORS.group: order}, configs={"lalalai": {"key_known": True}})
    engines.preload(SEPARATORS, "breaking", cast("Separator", Breaking(Breaking.Config())))
    source = LocalFile.model_validate({"path": clip}, context={"local": True})
    return voice_key(source, separator, engines, TaskRun(scratch=clip.parent))


def test_the_stems_are_the_clip_in_two(clip: Path) -> None:
    stems = key(clip, "tone").stems
    assert stems is not None
    voice, rest = (read_all(reader).samples for reader in (stems.voice, stems.rest))
    assert voice == pytest.approx(0.4 / 0.6 * rest, abs=1e-6)
    assert voice.shape == (1, RATE)


def test_a_coarse_separator_is_only_used_where_it_is_asked_for(clip: Path) -> None:
    assert key(clip, "classical") == Key()
    for asked in ("auto", "classical"):
        found = key(clip, "classical", separator=asked)
        assert found.stems is not None
        assert found.stems.engine == "classical"


def test_a_paid_separator_is_never_used_unasked(clip: Path) -> None:
    found = key(clip, "lalalai", "classical")
    assert found.stems is None
    assert [(skip.engine, skip.reason) for skip in found.skipped] == [("lalalai", "lalalai is paid for")]
    assert found.notes == ()


def test_one_that_fails_gives_way_to_the_next_and_says_so(clip: Path) -> None:
    found = key(clip, "gone", "breaking", "tone")
    assert found.stems is not None
    assert found.stems.engine == "tone"
    assert [skip.engine for skip in found.skipped] == ["gone", "breaking"]
    assert found.notes[0] == "breaking did not separate the voices: there was too little memory"
    assert key(clip, "breaking", "classical").stems is None


def test_one_that_was_asked_for_never_gives_way(clip: Path) -> None:
    with pytest.raises(errors.OutOfMemory):
        key(clip, "tone", separator="breaking")


def test_none_leaves_the_clip_whole(clip: Path) -> None:
    assert key(clip, "tone", separator="None") == Key()

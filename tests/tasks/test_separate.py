"""Separate: the stems wanted, the rest of each, their length, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import pytest

from sottovoce import errors
from sottovoce.audio import ArrayReader, Audio, AudioReader, Stem, StemWriter, read_all
from sottovoce.engines.base import EngineOptions, Run, Separation, Separator
from sottovoce.engines.catalog import SEPARATORS, Catalog
from sottovoce.engines.tone import ToneSeparator
from sottovoce.media.decode import decode
from sottovoce.media.encode import encode, format_of
from sottovoce.tasks.outcome import Outcome, TaskRun
from sottovoce.tasks.request import validate
from sottovoce.tasks.separate import Separate, head, separate

RATE = 44_100
SONG = Audio((np.random.default_rng(9).standard_normal((2, 100_001)) * 0.1).astype(np.float32), RATE)


class Hasty(ToneSeparator):
    """A separator that leaves the last frames out of its stems, or adds some."""

    name: ClassVar[str] = "hasty"
    missing: ClassVar[int] = 1

    def separate(self, source: AudioReader, sink: StemWriter, options: EngineOptions, run: Run) -> Separation:
        whole = read_all(source).samples
        made = whole[:, : -self.missing] if self.missing > 0 else np.pad(whole, ((0, 0), (0, -self.missing)))
        for stem in self.stems_of(None):
            sink.write(stem, made)
        return Separation(self.stems_of(None))


class Late(Hasty):
    """One that adds frames."""

    missing = -5


def split(folder: Path, *, catalog: Catalog | None = None, **fields: Any) -> Outcome:
    song = folder / "song.wav"
    encode(SONG, song, format_of(song, bit_depth="float"))
    request = validate(Separate, {"source": {"path": song}, "engine": "tone"} | fields, local=True)
    scratch = folder / "scratch"
    return separate(request, catalog or Catalog({}), TaskRun(scratch=scratch))


def with_engine(separator: ToneSeparator) -> Catalog:
    catalog = Catalog({SEPARATORS.group: ("hasty", "tone")})
    catalog.preload(SEPARATORS, "hasty", cast("Separator", separator))
    return catalog


def test_a_stem_and_its_rest_are_the_whole(tmp_path: Path) -> None:
    made = split(tmp_path, only=["drums", "no_drums"], format="wav")
    assert set(made.stems) == {"drums", "no_drums"}
    total = sum(decode(path).samples.astype(np.float64) for path in made.stems.values())
    assert np.abs(total - SONG.samples).max() < 2**-22


def test_only_the_rest_can_be_asked_for(tmp_path: Path) -> None:
    assert list(split(tmp_path, only=["no_vocals"]).stems) == ["no_vocals"]


def test_a_preview_is_the_head_of_the_song(tmp_path: Path) -> None:
    assert split(tmp_path, preview=0.5).report["frames"] == round(0.5 * RATE)
    assert head(ArrayReader(SONG), 99).frames == SONG.frames


@pytest.mark.parametrize("engine", [Hasty, Late])
@pytest.mark.parametrize("only", [[], ["no_vocals"]], ids=["stems", "rest"])
def test_stems_of_a_wrong_length_are_rejected_and_auto_goes_on(
    tmp_path: Path, engine: type[Hasty], only: list[str]
) -> None:
    catalog = with_engine(engine(engine.Config()))
    with pytest.raises(errors.OutputRejected):
        split(tmp_path, catalog=catalog, engine="hasty", only=only)
    made = split(tmp_path, catalog=catalog, engine="auto", only=only)
    assert made.report["engine"] == "tone"
    assert made.report["skipped"][0]["engine"] == "hasty"
    assert {decode(path).frames for path in made.stems.values()} == {SONG.frames}


@pytest.mark.parametrize(
    "fields", [{"only": ["kazoo"]}, {"only": ["strings"]}, {"model": "big"}, {"preview": 0}, {"format": "aiff"}]
)
def test_what_cannot_be_had_is_refused(tmp_path: Path, fields: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidParameter):
        split(tmp_path, **fields)
    assert not list((tmp_path / "scratch").glob("*/*"))


def test_stems_are_named_as_asked() -> None:
    request = validate(Separate, {"source": {"upload": "a"}, "only": ["VOCALS", "no-drums"]})
    assert request.only == (Stem("vocals"), Stem("no_drums"))

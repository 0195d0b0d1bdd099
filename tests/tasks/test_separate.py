"""Separate: the stems wanted, the rest of each, their length, and what is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import pytest

from sottovoce import errors
from sottovoce.audio import ArrayReader, Audio, AudioReader, Stem, StemWriter, read_all
from sottovoce.engines.base import EngineOptions, Run, Separation, Separator
from sottovoce.engines.catalog import SEPARATORS, Catalog
from sottovoce.engines.tone import ToneSeparator
from sottovoce.library.cache import Cache
from sottovoce.media.decode import decode
from sottovoce.media.encode import encode, format_of
from sottovoce.tasks.kept import Shelf
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


class Moody(ToneSeparator):
    """One that counts how often it was asked, and can be made to fail."""

    name: ClassVar[str] = "moody"

    def __init__(self) -> None:
        super().__init__(self.Config())
        self.asked = 0
        self.broken = False

    def separate(self, source: AudioReader, sink: StemWriter, options: EngineOptions, run: Run) -> Separation:
        if self.broken:
            raise errors.ModelInferenceFailed("not today")
        self.asked += 1
        return super().separate(source, sink, options, run)


class Late(Hasty):
    """One that adds frames."""

    missing = -5


class Overlap(EngineOptions):
    """What it can be asked."""

    overlap: float = 0.5


class Overlapping(ToneSeparator):
    """One that has the option overlap, and says what it was."""

    name: ClassVar[str] = "hasty"
    Options: ClassVar[Any] = Overlap

    def separate(self, source: AudioReader, sink: StemWriter, options: EngineOptions, run: Run) -> Separation:
        sink.write(Stem("vocals"), read_all(source).samples)
        return Separation((Stem("vocals"),), options=options.model_dump())


class Model(EngineOptions):
    """What it can be asked."""

    model: str


class OwnWeights(Overlapping):
    """One that reads weights files."""

    Options: ClassVar[Any] = Model

    def stems_of(self, model: str | None) -> tuple[Stem, ...]:
        assert model is not None
        return self.capabilities.stems

    def separate(self, source: AudioReader, sink: StemWriter, options: EngineOptions, run: Run) -> Separation:
        sink.write(Stem("vocals"), read_all(source).samples)
        return Separation((Stem("vocals"),), "own.safetensors")


def split(
    folder: Path, *, catalog: Catalog | None = None, shelf: Shelf | None = None, song: Audio = SONG, **fields: Any
) -> Outcome:
    path, scratch = folder / "song.wav", folder / "scratch"
    encode(song, path, format_of(path, bit_depth="float"))
    request = validate(Separate, {"source": {"path": path}, "engine": "tone"} | fields, local=True)
    shutil.rmtree(scratch, ignore_errors=True)
    return separate(request, catalog or Catalog({}), TaskRun(scratch=scratch, shelf=shelf))


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


@pytest.fixture
def shelf(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def with_moody() -> tuple[Catalog, Moody]:
    catalog, engine = Catalog({SEPARATORS.group: ("moody", "tone")}), Moody()
    catalog.preload(SEPARATORS, "moody", cast("Separator", engine))
    return catalog, engine


def sounds(made: Outcome) -> dict[str, bytes]:
    return {str(stem): decode(path).samples.tobytes() for stem, path in made.stems.items()}


def test_the_same_is_separated_once(tmp_path: Path, shelf: Cache) -> None:
    catalog, engine = with_moody()
    first = split(tmp_path, catalog=catalog, shelf=shelf, engine="moody", only=["no_drums", "vocals"])
    heard = sounds(first)
    for path in first.stems.values():
        path.write_bytes(b"changed by its owner")
    again = split(tmp_path, catalog=catalog, shelf=shelf, engine="moody", only=["no_drums", "vocals"])
    assert engine.asked == 1
    assert sounds(again) == heard
    assert (first.report["cached"], again.report["cached"]) == (False, True)
    changing = {"cached", "took", "notes"}
    assert {name: value for name, value in again.report.items() if name not in changing} == {
        name: value for name, value in first.report.items() if name not in changing
    }
    assert again.report["notes"][:-1] == first.report["notes"]
    assert "kept" in again.report["notes"][-1]


@pytest.mark.long
@pytest.mark.parametrize(
    "other",
    [
        {"options": {"delay": 0.01}},
        {"only": ["vocals"]},
        {"preview": 1.0},
        {"engine": "tone"},
        {"song": Audio(SONG.samples[:, ::-1].copy(), RATE)},
        {"cache": False},
    ],
    ids=lambda other: str(next(iter(other))),
)
def test_what_differs_in_anything_is_separated_anew(tmp_path: Path, shelf: Cache, other: dict[str, Any]) -> None:
    catalog, _ = with_moody()
    wishes: list[dict[str, Any]] = [{"engine": "moody"}, {"engine": "moody"} | other]
    made = [split(tmp_path, catalog=catalog, shelf=shelf, **wish) for wish in wishes]
    assert [one.report["cached"] for one in made] == [False, False]


def test_nothing_is_kept_where_the_cache_is_not_wanted(tmp_path: Path, shelf: Cache) -> None:
    assert not split(tmp_path, shelf=shelf, cache=False).report["cached"]
    assert not split(tmp_path, shelf=shelf).report["cached"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("first", "second", "cached"), [("flac", "wav", True), ("wav", "mp3", True), ("mp3", "flac", False)]
)
def test_another_format_is_made_of_lossless_stems_that_were_kept(
    tmp_path: Path, shelf: Cache, first: str, second: str, cached: bool
) -> None:
    one = split(tmp_path, shelf=shelf, format=first)
    heard = sounds(one)
    other = split(tmp_path, shelf=shelf, format=second)
    assert other.report["cached"] is cached
    assert {path.suffix for path in other.stems.values()} == {f".{second}"}
    assert {decode(path).frames for path in other.stems.values()} == {SONG.frames}
    if "mp3" not in (first, second):
        assert sounds(other) == heard


def test_a_damaged_entry_is_made_again_and_said(tmp_path: Path, shelf: Cache) -> None:
    heard = sounds(split(tmp_path, shelf=shelf))
    (kept,) = shelf.folder.glob("*/drums.flac")
    kept.write_bytes(kept.read_bytes()[:-1] + b"!")
    mended = split(tmp_path, shelf=shelf)
    assert not mended.report["cached"]
    assert "damaged" in mended.report["notes"][-1]
    assert sounds(mended) == heard
    assert split(tmp_path, shelf=shelf).report["cached"]


def test_auto_takes_what_an_engine_made_before_it_tries_it(tmp_path: Path, shelf: Cache) -> None:
    catalog, engine = with_moody()
    split(tmp_path, catalog=catalog, shelf=shelf, engine="auto")
    engine.broken = True
    kept = split(tmp_path, catalog=catalog, shelf=shelf, engine="auto").report
    assert (kept["engine"], kept["cached"], kept["skipped"]) == ("moody", True, [])
    for cached in (False, True):
        other = split(tmp_path, catalog=catalog, shelf=shelf, engine="auto", preview=1.0).report
        assert (other["engine"], other["cached"], other["skipped"][0]["engine"]) == ("tone", cached, "moody")


def test_stems_that_a_format_could_not_hold_are_not_taken_for_another(tmp_path: Path, shelf: Cache) -> None:
    fast = Audio(SONG.samples, 768_000)
    first = split(tmp_path, shelf=shelf, song=fast, format="flac")
    changed = {decode(path).rate for path in first.stems.values()} != {768_000}
    other = split(tmp_path, shelf=shelf, song=fast, format="wav")
    assert {decode(path).rate for path in other.stems.values()} == {768_000}
    assert other.report["cached"] is not changed


@pytest.mark.parametrize(
    "fields",
    [
        {"residual": True},
        {"sum_to_mix": True},
        {"overlap": 0.0},
        {"shifts": 1},
        {"precision": "fast"},
        {"device": "cpu"},
    ],
)
def test_an_option_that_an_engine_lacks_is_refused_and_in_auto_a_recorded_skip(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    name = next(iter(fields)).replace("_", "-")
    with pytest.raises(errors.InvalidParameter, match=f"tone has no --{name}"):
        split(tmp_path, **fields)
    catalog = with_engine(Overlapping(Overlapping.Config()))
    if name == "overlap":
        assert split(tmp_path, catalog=catalog, engine="hasty", **fields).report["options"] == {"overlap": 0.0}
        assert split(tmp_path, catalog=catalog, engine="auto", overlap=None).report["options"] == {"overlap": 0.5}
    else:
        with pytest.raises(errors.InvalidParameter, match=f"hasty has no --{name}"):
            split(tmp_path, catalog=catalog, engine="auto", **fields)


@pytest.mark.parametrize("field", ["model", "device"])
@pytest.mark.parametrize("path", ["/etc/passwd", "../own.safetensors", "own.safetensors", "own.th", "C:\\own"])
def test_a_path_from_elsewhere_is_refused(field: str, path: str) -> None:
    for fields in ({field: path}, {"options": {"model": path}}):
        with pytest.raises(errors.InvalidParameter):
            validate(Separate, {"source": {"upload": "a"}} | fields)


def test_a_report_names_weights_of_ones_own_without_their_folder(tmp_path: Path) -> None:
    own = tmp_path / "secret folder" / "own.safetensors"
    catalog = with_engine(OwnWeights(OwnWeights.Config()))
    catalog.preload(SEPARATORS, "first", cast("Separator", ToneSeparator(ToneSeparator.Config())))
    made = split(
        tmp_path, catalog=replace(catalog, orders={SEPARATORS.group: ("first", "hasty")}), engine="auto", model=str(own)
    )
    assert "own.safetensors" in made.report["skipped"][0]["reason"]
    assert "secret folder" not in str(made.report)

"""How engines are found, in which order they are tried, and what is said of those passed over."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from sottovoce import errors
from sottovoce.engines.base import Engine, Generator, Unavailable
from sottovoce.engines.catalog import AUTO, GENERATORS, KINDS, Catalog, Kind, engine_names, options_for
from sottovoce.engines.tone import Tone


class Absent(Tone):
    """An engine that is known but cannot run."""

    def unavailable(self) -> Unavailable | None:
        return Unavailable("its model is not here", "sotto models pull absent")


def catalog(*order: str) -> Catalog:
    made = Catalog({GENERATORS.group: order})
    made.preload(GENERATORS, "absent", cast("Generator", Absent(Absent.Config())))
    return made


def name_of(engine: Generator) -> str:
    return engine.name


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.title)
def test_every_engine_has_the_whole_head(kind: Kind[Engine]) -> None:
    for engine in Catalog({}).all(kind):
        assert engine.name in engine_names(kind)
        assert engine.title
        assert engine.version
        assert engine.Options().model_config["extra"] == "forbid"
        engine.close()


def test_auto_takes_the_first_that_can_and_says_why_others_were_skipped() -> None:
    ran = catalog("absent", "tone").run(GENERATORS, AUTO, name_of)
    assert ran.result == "tone"
    assert [(skip.engine, skip.cure) for skip in ran.skipped] == [("absent", "sotto models pull absent")]
    assert "its model is not here" in ran.skipped[0].reason


def test_auto_passes_over_an_engine_that_fails() -> None:
    def call(engine: Generator) -> str:
        if engine.name == "composer":
            raise errors.ModelInferenceFailed("noise")
        return engine.name

    ran = catalog("composer", "tone").run(GENERATORS, AUTO, call)
    assert (ran.result, ran.skipped[0].engine, ran.skipped[0].reason) == ("tone", "composer", "noise")


def test_a_named_engine_never_gives_way() -> None:
    with pytest.raises(errors.BackendNotInstalled, match="its model is not here") as caught:
        catalog("tone").run(GENERATORS, "absent", name_of)
    assert caught.value.hint == "sotto models pull absent"


def test_cancelling_is_no_reason_to_try_the_next() -> None:
    def call(engine: Generator) -> str:
        raise errors.Cancelled("stop")

    with pytest.raises(errors.Cancelled):
        catalog("composer", "tone").run(GENERATORS, AUTO, call)


def test_when_none_can_every_reason_is_given() -> None:
    with pytest.raises(errors.EngineError, match=r"absent: .*its model is not here"):
        catalog("absent").run(GENERATORS, AUTO, name_of)


def test_a_wish_that_every_ready_engine_refuses_is_wrong_usage() -> None:
    def call(engine: Generator) -> str:
        raise errors.InvalidParameter(f"{engine.name} has no such option")

    with pytest.raises(errors.InvalidParameter, match=r"absent: .*not here.*tone: tone has no such option"):
        catalog("absent", "tone").run(GENERATORS, AUTO, call)


@pytest.mark.parametrize("spelling", ["AUTO", " Auto "])
def test_auto_is_read_like_every_name(spelling: str) -> None:
    assert catalog("tone").run(GENERATORS, spelling, name_of).result == "tone"


def test_settings_that_an_engine_cannot_use_are_wrong_usage() -> None:
    made = Catalog({}, configs={"audio": {"local_music_dir": 3}})
    with pytest.raises(errors.InvalidParameter, match=r"local-files.*local_music_dir"):
        made.get(GENERATORS, "local-files")


def test_a_package_that_is_broken_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "radio-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: radio\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[tests.generators]\nradio = no_such_module:Radio\n")
    monkeypatch.syspath_prepend(tmp_path)
    kind: Kind[Generator] = Kind("generator", "tests.generators")
    with pytest.raises(errors.BackendNotInstalled, match=r"radio cannot be loaded.*no_such_module"):
        Catalog({}).get(kind, "radio")


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(errors.InvalidBackend, match="composer"):
        catalog("tone").get(GENERATORS, "orchestra")


@pytest.mark.parametrize("spelling", ["local-files", "local_files", " Local-Files "])
def test_names_are_read_with_either_dash(spelling: str) -> None:
    assert Catalog({}).get(GENERATORS, spelling).name == "local-files"


def test_an_engine_is_made_once() -> None:
    made = catalog("tone")
    assert made.get(GENERATORS, "tone") is made.get(GENERATORS, "TONE")


def test_a_wrong_option_names_those_there_are() -> None:
    with pytest.raises(errors.InvalidParameter, match=r"tone option loud.*delay, fail"):
        options_for(Catalog({}).get(GENERATORS, "tone"), {"loud": "yes"})

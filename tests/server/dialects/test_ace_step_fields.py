"""Requests of ACE-Step's clients are read as its server reads them: by any of their names, wherever they stand, however written."""

from __future__ import annotations

from typing import Any

import pytest

from sottovoce.server.dialects.ace_step_fields import ALIASES, UNSERVED, Lenient, asked_of, is_analysis


@pytest.mark.parametrize(
    ("name", "alias"), [(name, alias) for name, aliases in ALIASES.items() for alias in (name, *aliases)]
)
def test_every_alias_counts_in_every_place(name: str, alias: str) -> None:
    for fields in (
        {alias: "7"},
        {"param_obj": {alias: "7"}},
        {"param_obj": f'{{"{alias}": "7"}}'},
        {"metas": {alias: "7"}},
        {"userMetadata": {alias: "7"}},
    ):
        assert Lenient(fields).text(name) == "7"


def test_the_first_place_and_the_first_name_win_and_null_is_passed_over() -> None:
    fields = {"prompt": None, "param_obj": {"caption": "inner", "prompt": "first"}, "metas": {"prompt": "last"}}
    assert Lenient(fields).text("prompt") == "first"
    assert Lenient({"caption": "top", **fields}).text("prompt") == "top"
    assert Lenient({"meta": None, "metadata": {"prompt": "x"}}).text("prompt") == "x"


@pytest.mark.parametrize("written", [True, 1, "1", "true", "TRUE", "yes", "y", "on"])
def test_yes_is_written_in_many_ways(written: Any) -> None:
    assert Lenient({"thinking": written}).flag("thinking")


@pytest.mark.parametrize("written", [False, 0, "0", "no", "false", "maybe"])
def test_anything_else_is_no(written: Any) -> None:
    assert not Lenient({"use_random_seed": written}).flag("use_random_seed", default=True)


@pytest.mark.parametrize("written", ["", None, "fast", "nan", "inf", [], {}, "-1", 0, "1" * 400])
def test_numbers_that_are_none_are_left_open(written: Any) -> None:
    asked = asked_of({"prompt": "x", "bpm": written, "audio_duration": written, "inference_steps": written})
    assert (asked.bpm, asked.seconds, asked.steps) == (None, None, None)


@pytest.mark.parametrize("lyrics", [None, "", "  ", "[inst]", "[Instrumental]", " [INSTRUMENTAL] "])
def test_lyrics_that_are_none(lyrics: str | None) -> None:
    assert asked_of({"lyrics": lyrics}).lyrics is None


def test_lyrics_are_sung_unless_it_is_to_be_instrumental() -> None:
    assert asked_of({"lyrics": "la la"}).lyrics == "la la"
    assert asked_of({"lyrics": "la la", "instrumental": True}).lyrics is None


@pytest.mark.parametrize(
    ("fields", "seeds", "spare"),
    [
        ({}, (), False),
        ({"seed": 7}, (), True),
        ({"seed": 7, "use_random_seed": False}, (7,), False),
        ({"seed": "42,43", "use_random_seed": "false"}, (42, 43), False),
        ({"seed": [1, "2"], "use_random_seed": "0"}, (1, 2), False),
        ({"seed": -1, "use_random_seed": False}, (), False),
        ({"seed": "no", "use_random_seed": False}, (), False),
    ],
)
def test_a_seed_counts_only_if_none_is_to_be_drawn(fields: dict[str, Any], seeds: tuple[int, ...], spare: bool) -> None:
    asked = asked_of(fields)
    assert (asked.seeds, asked.spare_seed) == (seeds, spare)


def test_two_tracks_are_made_where_nobody_says_how_many() -> None:
    assert asked_of({}).batch == 2
    assert asked_of({"batch_size": "1"}).batch == 1


def test_defaults_that_clients_send_along_are_no_wishes() -> None:
    assert asked_of(dict(UNSERVED)).unserved == ()
    assert asked_of({name: str(value) for name, value in UNSERVED.items()}).unserved == ()
    assert asked_of({"lm_temperature": 1.2, "use_adg": True}).unserved == ("use_adg", "lm_temperature")


def test_analysis_is_told_from_music() -> None:
    assert is_analysis({"fullAnalysisOnly": "true"})
    assert not is_analysis({"analysis_only": False})

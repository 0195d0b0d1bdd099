"""Options that become fields of a request, and what is wrong with those that do not."""

from __future__ import annotations

import pytest

from sottovoce import errors
from sottovoce.cli.options import parse_pairs, parse_scenes


def test_scenes_are_a_second_a_mood_and_words() -> None:
    assert parse_scenes(["0:calm", "45.5:dramatic: low strings ", "90::only: words"]) == [
        {"start": 0.0, "mood": "calm", "words": None},
        {"start": 45.5, "mood": "dramatic", "words": "low strings"},
        {"start": 90.0, "mood": None, "words": "only: words"},
    ]
    assert parse_scenes(None) is None


@pytest.mark.parametrize("text", ["calm", "45", "45:", "nan:calm", "x:calm"])
def test_a_scene_that_is_none_says_how_one_is_written(text: str) -> None:
    with pytest.raises(errors.InvalidParameter, match="SECONDS:MOOD"):
        parse_scenes([text])


def test_pairs_are_names_and_values() -> None:
    assert parse_pairs(["top-k=4", "name=a=b"]) == {"top_k": "4", "name": "a=b"}
    with pytest.raises(errors.InvalidParameter, match="NAME=VALUE"):
        parse_pairs(["loud"])

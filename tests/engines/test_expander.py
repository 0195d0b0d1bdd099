from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pytest
from tests.servers.llm import LlmServer, llm_server

from sottovoce import errors
from sottovoce.audio import ArrayReader, Audio
from sottovoce.engines.base import EngineOptions, Enhanced, Enhancer, Run
from sottovoce.engines.catalog import ENHANCERS, Catalog
from sottovoce.engines.expander import Expander
from sottovoce.engines.llm import LlmConfig
from sottovoce.engines.prompt_llm import PromptLlm
from sottovoce.prompt import Edit, Prompt, parse_key

RICH = {
    "caption": "A calm folk piece with guitar.",
    "bpm": 84,
    "key": "G major",
    "time_signature": "3/4",
    "lyrics": "la",
}


@pytest.fixture
def server() -> Iterator[LlmServer]:
    with llm_server() as state:
        yield state


def prompt(words: str = "quiet evening", **wishes: Any) -> Prompt:
    return Prompt(words, 60, 1, **wishes)


def by_llm(server: LlmServer) -> PromptLlm:
    return PromptLlm(LlmConfig(provider="ollama", base_url=server.ollama))


def enhanced(server: LlmServer, answer: object, asked: Prompt) -> Enhanced:
    server.answers = deque([answer if isinstance(answer, str) else json.dumps(answer)])
    return by_llm(server).enhance(asked, EngineOptions(), Run())


def test_the_expander_fills_in_and_says_that_no_llm_was_used() -> None:
    asked = prompt("a quiet evening", mood="nostalgic", bpm=70.0, key=parse_key("C"), lyrics="la la")
    found = Expander().enhance(asked, EngineOptions(), Run())
    assert found == Expander().enhance(asked, EngineOptions(), Run())
    assert found.words.startswith("a quiet evening, ")
    assert "acoustic" in found.words
    assert "bpm" not in found.words
    assert (found.bpm, found.key, found.lyrics) == (70, parse_key("C"), "la la")
    assert "no LLM was used" in found.notes[0]


def test_the_expander_invents_no_numbers_and_leaves_strange_words_alone() -> None:
    found = Expander().enhance(prompt("für Elise, die Katze"), EngineOptions(), Run())
    assert found.words == "für Elise, die Katze"
    assert (found.bpm, found.key, found.time_signature, found.lyrics) == (None, None, None, None)
    assert "nothing to add" in found.notes[0]
    assert Expander().unavailable() is None


def test_an_llm_rewrites_the_words_and_settles_what_was_open(server: LlmServer) -> None:
    found = enhanced(server, RICH, prompt())
    assert found.words == "A calm folk piece with guitar."
    assert (found.bpm, found.key, found.time_signature) == (84, parse_key("G"), "3/4")
    assert found.lyrics is None
    assert "rewritten by llava" in found.notes[0]
    assert "The wish: quiet evening" in server.asked[0][1]["prompt"]


def test_what_the_user_gave_stays_whether_as_a_field_or_in_the_words(server: LlmServer) -> None:
    given = prompt(bpm=100.0, key=parse_key("Am"), time_signature="4/4", lyrics="mine")
    written = prompt("a song at 100 bpm in A minor, 4/4")
    for asked in (given, written):
        found = enhanced(server, RICH, asked)
        assert (found.bpm, found.key, found.time_signature) == (100, parse_key("Am"), "4/4")
    assert enhanced(server, RICH, given).lyrics == "mine"
    assert "bpm, which stays: 100" in server.asked[-1][1]["prompt"]


def test_music_to_start_from_keeps_its_tempo_and_key(server: LlmServer) -> None:
    source = ArrayReader(Audio(np.zeros((2, 480), np.float32), 48_000))
    found = enhanced(server, RICH, prompt(edit=Edit("cover", source)))
    assert (found.bpm, found.key, found.time_signature) == (None, None, None)


@pytest.mark.parametrize(
    ("words", "taken"),
    [("a song about rain", True), ("folk with female vocals", True), ("folk", False), ("a song without vocals", False)],
)
def test_lyrics_are_taken_only_where_singing_was_asked_for(server: LlmServer, words: str, taken: bool) -> None:
    found = enhanced(server, RICH, prompt(words))
    assert found.lyrics == ("la" if taken else None)
    assert any("lyrics" in note for note in found.notes) is taken


@pytest.mark.parametrize(
    "bad",
    [
        {"bpm": 5000},
        {"bpm": "fast"},
        {"bpm": True},
        {"bpm": float("nan")},
        {"key": "H dur"},
        {"key": 3},
        {"time_signature": "5/4"},
    ],
)
def test_values_out_of_range_are_left_open(server: LlmServer, bad: dict[str, Any]) -> None:
    found = enhanced(server, {"caption": "x", **bad}, prompt())
    assert found == Enhanced("x", notes=found.notes)


def test_short_meters_and_long_captions_are_made_fit(server: LlmServer) -> None:
    found = enhanced(server, {"caption": "soft\nguitar " * 80, "time_signature": 6}, prompt())
    assert found.time_signature == "6/8"
    assert len(found.words) <= 512
    assert found.words.endswith(("soft", "guitar"))


@pytest.mark.parametrize("answer", ["Sure!", "{}", '{"caption": " "}', '{"caption": 3}'])
def test_without_a_caption_auto_falls_back_to_the_expander_and_says_why(server: LlmServer, answer: str) -> None:
    with pytest.raises(errors.RemoteFailed):
        enhanced(server, answer, prompt())
    catalog = Catalog({ENHANCERS.group: ("llm", "expander")})
    catalog.preload(ENHANCERS, "llm", cast("Enhancer", by_llm(server)))
    catalog.preload(ENHANCERS, "expander", cast("Enhancer", Expander()))
    ran = catalog.run(ENHANCERS, "auto", lambda one: one.enhance(prompt(), EngineOptions(), Run()))
    assert ran.engine.name == "expander"
    assert ran.skipped[0].engine == "llm"
    assert ran.skipped[0].reason


def test_without_configuration_the_llm_says_what_to_set() -> None:
    missing = PromptLlm().unavailable()
    assert missing is not None
    assert "llm.provider" in missing.cure

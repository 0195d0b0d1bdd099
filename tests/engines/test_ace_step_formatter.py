"""Prompts said better by an ACE-Step server: what the user settled stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.servers.ace_step import AceStepServer, ace_step_server

from sottovoce import errors
from sottovoce.engines.ace_step_formatter import AceStepFormatter, AceStepFormatterOptions
from sottovoce.engines.ace_step_wire import AceStepApiConfig
from sottovoce.engines.base import Enhanced, Run
from sottovoce.prompt import Key, Prompt


@pytest.fixture
def server() -> Iterator[AceStepServer]:
    with ace_step_server() as running:
        yield running


def enhance(server: AceStepServer, **asked: Any) -> Enhanced:
    prompt = Prompt(**{"words": "rainy evening", "seconds": 30.0, "seed": 1, **asked})
    return AceStepFormatter(AceStepApiConfig(api_url=server.url)).enhance(prompt, AceStepFormatterOptions(), Run())


def test_what_was_left_open_is_filled_in(server: AceStepServer) -> None:
    found = enhance(server)
    assert found.words == "rainy evening, warm felt piano"
    assert (found.bpm, found.key, found.time_signature) == (84.0, Key(9, minor=True), "4/4")
    assert found.lyrics is None
    assert found.language is None


def test_what_was_asked_for_stays(server: AceStepServer) -> None:
    found = enhance(server, bpm=60.0, key=Key(0), time_signature="3/4", lyrics="la la", language="fr")
    assert (found.bpm, found.key, found.time_signature) == (60.0, Key(0), "3/4")
    assert (found.lyrics, found.language) == ("la la", "fr")


def test_its_failures_are_said(server: AceStepServer) -> None:
    server.format_error = "constrained decoding failed"
    with pytest.raises(errors.RemoteFailed, match="constrained decoding failed"):
        enhance(server)
    server.llm = False
    with pytest.raises(errors.RemoteFailed, match="LLM not initialized"):
        enhance(server)


def test_a_server_without_its_language_model_is_unavailable(server: AceStepServer) -> None:
    engine = AceStepFormatter(AceStepApiConfig(api_url=server.url))
    assert engine.unavailable() is None
    server.llm = False
    missing = AceStepFormatter(AceStepApiConfig(api_url=server.url)).unavailable()
    assert missing is not None
    assert "language model" in missing.reason
    assert AceStepFormatter(AceStepApiConfig()).unavailable() is not None

from __future__ import annotations

import asyncio
import base64
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError
from tests.servers.llm import LlmServer, llm_server

from sottovoce import errors
from sottovoce.engines.base import Run
from sottovoce.engines.llm import LlmConfig, Question, ask, json_object, unavailable
from sottovoce.progress import Progress

PROVIDERS = ("ollama", "openai-compatible")


@pytest.fixture
def server() -> Iterator[LlmServer]:
    with llm_server() as state:
        yield state


def config(server: LlmServer, provider: str = "ollama", **settings: Any) -> LlmConfig:
    address = server.ollama if provider == "ollama" else server.openai
    return LlmConfig.model_validate({"provider": provider, "base_url": address, **settings})


def asked(settings: LlmConfig, question: Question | None = None, **run: Any) -> str:
    return ask(settings, question or Question("How are you?"), Run(**run), stage="ask")


def test_ollama_is_asked_on_its_own_wire(server: LlmServer) -> None:
    server.answers = deque(["Fine."])
    question = Question("What is this?", (b"one", b"two"), temperature=0.5, most_tokens=70)
    assert asked(config(server), question, seed=7) == "Fine."
    path, body = server.asked[0]
    assert path == "/api/generate"
    assert body == {
        "model": "llava",
        "prompt": "What is this?",
        "stream": False,
        "options": {"temperature": 0.5, "num_predict": 70, "seed": 7},
        "images": [base64.b64encode(picture).decode() for picture in (b"one", b"two")],
    }


def test_openai_is_asked_on_its_own_wire(server: LlmServer) -> None:
    server.answers, server.key = deque(["Fine."]), "sk-1"
    question = Question("What is this?", (b"one",))
    settings = config(server, "openai-compatible", model="gpt")
    assert asked(settings, question, credentials={"llm": "sk-1"}) == "Fine."
    path, body = server.asked[0]
    assert path == "/v1/chat/completions"
    assert {name: body[name] for name in ("model", "temperature", "max_tokens")} == {
        "model": "gpt",
        "temperature": 0.3,
        "max_tokens": 500,
    }
    words, picture = body["messages"][0]["content"]
    assert words == {"type": "text", "text": "What is this?"}
    assert picture["image_url"] == {"url": "data:image/jpeg;base64,b25l", "detail": "low"}
    assert server.headers[0]["authorization"] == "Bearer sk-1"


def test_a_server_with_one_model_is_asked_without_a_name_and_without_a_key(server: LlmServer) -> None:
    server.in_parts = True
    assert asked(config(server, "openai-compatible")) == '{"primary_mood": "happy"}'
    assert "model" not in server.asked[0][1]
    assert "authorization" not in server.headers[0]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_busy_server_is_asked_again_and_a_failing_one_is_quoted(server: LlmServer, provider: str) -> None:
    server.faults = deque([503])
    assert asked(config(server, provider))
    server.faults = deque([500])
    with pytest.raises(errors.RemoteFailed, match="failed: the model failed, status 500") as caught:
        asked(config(server, provider))
    assert caught.value.hint
    assert len(server.asked) == 3


def test_a_wrong_key_is_said_without_the_key(server: LlmServer) -> None:
    server.key = "sk-right"
    with pytest.raises(errors.RemoteFailed, match="refused the key") as caught:
        asked(config(server, "openai-compatible"), credentials={"llm": "sk-secret"})
    assert "LLM_API_KEY" in caught.value.hint
    assert "sk-secret" not in str(caught.value.as_dict())
    for key in ("sk\nX-Evil: 1", "schlüssel"):
        with pytest.raises(errors.InvalidParameter) as refused:
            asked(config(server, "openai-compatible"), credentials={"llm": key})
        assert key not in str(refused.value.as_dict())


@pytest.mark.parametrize("status", [301, 302, 307])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_redirects_are_not_followed(server: LlmServer, provider: str, status: int) -> None:
    with llm_server() as other:
        server.faults, server.elsewhere = deque([status]), f"{other.openai}/chat/completions"
        with pytest.raises(errors.RemoteFailed, match="another address"):
            asked(config(server, provider), credentials={"llm": "sk-1"})
        assert other.asked == []


@pytest.mark.parametrize(
    ("provider", "body", "says"),
    [
        ("ollama", {"error": "out of memory"}, "failed: out of memory"),
        ("openai-compatible", {"error": {"message": "overloaded"}}, "failed: overloaded"),
        ("ollama", {"response": "  "}, "answered nothing"),
        ("openai-compatible", {"choices": []}, "answered nothing"),
        ("openai-compatible", {"choices": [{"message": {"content": None}}]}, "answered nothing"),
        ("ollama", ["no object"], "failed: status 200"),
    ],
)
def test_errors_inside_a_success_are_errors(server: LlmServer, provider: str, body: object, says: str) -> None:
    server.body = body
    with pytest.raises(errors.RemoteFailed, match=says):
        asked(config(server, provider))


def test_a_missing_model_or_route_and_a_spent_account_have_their_cures(server: LlmServer) -> None:
    server.faults = deque([404])
    with pytest.raises(errors.RemoteFailed) as caught:
        asked(config(server))
    assert "ollama pull llava" in caught.value.hint
    server.faults = deque([429, 429, 429])
    with pytest.raises(errors.RemoteFailed, match="no more questions"):
        asked(config(server))


def test_a_server_that_drops_the_line_or_is_not_there_is_a_failure(server: LlmServer) -> None:
    server.faults = deque([0])
    for settings in (config(server), LlmConfig(provider="ollama", base_url="http://127.0.0.1:1")):
        with pytest.raises(errors.RemoteFailed, match="could not be asked"):
            asked(settings)


def test_a_slow_server_times_out_with_the_setting_to_change(server: LlmServer) -> None:
    server.open.clear()
    with pytest.raises(errors.TimedOut, match="longer than 1 s") as caught:
        asked(config(server, timeout_seconds=1))
    assert "llm.timeout_seconds" in caught.value.hint


def test_a_cancel_is_heard_while_the_server_thinks(server: LlmServer) -> None:
    server.open.clear()
    thinking = threading.Event()

    def progress(_: Progress) -> None:
        if server.asked:
            thinking.set()
            raise errors.Cancelled("enough")

    with pytest.raises(errors.Cancelled):
        asked(config(server), progress=progress)
    assert thinking.is_set()
    assert not server.open.is_set()


def test_it_can_be_asked_from_inside_an_event_loop(server: LlmServer) -> None:
    async def inside() -> str:
        return asked(config(server))

    assert asyncio.run(inside())


def test_progress_only_rises(server: LlmServer) -> None:
    seen: list[float] = []
    asked(config(server), progress=lambda progress: seen.append(progress.percent))
    assert seen == sorted(seen)
    assert len(seen) >= 2


def test_it_says_why_it_cannot_be_asked(server: LlmServer) -> None:
    def reason(settings: LlmConfig) -> str:
        missing = unavailable(settings)
        assert missing is not None
        assert missing.cure
        return missing.reason

    assert "no LLM is configured" in reason(LlmConfig())
    assert "does not answer" in reason(LlmConfig(provider="ollama", base_url="http://127.0.0.1:1"))
    assert "no model bakllava" in reason(config(server, model="bakllava"))
    assert "no Ollama server" in reason(config(server, base_url=f"{server.ollama}/elsewhere"))
    assert unavailable(config(server)) is None
    assert unavailable(config(server, base_url=server.openai)) is None
    server.key = "sk-1"
    assert unavailable(config(server, "openai-compatible")) is None
    assert server.asked == []


def test_each_provider_has_its_usual_address() -> None:
    assert LlmConfig(provider="ollama").address == "http://localhost:11434"
    assert LlmConfig(provider="openai-compatible").address == "http://localhost:8080/v1"
    assert LlmConfig(provider="ollama", base_url="http://gpu:11434/v1/").address == "http://gpu:11434"
    for wrong in ("localhost:8080", "ftp://host", "http://user:pass@host/v1", "http://host/v1?key=1", ""):
        with pytest.raises(ValidationError):
            LlmConfig(base_url=wrong)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        '```json\n{"a": 1}\n```',
        'Sure! Here it is:\n```\n{"a": 1}\n```\nAnything else?',
        '<think>{"b": 2}? No.</think>\n{"a": 1}',
        '{"a": 1}{"a": 2}',
    ],
)
def test_json_is_found_among_talk(text: str) -> None:
    assert json_object(text) == {"a": 1}


@pytest.mark.parametrize(
    "text", ["", "calm", '{"a": 1', "[1, 2]", "{'a': 1}", "[" * 100_000, "<think>{", '{"a":' * 50_000]
)
def test_what_is_no_json_object_is_a_failure_that_quotes_it_in_short(text: str) -> None:
    with pytest.raises(errors.RemoteFailed, match="no JSON") as caught:
        json_object(text)
    assert len(caught.value.message) < 150


def test_halves_of_characters_are_replaced() -> None:
    assert json_object('{"a": "x\\ud83d"}')["a"] == "x?"

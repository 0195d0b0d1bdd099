"""A language model's server on loopback: Ollama's `/api/*` and OpenAI's `/v1/*` on one port, with what real ones do wrong."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.servers.loopback import Loopback, serving


@dataclass
class LlmServer:
    """The server's state; `answers` and `faults` are used up one a question, the last answer stays."""

    port: int = 0
    answers: deque[str] = field(default_factory=lambda: deque(['{"primary_mood": "happy"}']))
    #: Statuses; 0 drops the connection, 302 sends elsewhere.
    faults: deque[int] = field(default_factory=deque)
    key: str | None = None
    models: tuple[str, ...] = ("llava:latest",)
    elsewhere: str = "http://127.0.0.1:1/"
    #: A whole body in place of an answer.
    body: object = None
    #: Content as a list of parts, as some servers give it.
    in_parts: bool = False
    #: Answers wait for this.
    open: threading.Event = field(default_factory=threading.Event)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def ollama(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def openai(self) -> str:
        return f"{self.ollama}/v1"


@contextmanager
def llm_server() -> Iterator[LlmServer]:
    """The server while the block runs."""
    state = LlmServer()
    state.open.set()

    class Handler(_Handler):
        llm_state = state

    with serving(Handler) as port:
        state.port = port
        try:
            yield state
        finally:
            state.open.set()


class _Handler(Loopback):
    llm_state: LlmServer

    def do_GET(self) -> None:  # noqa: N802 - http.server calls it so
        state = self.llm_state
        if self.path == "/api/tags":
            self._answer(200, {"models": [{"name": name} for name in state.models]})
        elif self.path == "/v1/models" and self._is_known():
            self._answer(200, {"object": "list", "data": [{"id": name} for name in state.models]})
        elif self.path != "/v1/models":
            self._answer(404, {"error": "not found"})

    def do_POST(self) -> None:  # noqa: N802 - http.server calls it so
        state, body = self.llm_state, json.loads(self.body())
        state.asked.append((self.path, body))
        state.headers.append({name.lower(): value for name, value in self.headers.items()})
        state.open.wait(20)
        if self._is_faulty() or (self.path.startswith("/v1/") and not self._is_known()):
            return
        if state.body is not None:
            self._answer(200, state.body)
        elif self.path == "/api/generate":
            self._answer(200, {"model": body["model"], "response": self._next(), "done": True})
        elif self.path == "/v1/chat/completions":
            text = self._next()
            content = [{"type": "text", "text": part} for part in (text[:9], text[9:])] if state.in_parts else text
            choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
            self._answer(200, {"object": "chat.completion", "choices": [choice]})
        else:
            self._answer(404, {"error": "not found"})

    def _next(self) -> str:
        answers = self.llm_state.answers
        return answers.popleft() if len(answers) > 1 else answers[0]

    def _is_faulty(self) -> bool:
        state = self.llm_state
        fault = state.faults.popleft() if state.faults else None
        if fault == 0:
            self.drop()
        elif fault in (301, 302, 307):
            self.say(fault, b"", Location=state.elsewhere)
        elif fault is not None:
            self._answer(fault, {"error": {"message": f"the model\nfailed, status {fault}"}})
        return fault is not None

    def _is_known(self) -> bool:
        state, given = self.llm_state, self.headers.get("Authorization")
        if state.key is None or given == f"Bearer {state.key}":
            return True
        # As some do, it repeats what it was given.
        self._answer(401, {"error": {"message": f"Incorrect API key provided: {given}"}})
        return False

    def _answer(self, status: int, body: object) -> None:
        self.say(status, json.dumps(body).encode(), Content_Type="application/json")

"""Asking a language model elsewhere, with words and pictures: Ollama, or any server that speaks OpenAI's chat completions.

Nothing is asked but the one address of the settings; redirects are not followed, so the key and the pictures go nowhere else.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sottovoce import errors
from sottovoce.engines.base import Run, Unavailable

if TYPE_CHECKING:
    import httpx

#: Where each provider listens by itself.
USUAL_ADDRESS, USUAL_OLLAMA_ADDRESS = "http://localhost:8080/v1", "http://localhost:11434"
#: Ollama needs a model's name; this one reads pictures.
USUAL_OLLAMA_MODEL = "llava"

_CONNECT_SECONDS, _CHECK_SECONDS, _CANCEL_SECONDS = 10.0, 2.0, 0.25
#: Answers that may be another in a while (500 is none: models that do not fit answer it), and the pauses before each next try.
_BUSY, _PAUSES = frozenset({425, 429, 502, 503}), (0.5, 2.0)
_ASKED_PERCENT, _ANSWERED_PERCENT = 10.0, 90.0
_THOUGHTS = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_SHOW = "Is it running? `sotto config show` has its address, llm.base_url."
_SET = "sotto config set llm.provider ollama"


class LlmConfig(BaseModel):
    """The section `llm` of the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: Literal["none", "ollama", "openai-compatible"] = "none"
    base_url: str = USUAL_ADDRESS
    model: str | None = None
    timeout_seconds: Annotated[float, Field(ge=1)] = 300.0

    @field_validator("base_url")
    @classmethod
    def _plain(cls, url: str) -> str:
        from httpx import URL, InvalidURL

        try:
            parsed = URL(url)
        except InvalidURL as error:
            raise ValueError(f"{url!r} is no address: {error}") from None
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ValueError("it must be an address such as http://localhost:11434")
        if parsed.userinfo or parsed.query or parsed.fragment:
            raise ValueError("it must be an address without user, question mark or #; the key comes from LLM_API_KEY")
        return url.rstrip("/")

    @property
    def address(self) -> str:
        """Where the provider's routes begin, without a slash at the end."""
        if self.provider != "ollama":
            return self.base_url
        if self.base_url == USUAL_ADDRESS:
            return USUAL_OLLAMA_ADDRESS
        return self.base_url.removesuffix("/v1").removesuffix("/api")

    @property
    def model_name(self) -> str | None:
        """The model to ask for; None leaves it to a server that has but one."""
        return self.model or (USUAL_OLLAMA_MODEL if self.provider == "ollama" else None)


@dataclass(frozen=True)
class Question:
    """What is asked: words, JPEG pictures, how freely to answer (0-2) and how long at most."""

    words: str
    pictures: tuple[bytes, ...] = ()
    temperature: float = 0.3
    most_tokens: int = 500


def unavailable(config: LlmConfig) -> Unavailable | None:
    """Why no LLM can be asked: none is configured, nothing answers within two seconds, or Ollama lacks the model."""
    import httpx

    if config.provider == "none":
        return Unavailable("no LLM is configured", _SET)
    route = "/api/tags" if config.provider == "ollama" else "/models"
    try:
        answer = httpx.get(f"{config.address}{route}", timeout=_CHECK_SECONDS, follow_redirects=False)
    except httpx.RequestError as error:
        return Unavailable(f"the LLM does not answer: {_reason(error)}", _SHOW)
    if answer.status_code >= 500:
        return Unavailable(f"the LLM answers {answer.status_code}", _SHOW)
    return _without_model(config, answer) if config.provider == "ollama" else None


def ask(config: LlmConfig, question: Question, run: Run, *, stage: str) -> str:
    """The model's answer as it wrote it; the key is `run.credentials["llm"]`.

    RemoteFailed with the server's own words, TimedOut after `timeout_seconds`; whatever `run.progress` raises stops it within a second.
    """
    import httpx

    key = _plain_key(run)
    call = _ollama(config, question, run.seed) if config.provider == "ollama" else _openai(config, question)
    try:
        # A thread of its own, since the caller may be inside an event loop already.
        with ThreadPoolExecutor(1) as beside:
            answer = beside.submit(asyncio.run, _watched(config, call, key, run, stage)).result()
    except httpx.RequestError as error:
        raise errors.RemoteFailed(f"the LLM could not be asked: {_reason(error)}", hint=_SHOW) from error
    except TimeoutError:
        raise errors.TimedOut(
            f"the LLM took longer than {config.timeout_seconds:g} s",
            hint="`sotto config set llm.timeout_seconds SECONDS`, or take a smaller model.",
        ) from None
    run.report(stage, _ANSWERED_PERCENT)
    return _text(config, _body(config, answer, key))


def json_object(text: str) -> dict[str, Any]:
    """The JSON object in an answer, whatever stands around it (thoughts, code fences, talk); RemoteFailed if there is none."""
    plain = _THOUGHTS.sub("", text)
    start = plain.find("{")
    try:
        found, _ = json.JSONDecoder().raw_decode(plain, max(0, start))
        # Half surrogate pairs cannot be written anywhere.
        found = json.loads(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise errors.RemoteFailed(
            f"the LLM answered no JSON that can be read: {' '.join(plain.split())[:80]!r}",
            hint="Ask again, or set llm.model to a model that follows instructions better.",
        )
    return found


@dataclass(frozen=True)
class _Call:
    url: str
    body: Mapping[str, Any]


def _ollama(config: LlmConfig, question: Question, seed: int) -> _Call:
    options = {"temperature": question.temperature, "num_predict": question.most_tokens, "seed": seed % 2**31}
    body = {"model": config.model_name, "prompt": question.words, "stream": False, "options": options}
    images = [base64.b64encode(picture).decode() for picture in question.pictures]
    return _Call(f"{config.address}/api/generate", body | ({"images": images} if images else {}))


def _openai(config: LlmConfig, question: Question) -> _Call:
    pictures = [
        {
            "type": "image_url",
            "image_url": {"url": f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}", "detail": "low"},
        }
        for picture in question.pictures
    ]
    content = [{"type": "text", "text": question.words}, *pictures] if pictures else question.words
    body: dict[str, Any] = {
        "messages": [{"role": "user", "content": content}],
        "temperature": question.temperature,
        "max_tokens": question.most_tokens,
    }
    return _Call(
        f"{config.address}/chat/completions", body | ({"model": config.model_name} if config.model_name else {})
    )


def _plain_key(run: Run) -> str | None:
    key = (run.credentials.get("llm") or "").strip()
    if not key.isascii() or not key.isprintable():
        raise errors.InvalidParameter("the LLM's key has characters that no key has", hint="Look at LLM_API_KEY.")
    return key or None


async def _watched(config: LlmConfig, call: _Call, key: str | None, run: Run, stage: str) -> httpx.Response:
    """The server's answer; asks four times a second whether to go on."""
    import httpx

    headers = {"User-Agent": "sottovoce", **({"Authorization": f"Bearer {key}"} if key else {})}
    timeout = httpx.Timeout(None, connect=_CONNECT_SECONDS)
    async with (
        asyncio.timeout(config.timeout_seconds),
        httpx.AsyncClient(headers=headers, timeout=timeout, follow_redirects=False) as client,
    ):
        answering = asyncio.create_task(_answered(client, call))
        try:
            while not answering.done():
                run.report(stage, _ASKED_PERCENT)
                await asyncio.wait({answering}, timeout=_CANCEL_SECONDS)
        finally:
            answering.cancel()
        return await answering


async def _answered(client: httpx.AsyncClient, call: _Call) -> httpx.Response:
    """The first answer that is not `busy`, or the last one."""
    answer = await client.post(call.url, json=call.body)
    for pause in _PAUSES:
        if answer.status_code not in _BUSY:
            break
        await asyncio.sleep(pause)
        answer = await client.post(call.url, json=call.body)
    return answer


def _body(config: LlmConfig, answer: httpx.Response, key: str | None) -> dict[str, Any]:
    """The JSON object of an answer, or what its status says; errors wrapped in a 200 are errors."""
    try:
        body = answer.json()
    except (ValueError, RecursionError):
        body = None
    said = _said(body, key) or f"status {answer.status_code}"
    if answer.status_code in (401, 403):
        raise _failed(f"refused the key: {said}", "Set LLM_API_KEY to the server's API key.")
    if answer.is_redirect:
        raise _failed(
            "answers from another address, which was not asked", "Set llm.base_url to the final address, https too."
        )
    if answer.status_code == 404:
        pull = f"`ollama pull {config.model_name}`, or is" if config.provider == "ollama" else "Is"
        raise _failed(f"has no such model or route: {said}", f"{pull} llm.base_url its address?")
    if answer.status_code == 429:
        raise _failed(f"takes no more questions now: {said}", "Wait a while, or look at what your account allows.")
    if answer.status_code != 200 or not isinstance(body, dict) or body.get("error"):
        raise _failed(f"failed: {said}", _SHOW)
    return body


def _said(body: object, key: str | None) -> str:
    """An error's own words, on one line and without the key, which some servers repeat."""
    error = body.get("error", body.get("detail")) if isinstance(body, dict) else None
    words = error.get("message") if isinstance(error, dict) else error
    line = " ".join(str(words).split()) if words else ""
    return (line.replace(key, "…") if key else line)[:300]


def _text(config: LlmConfig, body: Mapping[str, Any]) -> str:
    answer = body.get("response") if config.provider == "ollama" else _content(body)
    if not isinstance(answer, str) or not answer.strip():
        raise _failed("answered nothing", "Set llm.model to another model; some only think and see no pictures.")
    return answer


def _content(body: Mapping[str, Any]) -> str | None:
    """The message of the first choice, which may come in parts."""
    match body:
        case {"choices": [{"message": {"content": str(words)}}, *_]}:
            return words
        case {"choices": [{"message": {"content": list(parts)}}, *_]}:
            return "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))
    return None


def _without_model(config: LlmConfig, answer: httpx.Response) -> Unavailable | None:
    try:
        body = answer.json()
    except (ValueError, RecursionError):
        body = None
    models = body.get("models") if isinstance(body, dict) else None
    if answer.status_code != 200 or not isinstance(models, list):
        return Unavailable("what answers at llm.base_url is no Ollama server", _SHOW)
    names = {str(model.get("name")) for model in models if isinstance(model, dict)}
    if config.model_name in names or f"{config.model_name}:latest" in names:
        return None
    return Unavailable(f"Ollama has no model {config.model_name}", f"ollama pull {config.model_name}")


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _failed(what: str, hint: str) -> errors.RemoteFailed:
    return errors.RemoteFailed(f"the LLM {what}", hint=hint)

"""The wire of an ACE-Step server, in its revisions: envelopes and statuses, tasks, results, models; its key sent to nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from sottovoce import errors
from sottovoce.engines import remote
from sottovoce.engines.base import Unavailable
from sottovoce.engines.hang_up import Line, answered

if TYPE_CHECKING:
    import httpx

EXAMPLE_URL = "http://localhost:8001"
SET_URL = f"sotto config set ace_step.api_url {EXAMPLE_URL}"
QUEUED, SUCCEEDED, FAILED = 0, 1, 2
_TRIES = 5
_LONGEST_PAUSE = 60.0
_KEY_HINT = "Set ACESTEP_API_KEY to the server's API key."
#: Statuses of an order that are worth another try; a 500 is how the Gradio app says that its work has failed.
_ORDER_AGAIN = remote.BUSY - {500}


class AceStepApiConfig(BaseModel):
    """What engines behind an ACE-Step server take of the section `ace_step` of the settings."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    enabled: bool = True
    mode: Literal["auto", "lib", "api"] = "auto"
    api_url: str | None = None
    timeout_seconds: Annotated[float, Field(ge=1)] = 3600.0
    use_lm: bool = False

    def missing(self) -> Unavailable | None:
        """What has to be set before any server can be asked."""
        if not self.enabled:
            return Unavailable("it is switched off", "sotto config set ace_step.enabled true")
        if self.mode == "lib":
            return Unavailable("ace_step.mode is lib, so no server is asked", "sotto config set ace_step.mode auto")
        if self.api_url is None:
            return Unavailable("no ACE-Step server is configured", SET_URL)
        return None

    def address(self, engine: str) -> str:
        """The server's address; BackendNotInstalled where there is none to use."""
        missing = self.missing()
        if missing is not None or self.api_url is None:
            reason, cure = (missing.reason, missing.cure) if missing else ("", "")
            raise errors.BackendNotInstalled(f"{engine} cannot run here: {reason}", hint=cure)
        return self.api_url.rstrip("/")


class Unanswered(errors.RemoteFailed):
    """No usable answer; the same question may be answered later."""


@dataclass(frozen=True)
class ServerModel:
    """A model of the server's: its name, whether it is the one taken unasked, and the tasks it can (empty: not said)."""

    name: str
    default: bool = False
    tasks: tuple[str, ...] = ()


@dataclass(frozen=True)
class State:
    """What became of a task: 0 waits or runs, 1 done, 2 failed; `known` is False for one the server may never have heard of."""

    status: int
    known: bool
    progress: float | None
    error: str
    tracks: tuple[Track, ...]


@dataclass(frozen=True)
class Track:
    """A finished track: where it lies (a path or an address), the seed it says it used, and with which model."""

    file: str
    seed: str | None
    model: str | None
    key: str | None


class Api:
    """An ACE-Step server under one key (None: it wants none); use it as a context."""

    def __init__(self, base: str, key: str | None) -> None:
        self.base = base
        self._key = key

    def __enter__(self) -> Self:
        self._client = self._new_client(60.0)
        return self

    def __exit__(self, *raised: object) -> None:
        self._client.close()

    def release(
        self, fields: Mapping[str, Any], files: Mapping[str, Path], *, timeout: float, pause: Callable[[float], None]
    ) -> str:
        """Order music; the task's id. 429 is waited out until `timeout` seconds are over, which `pause` must count; a cancel is heard.

        The Gradio app answers only when the music is made.
        """
        waited, failures, wait, reason = 0.0, 0, 1.0, ""
        while failures < _TRIES and waited <= timeout:
            try:
                answer = self._ordered(fields, files, timeout, pause)
                if answer.status_code not in _ORDER_AGAIN:
                    return _task_id(self._data(answer))
                reason = f"it answered {answer.status_code}{_because(answer)}"
                failures += answer.status_code != 429
                wait = max(wait, _retry_after(answer))
            except _Unreached as error:
                reason, failures = self._hidden(str(error)), failures + 1
            pause(wait)
            waited, wait = waited + wait, min(30.0, 2 * wait)
        raise Unanswered(f"the ACE-Step server takes no order: {reason}", hint="Is it running, or too busy?")

    def query(self, tasks: Sequence[str]) -> dict[str, State]:
        """What became of tasks, in one call and one try; Unanswered if it is to be asked again."""
        said = self._once(
            lambda: self._client.post(f"{self.base}/query_result", json=self._signed({"task_id_list": list(tasks)}))
        )
        found = (
            {str(one.get("task_id")): one for one in said if isinstance(one, Mapping)} if isinstance(said, list) else {}
        )
        return {task: _state(found[task]) for task in tasks if task in found}

    def is_idle(self) -> bool | None:
        """Whether the server has nothing to do; None if it does not say."""
        try:
            jobs = _mapping(_mapping(self._got("/v1/stats")).get("jobs"))
        except errors.RemoteFailed:
            return None
        counts = [jobs.get(name) for name in ("queued", "running")]
        return not any(counts) if all(isinstance(count, int) for count in counts) else None

    def models(self) -> tuple[ServerModel, ...]:
        """The models it has, in either shape of its lists; nothing if it keeps no list."""
        for route in ("/v1/model_inventory", "/v1/models"):
            try:
                found = _models(self._got(route))
            except _NoRoute:
                continue
            if found:
                return found
        return ()

    def format_input(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """The server's language model's way of saying a prompt."""
        return _mapping(
            self._once(lambda: self._client.post(f"{self.base}/format_input", json=self._signed(fields), timeout=300))
        )

    def fetch(self, file: str, path: Path, pause: Callable[[float], None]) -> None:
        """Fetch a finished track; RemoteFailed for one that lies on another server."""
        remote.download(self._client, address(file, self.base), path, size=None, pause=pause)

    def _got(self, route: str) -> Any:
        return self._once(lambda: self._client.get(f"{self.base}{route}"))

    def _once(self, call: Callable[[], httpx.Response]) -> Any:
        """What a call's answer holds; Unanswered where it may be answered later."""
        import httpx

        try:
            answer = call()
        except httpx.TransportError as error:
            raise Unanswered(
                f"the ACE-Step server could not be asked: {self._hidden(str(error) or type(error).__name__)}"
            ) from error
        if answer.status_code in remote.BUSY:
            raise Unanswered(f"the ACE-Step server answered {answer.status_code}{_because(answer)}")
        return self._data(answer)

    def _ordered(
        self, fields: Mapping[str, Any], files: Mapping[str, Path], timeout: float, pause: Callable[[float], None]
    ) -> httpx.Response:
        """The answer to an order, over a line of its own; _Unreached where it has certainly not been taken."""
        import httpx

        line = Line()
        with self._new_client(timeout) as client, ExitStack() as stack:
            extensions = {"trace": line.watch}
            form = {
                name: (f"{name}.flac", stack.enter_context(path.open("rb")), "audio/flac")
                for name, path in files.items()
            }
            body: dict[str, Any] = (
                {"data": {name: _text(value) for name, value in self._signed(fields).items()}, "files": form}
                if form
                else {"json": self._signed(fields)}
            )
            try:
                return answered(
                    lambda: client.post(f"{self.base}/release_task", extensions=extensions, **body),
                    line,
                    lambda: pause(0),
                )
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                raise _Unreached(str(error) or type(error).__name__) from error
            except httpx.TransportError as error:
                raise Unanswered(
                    f"the ACE-Step server broke off while it was told what to make: {self._hidden(str(error) or type(error).__name__)}"
                ) from error

    def _data(self, answer: httpx.Response) -> Any:
        """What is in the envelope; RemoteFailed for what the status or the envelope calls a failure."""
        try:
            body = answer.json()
        except ValueError:
            body = None
        if answer.status_code != 200:
            raise self._refused(answer.status_code, _because(answer))
        if not isinstance(body, dict):
            raise errors.RemoteFailed(
                "the ACE-Step server answered nothing that can be read",
                hint=f"Is ace_step.api_url its address? {SET_URL}",
            )
        code = body.get("code", 200)
        if code != 200 or (body.get("error") and body.get("data") is None):
            raise self._refused(code, f": {last_line(str(body.get('error') or 'no reason given'))}")
        return body.get("data", body)

    def _refused(self, code: object, reason: str) -> errors.RemoteFailed:
        reason = self._hidden(reason)
        if code in (401, 403):
            return errors.RemoteFailed(f"the ACE-Step server refused the key{reason}", hint=_KEY_HINT)
        if code == 404:
            return _NoRoute(f"the ACE-Step server knows no such route{reason}", hint="Is ace_step.api_url its address?")
        return errors.RemoteFailed(f"the ACE-Step server answered {code}{reason}")

    def _signed(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """With the key in the body, where some revisions look for it first."""
        return {**fields, **({"ai_token": self._key} if self._key else {})}

    def _new_client(self, timeout: float) -> httpx.Client:
        import httpx

        headers = {"User-Agent": "sottovoce", **({"Authorization": f"Bearer {self._key}"} if self._key else {})}
        return httpx.Client(headers=headers, timeout=httpx.Timeout(timeout, connect=10), follow_redirects=False)

    def _hidden(self, text: str) -> str:
        """Their words, without the key should it stand in them."""
        return text.replace(self._key, "(key)") if self._key else text


class _Unreached(Exception):
    """An order that certainly did not arrive."""


class _NoRoute(errors.RemoteFailed):
    """The server has no such route."""


def address(file: str, base: str) -> str:
    """Where a track is fetched: always at the server at `base`. A file of its own disk becomes a question for it; RemoteFailed for another server."""
    from httpx import URL, InvalidURL

    if file.startswith("/v1/"):
        return f"{base}{file}"
    if not file.startswith(("http://", "https://", "//")):
        return f"{base}/v1/audio?path={quote(file, safe='')}"
    try:
        asked, own = URL(file), URL(base)
    except InvalidURL as error:
        raise errors.RemoteFailed(f"the ACE-Step server names a result at no address: {error}") from error
    if (asked.scheme, asked.host, asked.port, asked.userinfo) != (own.scheme, own.host, own.port, own.userinfo):
        raise errors.RemoteFailed(
            f"the ACE-Step server names a result on another server, {asked.host}; it was not fetched"
        )
    return file


def last_line(text: str) -> str:
    """What a traceback ends in: the error itself."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


def _task_id(data: Any) -> str:
    task = _mapping(data).get("task_id")
    if not isinstance(task, str) or not task:
        raise errors.RemoteFailed(
            "the ACE-Step server did not answer as one does: there is no task_id",
            hint="Is ace_step.api_url its address?",
        )
    return task


def _state(said: Mapping[str, Any]) -> State:
    """A line of the answer, whose `result` is JSON in a string."""
    items = _items(said.get("result"))
    first = items[0] if items else {}
    status = said.get("status")
    progress = first.get("progress")
    return State(
        status=status if status in (QUEUED, SUCCEEDED, FAILED) else QUEUED,
        known=bool(items) or bool(said.get("progress_text")) or status in (SUCCEEDED, FAILED),
        progress=min(1.0, max(0.0, float(progress))) if isinstance(progress, int | float) else None,
        error=str(first.get("error") or said.get("error") or "no reason given"),
        tracks=tuple(_track(item, index) for index, item in enumerate(items)) if status == SUCCEEDED else (),
    )


def _items(result: object) -> list[dict[str, Any]]:
    try:
        parsed = json.loads(result) if isinstance(result, str) else result
    except ValueError:
        return []
    parts = parsed if isinstance(parsed, list) else [parsed]
    return [part for part in parts if isinstance(part, dict)]


def _track(item: Mapping[str, Any], index: int) -> Track:
    """All tracks share one list of seeds, each having its own in its place; the Gradio app gives each its `seed`."""
    seeds = [seed.strip() for seed in str(item.get("seed_value") or "").split(",")]
    seed = seeds[index] if index < len(seeds) else ""
    metas = _mapping(item.get("metas"))
    return Track(
        file=str(item.get("url") or item.get("file") or ""),
        seed=seed or (None if item.get("seed") is None else str(item["seed"])),
        model=_known(item.get("dit_model")),
        key=_known(metas.get("keyscale") or item.get("keyscale")),
    )


def _known(said: object) -> str | None:
    return str(said) if said and said != "N/A" else None


def _models(said: object) -> tuple[ServerModel, ...]:
    """`{models, default_model}`, or a list as OpenAI has it, whose first is the default."""
    if isinstance(said, list):
        names = [
            str(one.get("id") or one.get("name") or "").removeprefix("acestep/")
            for one in said
            if isinstance(one, dict)
        ]
        return tuple(ServerModel(name, default=index == 0) for index, name in enumerate(names) if name)
    listed = _mapping(said)
    default = listed.get("default_model")
    return tuple(
        ServerModel(
            str(one["name"]),
            default=bool(one.get("is_default")) or one["name"] == default,
            tasks=tuple(map(str, one.get("supported_task_types") or ())),
        )
        for one in listed.get("models") or ()
        if isinstance(one, dict) and one.get("name")
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _because(answer: httpx.Response) -> str:
    """What stands in `detail`, or in the envelope's `error`."""
    try:
        body = answer.json()
    except ValueError:
        return ""
    detail = (body.get("detail") or body.get("error")) if isinstance(body, dict) else None
    if isinstance(detail, list):
        detail = "; ".join(str(part.get("msg") if isinstance(part, dict) else part) for part in detail)
    return f": {last_line(str(detail))}" if detail else ""


def _retry_after(answer: httpx.Response) -> float:
    said = answer.headers.get("Retry-After", "")
    return min(_LONGEST_PAUSE, float(said)) if said.isdecimal() else 0.0


def _text(value: object) -> str:
    """A field of a form: nothing for None, and `true` or `false`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)

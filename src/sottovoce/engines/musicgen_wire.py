"""The wire of a MusicGen server: jobs that are started, asked after and fetched; its errors in our words, and its key sent to nobody else."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from sottovoce import errors
from sottovoce.engines import remote
from sottovoce.engines.base import Run, Unavailable

if TYPE_CHECKING:
    import httpx

_POLL_SECONDS = 2.0
_TRIES = 5
#: Between which percent of the work a job is waited for.
_WAITED_FROM, _WAITED_SHARE = 10.0, 0.8
EXAMPLE_URL = "http://localhost:8000"
SET_URL = f"sotto config set musicgen.base_url {EXAMPLE_URL}"
_KEY_HINT = "Set MUSICGEN_API_KEY to the server's API key."
_ADDRESS_HINT = "Is musicgen.base_url its address?"


class MusicgenConfig(BaseModel):
    """What engines behind a MusicGen server take of the section `musicgen` of the settings."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    enabled: bool = True
    mode: Literal["auto", "lib", "api"] = "auto"
    base_url: str | None = None
    timeout_seconds: Annotated[float, Field(ge=1)] = 10_800.0

    def missing(self) -> Unavailable | None:
        """What has to be set before any server can be asked."""
        if not self.enabled:
            return Unavailable("it is switched off", "sotto config set musicgen.enabled true")
        if self.base_url is None:
            return Unavailable("no MusicGen server is configured", SET_URL)
        return None

    def address(self, engine: str) -> str:
        """The server's address; BackendNotInstalled where there is none to use."""
        missing = self.missing()
        if missing is not None or self.base_url is None:
            reason, cure = (missing.reason, missing.cure) if missing else ("", "")
            raise errors.BackendNotInstalled(f"{engine} cannot run here: {reason}", hint=cure)
        return self.base_url.rstrip("/")


class Gone(errors.RemoteFailed):
    """The server has no such job (it keeps them for a day), or no such route."""


class JobFailed(errors.RemoteFailed):
    """The job ended without a result, for good."""


class Server:
    """The server at `base` for one run; use it as a context."""

    def __init__(
        self,
        base: str,
        run: Run,
        *,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.base = base
        self._run, self._timeout = run, timeout
        self._clock, self._sleep = clock, sleep
        self._deadline = clock() + timeout

    def __enter__(self) -> Self:
        import httpx

        key = self._run.credentials.get("musicgen")
        headers = {"User-Agent": "sottovoce", **({"X-API-Key": key} if key else {})}
        self._client = httpx.Client(headers=headers, timeout=httpx.Timeout(60, connect=10), follow_redirects=False)
        return self

    def __exit__(self, *raised: object) -> None:
        self._client.close()

    def start(self, route: str, body: Mapping[str, Any]) -> str:
        """Order a job; its id."""
        return self._started(lambda: self._client.post(f"{self.base}{route}", json=dict(body)))

    def start_with(self, route: str, path: Path) -> str:
        """Order a job about a file, which is read from disk while it is sent; its id."""

        def post() -> httpx.Response:
            with path.open("rb") as song:
                return self._client.post(f"{self.base}{route}", files={"file": ("song.flac", song, "audio/flac")})

        return self._started(post)

    def waited(self, job: str, stage: str) -> list[str]:
        """The addresses of a job's results, once it is done; Gone, JobFailed, TimedOut, or RemoteFailed after five tries in vain."""
        percent = _WAITED_FROM
        while True:
            pause = self._pause(stage, percent)
            said = self._asked(lambda: self._client.get(f"{self.base}/jobs/{job}"), pause)
            if said.get("status") == "completed":
                return [_address(str(url), self.base) for url in said.get("result_urls") or ()]
            if said.get("status") == "failed":
                raise JobFailed(f"the MusicGen server could not {stage}: {said.get('error') or 'no reason given'}")
            if self._clock() > self._deadline:
                raise errors.TimedOut(
                    f"the MusicGen server took longer than {self._timeout:g} s",
                    hint="`sotto config set musicgen.timeout_seconds SECONDS`; the same job run again takes it up.",
                )
            percent = max(percent, _WAITED_FROM + _WAITED_SHARE * _percent(said.get("progress")))
            pause(_POLL_SECONDS)

    def fetch(self, url: str, path: Path, percent: float) -> None:
        """Fetch a result."""
        remote.download(self._client, url, path, size=None, pause=self._pause("download", percent))

    def _started(self, post: Callable[[], httpx.Response]) -> str:
        job = self._asked(post, self._pause("order", 5)).get("job_id")
        if not isinstance(job, str) or not job.replace("-", "").isalnum():
            raise failed("did not answer as one does: there is no job_id", _ADDRESS_HINT)
        return job

    def _asked(self, call: Callable[[], httpx.Response], pause: Callable[[float], None]) -> dict[str, Any]:
        """A call's answer, tried again where that can help."""
        import httpx

        reason = ""
        for attempt in range(_TRIES):
            try:
                answer = call()
            except httpx.TransportError as error:
                reason = str(error) or type(error).__name__
            else:
                if answer.status_code not in remote.BUSY:
                    return _understood(answer)
                reason = f"it answered {answer.status_code}"
            pause(min(30.0, 2.0**attempt))
        raise failed(f"could not be asked: {reason}", "Is it running? `sotto config show musicgen.base_url`")

    def _pause(self, stage: str, percent: float) -> Callable[[float], None]:
        return remote.pauser(self._run, self._sleep, stage, percent)


def failed(what: str, hint: str = "") -> errors.RemoteFailed:
    """What went wrong at the server."""
    return errors.RemoteFailed(f"the MusicGen server {what}", hint=hint)


def _understood(answer: httpx.Response) -> dict[str, Any]:
    """The JSON object of an answer, or what its status says."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    detail = _detail(body.get("detail")) if isinstance(body, dict) else None
    if answer.status_code in (401, 403):
        raise failed(f"refused the key: {detail or answer.status_code}", _KEY_HINT)
    if answer.status_code == 404:
        raise Gone(f"the MusicGen server has no such job or route: {detail or 'not found'}", hint=_ADDRESS_HINT)
    if answer.status_code == 413:
        raise errors.FileTooLarge(f"the MusicGen server takes no file that large: {detail or 'no reason given'}")
    if answer.status_code != 200 or not isinstance(body, dict):
        raise failed(f"answered {answer.status_code}: {detail or 'nothing that can be read'}")
    return body


def _detail(said: object) -> str:
    """What FastAPI gives as the reason: words, or a list of fields that are wrong."""
    if not isinstance(said, Sequence) or isinstance(said, str):
        return str(said or "")
    parts = [part for part in said if isinstance(part, Mapping)]
    return "; ".join(f"{'.'.join(map(str, part.get('loc', ())))}: {part.get('msg', '')}" for part in parts)


def _percent(said: object) -> float:
    return min(100.0, max(0.0, float(said))) if isinstance(said, int | float) else 0.0


def _address(url: str, base: str) -> str:
    """A result's whole address: relative ones are relative to where the server is mounted."""
    from httpx import URL, InvalidURL

    try:
        asked, own = URL(url), URL(base)
    except InvalidURL as error:
        raise failed(f"names a result at no address: {error}") from error
    if not asked.scheme and not asked.host:
        return f"{base}/{url.lstrip('/')}"
    if (asked.scheme, asked.host, asked.port, asked.userinfo) != (own.scheme, own.host, own.port, own.userinfo):
        raise failed(f"names a result on another server, {asked.host}; it was not fetched")
    return url

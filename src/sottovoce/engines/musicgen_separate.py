"""Separation by a MusicGen server: the song goes up as a form, the job is asked after until its four stems are there."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from sottovoce import errors
from sottovoce.audio import AudioReader, Stem, StemWriter
from sottovoce.engines import remote
from sottovoce.engines.base import Capabilities, EngineOptions, Run, Separation, Unavailable
from sottovoce.version import __version__

if TYPE_CHECKING:
    import httpx

STEMS: tuple[Stem, ...] = tuple(map(Stem, ("drums", "bass", "other", "vocals")))
_POLL_SECONDS = 2.0
_TRIES = 5
_MEMO = "musicgen-separate"
_SET_URL = "sotto config set musicgen.base_url http://localhost:8000"
_KEY_HINT = "Set MUSICGEN_API_KEY to the server's API key."


class MusicgenConfig(BaseModel):
    """What this engine takes of the section `musicgen` of the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = True
    base_url: str | None = None
    timeout_seconds: Annotated[float, Field(ge=1)] = 10_800.0


class MusicgenSeparateOptions(EngineOptions):
    """What one request can choose: the stems to fetch; the server always makes all four."""

    only: Annotated[tuple[Stem, ...], Field(description="the stems wanted")] = ()


class MusicgenSeparate:
    """Stems by the server at `musicgen.base_url`, at the source's rate and exact length; no other server is ever asked."""

    name: ClassVar[str] = "musicgen-separate"
    title: ClassVar[str] = "Demucs on a MusicGen server"
    version: ClassVar[str] = __version__
    Config: ClassVar[type[MusicgenConfig]] = MusicgenConfig
    section: ClassVar[str | None] = "musicgen"
    Options: ClassVar[type[MusicgenSeparateOptions]] = MusicgenSeparateOptions
    capabilities: ClassVar[Capabilities] = Capabilities(
        tasks=("separate",),
        stems=STEMS,
        deterministic=False,
        needs="the address of a MusicGen server in musicgen.base_url",
        licence="MIT",
        quality="neural: htdemucs on the server",
    )

    def __init__(
        self,
        config: MusicgenConfig,
        weights: object = None,
        device: str = "cpu",
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.config, self.weights, self.device = config, weights, device
        self._clock, self._sleep = clock, sleep

    def unavailable(self) -> Unavailable | None:
        """Whether its address is set; the server itself is not asked."""
        if not self.config.enabled:
            return Unavailable("it is switched off", "sotto config set musicgen.enabled true")
        if self.config.base_url is None:
            return Unavailable("no MusicGen server is configured", _SET_URL)
        return None

    def close(self) -> None:
        """It holds nothing between calls."""

    def stems_of(self, model: str | None) -> tuple[Stem, ...]:
        """Drums, bass, other, vocals; the server chooses its model."""
        if model is not None:
            raise errors.InvalidParameter(
                f"the MusicGen server chooses its model itself, so {model!r} cannot be asked for; leave the model out"
            )
        return STEMS

    def settled(self, options: EngineOptions, run: Run) -> Mapping[str, Any]:
        """Which server is asked."""
        del options, run
        return {"server": self.config.base_url}

    def separate(self, source: AudioReader, sink: StemWriter, options: EngineOptions, run: Run) -> Separation:
        """Send, wait, fetch, write. A job that was sent is taken up again by the same run's memo."""
        assert isinstance(options, MusicgenSeparateOptions)
        wanted = tuple(stem for stem in STEMS if not options.only or stem in options.only)
        base, deadline = self._base(), self._clock() + self.config.timeout_seconds
        with _client(run.credentials.get("musicgen")) as client, TemporaryDirectory(prefix="sotto-") as folder:
            job = (run.memo.get(_MEMO) or {}).get("job") or self._send(source, base, client, run)
            urls = _by_stem(self._waited(f"{base}/jobs/{job}", client, run, deadline), base)
            paths = {stem: Path(folder) / f"{stem}.wav" for stem in wanted}
            for index, (stem, path) in enumerate(paths.items()):
                pause = remote.pauser(run, self._sleep, "download", 90 + 8 * index / len(paths))
                remote.download(client, urls[stem], path, size=None, pause=pause)
            notes = [note for stem, path in paths.items() for note in remote.write_stem(path, stem, source, sink)]
        run.report("separate", 100)
        return Separation(wanted, None, options.model_dump(), tuple(notes))

    def _base(self) -> str:
        missing = self.unavailable()
        if missing is not None or self.config.base_url is None:
            reason, cure = (missing.reason, missing.cure) if missing else ("", "")
            raise errors.BackendNotInstalled(f"musicgen-separate cannot run here: {reason}", hint=cure)
        return self.config.base_url.rstrip("/")

    def _send(self, source: AudioReader, base: str, client: httpx.Client, run: Run) -> str:
        """Upload the song; the job's id, noted in the memo."""
        pause = remote.pauser(run, self._sleep, "upload", 5)
        with remote.outgoing(source, run, start=0, end=5) as path:
            answer = self._asked(lambda: _post(client, f"{base}/separate", path), pause)
        job = answer.get("job_id")
        if not isinstance(job, str) or not job.replace("-", "").isalnum():
            raise _failed("did not answer as one does: there is no job_id", "Is musicgen.base_url its address?")
        run.memo[_MEMO] = {"job": job}
        run.memo.save()
        return job

    def _waited(self, address: str, client: httpx.Client, run: Run, deadline: float) -> list[str]:
        """The addresses of the results, once the job is done."""
        percent = 10.0
        while True:
            pause = remote.pauser(run, self._sleep, "separate", percent)
            job = self._asked(lambda: client.get(address), pause)
            if job.get("status") == "completed":
                return [str(url) for url in job.get("result_urls") or ()]
            if job.get("status") == "failed":
                self._forget(run)
                raise _failed(f"could not separate: {job.get('error') or 'no reason given'}")
            if self._clock() > deadline:
                raise errors.TimedOut(
                    f"the MusicGen server took longer than {self.config.timeout_seconds:g} s",
                    hint="`sotto config set musicgen.timeout_seconds SECONDS`; the same job run again takes it up.",
                )
            percent = max(percent, 10 + 0.8 * float(job.get("progress") or 0))
            pause(_POLL_SECONDS)

    def _asked(self, call: Callable[[], httpx.Response], pause: Callable[[float], None]) -> dict[str, Any]:
        """A call's answer, tried again where that can help."""
        import httpx

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
        raise _failed(f"could not be asked: {reason}", "Is it running? `sotto config show musicgen.base_url`")

    def _forget(self, run: Run) -> None:
        run.memo[_MEMO] = {}
        run.memo.save()


def _client(key: str | None) -> httpx.Client:
    import httpx

    headers = {"User-Agent": "sottovoce", **({"X-API-Key": key} if key else {})}
    return httpx.Client(headers=headers, timeout=httpx.Timeout(60, connect=10), follow_redirects=False)


def _post(client: httpx.Client, url: str, path: Path) -> httpx.Response:
    """The song as a form, read from disk while it is sent."""
    with path.open("rb") as song:
        return client.post(url, files={"file": ("song.flac", song, "audio/flac")})


def _understood(answer: httpx.Response) -> dict[str, Any]:
    """The JSON object of an answer, or what its status says."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    detail = body.get("detail") if isinstance(body, dict) else None
    if answer.status_code in (401, 403):
        raise _failed(f"refused the key: {detail or answer.status_code}", _KEY_HINT)
    if answer.status_code == 404:
        raise _failed(f"has no such job or route: {detail or 'not found'}", "Is musicgen.base_url its address?")
    if answer.status_code == 413:
        raise errors.FileTooLarge(f"the MusicGen server takes no file that large: {detail or 'no reason given'}")
    if answer.status_code != 200 or not isinstance(body, dict):
        raise _failed(f"answered {answer.status_code}: {detail or 'nothing that can be read'}")
    return body


def _by_stem(urls: Sequence[str], base: str) -> Mapping[Stem, str]:
    """The four stems' addresses by the ending of their names; RemoteFailed for one that is missing or on another server."""
    found = {}
    for url in urls:
        stem = Stem(PurePosixPath(url.split("?", 1)[0]).stem.rpartition("_")[2])
        found[stem] = _address(url, base)
    missing = [stem for stem in STEMS if stem not in found]
    if missing:
        raise _failed(f"gave no {', '.join(missing)}")
    return found


def _address(url: str, base: str) -> str:
    """A result's whole address: relative ones are relative to where the server is mounted."""
    from httpx import URL

    asked, own = URL(url), URL(base)
    if not asked.scheme and not asked.host:
        return f"{base}/{url.lstrip('/')}"
    if (asked.scheme, asked.host, asked.port, asked.userinfo) != (own.scheme, own.host, own.port, own.userinfo):
        raise _failed(f"names a result on another server, {asked.host}; it was not fetched")
    return url


def _failed(what: str, hint: str = "") -> errors.RemoteFailed:
    return errors.RemoteFailed(f"the MusicGen server {what}", hint=hint)

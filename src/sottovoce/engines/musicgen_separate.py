"""Separation by a MusicGen server: the song goes up as a form, the job is asked after until its four stems are there."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Annotated, Any, ClassVar

from pydantic import Field

from sottovoce import errors
from sottovoce.audio import AudioReader, Stem, StemWriter
from sottovoce.engines import remote
from sottovoce.engines.base import Capabilities, EngineOptions, Run, Separation, Unavailable
from sottovoce.engines.musicgen_wire import Gone, JobFailed, MusicgenConfig, Server, failed
from sottovoce.version import __version__

STEMS: tuple[Stem, ...] = tuple(map(Stem, ("drums", "bass", "other", "vocals")))
_MEMO = "musicgen-separate"


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
        return self.config.missing()

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
        base, timeout = self.config.address(self.name), self.config.timeout_seconds
        server = Server(base, run, timeout=timeout, clock=self._clock, sleep=self._sleep)
        with server, TemporaryDirectory(prefix="sotto-") as folder:
            urls = _by_stem(self._results(source, server, run))
            paths = {stem: Path(folder) / f"{stem}.wav" for stem in wanted}
            for index, (stem, path) in enumerate(paths.items()):
                server.fetch(urls[stem], path, 90 + 8 * index / len(paths))
            notes = [note for stem, path in paths.items() for note in remote.write_stem(path, stem, source, sink)]
        run.report("separate", 100)
        return Separation(wanted, None, options.model_dump(), tuple(notes))

    def _results(self, source: AudioReader, server: Server, run: Run) -> list[str]:
        """Where the stems are, once the job is done that was sent, now or before."""
        job = (run.memo.get(_MEMO) or {}).get("job") or self._send(source, server, run)
        try:
            return server.waited(job, "separate")
        except (JobFailed, Gone):
            run.memo[_MEMO] = {}
            run.memo.save()
            raise

    def _send(self, source: AudioReader, server: Server, run: Run) -> str:
        """Upload the song; the job's id, noted in the memo."""
        with remote.outgoing(source, run, start=0, end=5) as path:
            job = server.start_with("/separate", path)
        run.memo[_MEMO] = {"job": job}
        run.memo.save()
        return job


def _by_stem(urls: Sequence[str]) -> Mapping[Stem, str]:
    """The four stems' addresses by the ending of their names; RemoteFailed for one that is missing."""
    found = {}
    for url in urls:
        stem = Stem(PurePosixPath(url.split("?", 1)[0]).stem.rpartition("_")[2])
        found[stem] = url
    missing = [stem for stem in STEMS if stem not in found]
    if missing:
        raise failed(f"gave no {', '.join(missing)}")
    return found

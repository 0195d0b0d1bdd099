"""Music by a MusicGen server: short pieces over `/generate`, long ones and those with scenes over `/generate/soundtrack`."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from sottovoce import errors
from sottovoce.audio import DELIVERY_RATE
from sottovoce.engines.base import Capabilities, EngineOptions, Generated, Run, Unavailable
from sottovoce.engines.captions import musicgen_caption
from sottovoce.engines.delivery import delivered
from sottovoce.engines.musicgen_wire import EXAMPLE_URL, Gone, JobFailed, MusicgenConfig, Server, failed
from sottovoce.engines.server_kind import MUSICGEN, Door
from sottovoce.prompt import Prompt
from sottovoce.version import __version__

SHORTEST_SECONDS, LONGEST_SECONDS = 5.0, 1200.0
#: What the server takes: of one piece, of one scene, of a soundtrack; in whole seconds.
_PIECE, _SCENE, _SOUNDTRACK = (10, 120), (5, 120), (30, 1200)
_MOST_SCENES = 40
_LONGEST_PROMPT = 500
#: The server makes long pieces in windows of 30 s that begin with 8 s of the one before, and fails where the last would be no longer.
_WINDOW, _CONTEXT = 30, 8
_MEMO = "musicgen-api"
_NO_SEED = "the MusicGen server takes no seed: asked again, it makes other music"
_LOG = logging.getLogger(__name__)


class Scene(BaseModel):
    """A part of a soundtrack with a mood of its own, or words of its own; it lasts `seconds`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: Annotated[float, Field(ge=_SCENE[0], le=_SCENE[1])]
    mood: Annotated[str | None, Field(max_length=100)] = None
    prompt: Annotated[str | None, Field(max_length=_LONGEST_PROMPT)] = None


class MusicgenApiOptions(EngineOptions):
    """What one request can choose."""

    scenes: Annotated[
        tuple[Scene, ...], Field(max_length=_MOST_SCENES, description="parts with moods of their own, in order")
    ] = ()
    crossfade: Annotated[float, Field(ge=0.5, le=5.0, description="seconds over which scenes go into one another")] = (
        2.0
    )
    beat_aligned: Annotated[bool, Field(description="whether scenes change on a beat")] = True


@dataclass(frozen=True)
class _Order:
    """What is sent: the route and its body."""

    route: str
    body: Mapping[str, Any]

    def name(self, seed: int) -> str:
        """What its job is kept under; the seed, which is not sent, tells versions apart."""
        text = json.dumps([self.route, self.body, seed], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class MusicgenApi:
    """Instrumental music by the server at `musicgen.base_url`; no other server is ever asked."""

    name: ClassVar[str] = "musicgen-api"
    title: ClassVar[str] = "MusicGen on a server"
    version: ClassVar[str] = __version__
    Config: ClassVar[type[MusicgenConfig]] = MusicgenConfig
    section: ClassVar[str | None] = "musicgen"
    Options: ClassVar[type[MusicgenApiOptions]] = MusicgenApiOptions
    capabilities: ClassVar[Capabilities] = Capabilities(
        seconds=(SHORTEST_SECONDS, LONGEST_SECONDS),
        rate=32_000,
        tasks=("generate",),
        deterministic=False,
        needs="the address of a MusicGen server in musicgen.base_url",
        licence="CC-BY-NC-4.0",
        quality="neural, instrumental, mono; non-commercial weights",
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
        self._door = Door(config.base_url, clock) if config.base_url else None

    def unavailable(self) -> Unavailable | None:
        """Whether its address is set, and a MusicGen server answers there."""
        if self.config.mode == "lib":
            return Unavailable("musicgen.mode is lib, so no server is asked", "sotto config set musicgen.mode auto")
        missing = self.config.missing()
        if missing is not None or self._door is None:
            return missing
        return self._door.unavailable((MUSICGEN,), "musicgen.base_url", EXAMPLE_URL)

    def close(self) -> None:
        """It holds nothing between calls."""

    def generate(self, prompt: Prompt, options: EngineOptions, run: Run) -> Generated:
        """One take; a job that was ordered is taken up again by the same run's memo.

        InvalidDuration outside 5-1200 s, InvalidPrompt over 500 characters, InvalidParameter for scenes that do not add up.
        """
        assert isinstance(options, MusicgenApiOptions)
        order = _order(prompt, options)
        base, timeout = self.config.address(self.name), self.config.timeout_seconds
        server = Server(base, run, timeout=timeout, clock=self._clock, sleep=self._sleep)
        with server, TemporaryDirectory(prefix="sotto-") as folder:
            path = Path(folder) / "music.wav"
            server.fetch(_result(self._made(order, prompt.seed, server, run)), path, 92)
            run.report("finish", 96)
            audio, notes = delivered(path, prompt.seconds, prompt.loudness, who="the MusicGen server")
        run.report("generate", 100)
        used = {**options.model_dump(mode="json"), "route": order.route, **order.body}
        if len({scene.mood for scene in options.scenes}) > 1:
            notes.append(
                "the server goes from mood to mood over bridges of its own, so scenes may begin some seconds late"
            )
        notes = [
            _NO_SEED,
            *notes,
            *(["MusicGen makes instrumental music; the lyrics are not sung"] if prompt.lyrics else []),
        ]
        return Generated(
            audio, options=used, notes=tuple(notes), model="musicgen", device="remote", precision="unknown"
        )

    def _made(self, order: _Order, seed: int, server: Server, run: Run) -> list[str]:
        """Where the results of the job are that was ordered, now or before."""
        name = order.name(seed)
        known = _jobs(run).get(name)
        try:
            if known is not None:
                try:
                    return server.waited(known, "generate")
                except Gone:
                    known = None
            job = server.start(order.route, order.body)
            _keep(run, name, job)
            return server.waited(job, "generate")
        except (JobFailed, Gone):
            _keep(run, name, None)
            raise
        except (errors.Cancelled, KeyboardInterrupt):
            _keep(run, name, None)
            _LOG.info("stopped asking; the MusicGen server knows no cancel, so its job goes on there")
            raise


def _order(prompt: Prompt, options: MusicgenApiOptions) -> _Order:
    """The prompt as the server takes it."""
    if not SHORTEST_SECONDS <= prompt.seconds <= LONGEST_SECONDS:
        raise errors.InvalidDuration(
            f"a MusicGen server makes {SHORTEST_SECONDS:g} to {LONGEST_SECONDS:g} seconds, not {prompt.seconds:g}"
        )
    if prompt.edit is not None or prompt.reference is not None:
        raise errors.InvalidParameter("a MusicGen server takes no music to start from", hint="Take ace-step for that.")
    caption = musicgen_caption(prompt)
    if not 1 <= len(caption) <= _LONGEST_PROMPT:
        raise errors.InvalidPrompt(
            f"the prompt has {len(caption)} characters; a MusicGen server takes 1 to {_LONGEST_PROMPT}"
        )
    length = _length(prompt.seconds)
    if options.scenes or length > _PIECE[1]:
        return _soundtrack(caption, prompt, options)
    return _Order("/generate", {"prompt": caption, "duration": length, "mood": prompt.mood})


def _length(seconds: float) -> int:
    """How long a piece to ask for: whole seconds, and with a last window that the server can make."""
    length = max(_PIECE[0], math.ceil(seconds))
    last = (length - _WINDOW) % (_WINDOW - _CONTEXT) if length > _WINDOW else 0
    return length + _CONTEXT + 1 - last if 0 < last <= _CONTEXT else length


def _soundtrack(caption: str, prompt: Prompt, options: MusicgenApiOptions) -> _Order:
    scenes = _checked(options.scenes, prompt.seconds) if options.scenes else _equal(prompt.seconds, prompt.mood)
    total = max(_SOUNDTRACK[0], math.ceil(prompt.seconds))
    body = {
        "base_prompt": caption,
        "scenes": [
            {"mood": scene.mood, "duration": seconds, "prompt": scene.prompt}
            for scene, seconds in zip(scenes, _whole([scene.seconds for scene in scenes], total), strict=True)
        ],
        "use_beat_aligned_crossfade": options.beat_aligned,
        "crossfade_duration": options.crossfade,
    }
    return _Order("/generate/soundtrack", body)


def _checked(scenes: Sequence[Scene], seconds: float) -> Sequence[Scene]:
    total = sum(scene.seconds for scene in scenes)
    if abs(total - seconds) > 0.5 / DELIVERY_RATE * len(scenes) + 1e-6:
        raise errors.InvalidParameter(f"the scenes last {total:g} s together, and the music is to last {seconds:g} s")
    if seconds < _SOUNDTRACK[0]:
        raise errors.InvalidDuration(
            f"music with scenes lasts {_SOUNDTRACK[0]} to {_SOUNDTRACK[1]} seconds, not {seconds:g}"
        )
    return scenes


def _equal(seconds: float, mood: str | None) -> Sequence[Scene]:
    """As few scenes of one length as it takes."""
    count = math.ceil(math.ceil(seconds) / _SCENE[1])
    return [Scene(seconds=seconds / count, mood=mood)] * count


def _whole(lengths: Sequence[float], total: int) -> list[int]:
    """Lengths as whole seconds that add up to `total`, each border as near as it can be to where it was; none leaves a scene's range."""
    scale, shortest, longest = total / sum(lengths), *_SCENE
    whole, ended, border = [], 0, 0.0
    for index, length in enumerate(lengths):
        border += length * scale
        left = len(lengths) - index - 1
        least, most = max(shortest, total - ended - longest * left), min(longest, total - ended - shortest * left)
        whole.append(min(most, max(least, round(border) - ended)))
        ended += whole[-1]
    return whole


def _result(urls: Sequence[str]) -> str:
    if not urls:
        raise failed("says it is done, and names no result")
    return urls[0]


def _jobs(run: Run) -> dict[str, str]:
    return dict(run.memo.get(_MEMO) or {})


def _keep(run: Run, name: str, job: str | None) -> None:
    """Note a job, or forget it."""
    jobs = {**_jobs(run), name: job}
    run.memo[_MEMO] = {each: known for each, known in jobs.items() if known is not None}
    run.memo.save()

"""What an engine is: it makes music, splits it, or reads a mood; values in, values out.

An engine knows no path, no job, no database and no settings. The catalog calls `cls(config, weights, device)`; `unavailable()` is asked
before any work and must be cheap; every call gets a `Run`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from sottovoce.audio import Audio, AudioReader, Stem, StemWriter
from sottovoce.media.picture import Keyframe
from sottovoce.moods import Mood
from sottovoce.progress import OnProgress, Progress, ignore
from sottovoce.prompt import Key, Prompt
from sottovoce.recipe import Section, TempoPoint


class EngineOptions(BaseModel):
    """An engine's own options, with ranges and defaults; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NoConfig(BaseModel):
    """For engines that need no settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Capabilities:
    """What an engine can do: seconds (shortest, longest), its own rate in Hz, what it accepts and what it needs."""

    seconds: tuple[float, float] = (0.0, float("inf"))
    rate: int | None = None
    lyrics: bool = False
    tasks: tuple[str, ...] = ()
    stems: tuple[Stem, ...] = ()
    deterministic: bool = True
    needs: str = "nothing"
    licence: str = "Apache-2.0"
    paid: bool = False
    quality: str = ""
    #: How many pictures of a video a mood reader wants, and how wide; None: small ones from all over it.
    pictures: tuple[int, int] | None = None


@dataclass(frozen=True)
class Unavailable:
    """Why an engine cannot run here, and what to type, in the user's words."""

    reason: str
    cure: str


class Memo(Protocol):
    """A small dict that is durable before `save` returns: remote engines keep task ids there."""

    def __getitem__(self, key: str) -> Any: ...
    def __setitem__(self, key: str, value: Any) -> None: ...

    def get(self, key: str, default: Any = None) -> Any:
        """What was kept under a key."""

    def save(self) -> None:
        """Make everything kept so far durable."""


class ForgetfulMemo(dict[str, Any]):
    """The memo of work that nobody takes up again."""

    def save(self) -> None:
        """Keep nothing."""


@dataclass(frozen=True)
class Run:
    """What comes with every call: where progress goes, the seed, threads, the owner's credentials, a memo."""

    progress: OnProgress = ignore
    seed: int = 0
    threads: int = 1
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    memo: Memo = field(default_factory=ForgetfulMemo)

    def report(self, stage: str, percent: float, *, step: int | None = None, total: int | None = None) -> None:
        """Say how far this call is; raises Cancelled when the work is to stop."""
        self.progress(Progress(stage, percent, step, total))


@dataclass(frozen=True, eq=False)
class Generated:
    """A finished take: audio (48 kHz stereo), stems that add up to it, and what is known of its notes."""

    audio: Audio
    stems: Mapping[Stem, AudioReader] = field(default_factory=dict)
    midi: bytes | None = None
    sections: tuple[Section, ...] = ()
    tempo_map: tuple[TempoPoint, ...] = ()
    key: str | None = None
    chords: tuple[tuple[float, str], ...] = ()
    title: str | None = None
    #: What was really used, for the recipe.
    options: Mapping[str, Any] = field(default_factory=dict)
    #: What the user should know, such as "no known word in the prompt".
    notes: tuple[str, ...] = ()
    #: Where weights were used: which, how they are told from others, and where and how precisely the network ran.
    model: str | None = None
    revision: str | None = None
    sha256: str | None = None
    device: str = "cpu"
    precision: str = "float32"


@dataclass(frozen=True)
class Enhanced:
    """A prompt said better: words, and what else was settled (None: left open); `notes` say what the user should know."""

    words: str
    lyrics: str | None = None
    language: str | None = None
    bpm: float | None = None
    key: Key | None = None
    time_signature: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Separation:
    """What a separator did: the stems it wrote, the options used, what the user should know."""

    stems: tuple[Stem, ...]
    model: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Engine(Protocol):
    """The head every engine shares."""

    name: ClassVar[str]
    title: ClassVar[str]
    version: ClassVar[str]
    #: Its settings and the section they stand in (None: it has none).
    Config: ClassVar[type[BaseModel]]
    section: ClassVar[str | None]
    Options: ClassVar[type[EngineOptions]]
    capabilities: ClassVar[Capabilities]

    def unavailable(self) -> Unavailable | None:
        """Why it cannot run here; cheap, loads no model."""

    def close(self) -> None:
        """Give the memory back."""


class Generator(Engine, Protocol):
    """An engine that makes music from a prompt."""

    def generate(self, prompt: Prompt, options: EngineOptions, run: Run) -> Generated:
        """Make one take of exactly `round(prompt.seconds * 48000)` frames."""


@runtime_checkable
class BatchGenerator(Generator, Protocol):
    """A generator that makes several takes of one prompt at once, faster than one after the other."""

    def generate_batch(
        self, prompt: Prompt, seeds: Sequence[int], options: EngineOptions, run: Run
    ) -> tuple[Generated, ...]:
        """A take for each seed, in their order; `prompt.seed` and `run.seed` are not used."""


class Enhancer(Engine, Protocol):
    """An engine that says a prompt better for those that make music."""

    def enhance(self, prompt: Prompt, options: EngineOptions, run: Run) -> Enhanced:
        """The prompt's words made richer; what the user asked for explicitly stays as it is."""


class Separator(Engine, Protocol):
    """An engine that splits audio into stems, block by block."""

    def stems_of(self, model: str | None) -> tuple[Stem, ...]:
        """The stems a model gives; InvalidParameter for a model it does not have."""

    def settled(self, options: EngineOptions, run: Run) -> Mapping[str, Any]:
        """What decides the stems besides source and options, in plain values: the same is not separated twice.

        Settings where options are left out, weights by hash, the machine where it matters, the seed where it is drawn from.
        """

    def separate(self, source: AudioReader, sink: StemWriter, options: EngineOptions, run: Run) -> Separation:
        """Write every stem with the source's exact rate, channels and length."""


class MoodReader(Engine, Protocol):
    """An engine that reads a mood from pictures and sound."""

    def read(self, frames: Sequence[Keyframe], sound: Audio | None, options: EngineOptions, run: Run) -> Mood:
        """The mood of a clip."""

"""Separate: a song into stems."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Annotated, Any, Generic, Literal, Protocol, Self, TypeVar

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from sottovoce import errors
from sottovoce.audio import RESIDUAL, AudioReader, Samples, Stem, StemWriter
from sottovoce.engines.base import Separation, Separator
from sottovoce.engines.catalog import AUTO, SEPARATORS, Catalog, options_for
from sottovoce.media.decode import FileReader
from sottovoce.media.encode import Format, StemFiles
from sottovoce.recipe import Skipped
from sottovoce.tasks.outcome import Outcome, TaskRun
from sottovoce.tasks.request import Request, Source, StemName

FormatName = Literal["wav", "flac", "mp3", "opus", "ogg", "m4a"]


class Sink(StemWriter, Protocol):
    """A `StemWriter` that is closed after use."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> bool | None: ...


SinkT = TypeVar("SinkT", bound=Sink)


class Separate(Request):
    """Ask for the stems of a song."""

    kind: Literal["separate"] = "separate"
    source: Annotated[Source, Field(description="the song")]
    engine: Annotated[str, Field(description="the engine by name, or auto for the first in your order that can")] = AUTO
    model: Annotated[str | None, Field(description="the engine's model; left out, its default")] = None
    only: Annotated[
        tuple[StemName, ...], Field(description="only these stems, such as vocals or no_vocals", max_length=12)
    ] = ()
    preview: Annotated[float | None, Field(gt=0, le=600, description="only the first seconds of the song")] = None
    format: Annotated[FormatName, Field(description="format of the stem files; WAV and FLAC are 24 bit")] = "flac"
    options: Annotated[dict[str, Any], Field(description="options of the engine itself")] = Field(default_factory=dict)

    @field_validator("model", "options")
    @classmethod
    def _no_path_from_elsewhere(cls, value: Any, info: ValidationInfo) -> Any:
        """A weights file of one's own can only be named on this machine itself."""
        model = value.get("model") if isinstance(value, dict) else value
        if isinstance(model, str) and any(sign in model for sign in "/\\.") and not (info.context or {}).get("local"):
            raise ValueError("a weights file can only be named on this machine itself; give a model's name")
        return value


def separate(request: Separate, engines: Catalog, run: TaskRun) -> Outcome:
    """Write the stems to the scratch folder."""
    file = FileReader(run.locate(request.source))
    source = head(file, request.preview)
    clock = time.monotonic()

    def files(engine: str) -> StemFiles:
        return StemFiles(run.scratch / engine, rate=source.rate, channels=source.channels, form=_form(request.format))

    split = split_into(request, source, files, engines, run)
    damage = ("parts of the source are damaged; they are silent in the stems",) if file.damaged else ()
    return Outcome("separate", report=_report(split, source, time.monotonic() - clock, damage), stems=split.sink.paths)


@dataclass(frozen=True, eq=False)
class Split(Generic[SinkT]):
    """What came of a separation: the engine that did it, what it says, where its stems went, who was passed over."""

    engine: Separator
    separation: Separation
    sink: SinkT
    skipped: tuple[Skipped, ...]


def split_into(
    request: Separate, source: AudioReader, open_sink: Callable[[str], SinkT], engines: Catalog, run: TaskRun
) -> Split[SinkT]:
    """Split by the engine asked for or the first that has the stems wanted.

    Each engine that is tried gets a sink of its own (`open_sink(name)`), so a failed attempt leaves nothing in the result.
    """

    def call(engine: Separator) -> tuple[Separation, SinkT]:
        _check_stems(engine, request)
        options = options_for(engine, request.options | _wishes(engine, request))
        with open_sink(engine.name) as sink:
            chosen = _Chosen(sink, source, request.only)
            done = engine.separate(source, chosen, options, run)
            chosen.check(engine.name)
        return replace(done, stems=chosen.stems), sink

    ran = engines.run(SEPARATORS, request.engine, call)
    return Split(ran.engine, ran.result[0], ran.result[1], ran.skipped)


def head(source: AudioReader, seconds: float | None) -> AudioReader:
    """The first seconds of a source (a sample at least), or all of it."""
    return source if seconds is None else _Head(source, min(source.frames, max(1, round(seconds * source.rate))))


@dataclass(frozen=True, eq=False)
class _Head:
    """An `AudioReader` over the first `frames` of another."""

    source: AudioReader
    frames: int

    @property
    def rate(self) -> int:
        return self.source.rate

    @property
    def channels(self) -> int:
        return self.source.channels

    def blocks(self, frames: int) -> Iterator[Samples]:
        left = self.frames
        for block in self.source.blocks(frames):
            yield block[:, :left]
            left -= block.shape[1]
            if left <= 0:
                return


class _Chosen:
    """A `StemWriter` that lets the stems of `only` through (all without it), and makes each `no_<stem>` of them as source minus stem."""

    def __init__(self, sink: StemWriter, source: AudioReader, only: Sequence[Stem]) -> None:
        self._sink = sink
        self._only = frozenset((*only, RESIDUAL)) if only else None
        self._rests = {stem: _Running(source) for stem in only if stem.startswith("no_")}
        self._frames = source.frames
        self._written = dict.fromkeys(only, 0)

    @property
    def stems(self) -> tuple[Stem, ...]:
        """What was written: the stems of `only` in their order, or all in the engine's."""
        return tuple(self._written)

    def write(self, stem: Stem, block: Samples) -> None:
        if self._only is None or stem in self._only:
            self._put(stem, block)
        rest = Stem(f"no_{stem}")
        if rest in self._rests:
            self._put(rest, self._rests[rest].take(block.shape[1]) - block)

    def check(self, engine: str) -> None:
        """OutputRejected unless every stem has as many frames as the source."""
        wrong = {stem: frames for stem, frames in self._written.items() if frames != self._frames}
        if wrong or not self._written:
            lengths = ", ".join(f"{stem} {frames}" for stem, frames in wrong.items()) or "none"
            raise errors.OutputRejected(
                f"{engine} gave stems of a wrong length ({lengths} frames, the source has {self._frames})"
            )

    def _put(self, stem: Stem, block: Samples) -> None:
        self._written[stem] = self._written.get(stem, 0) + block.shape[1]
        self._sink.write(stem, block)


class _Running:
    """The source again, in pieces of whatever size the stem comes in."""

    def __init__(self, source: AudioReader) -> None:
        self._blocks = source.blocks(1 << 16)
        self._left = np.zeros((source.channels, 0), np.float32)

    def take(self, frames: int) -> Samples:
        while self._left.shape[1] < frames:
            block = next(self._blocks, None)
            if block is None:
                raise errors.OutputRejected("a stem is longer than its source")
            self._left = np.concatenate([self._left, block], axis=1)
        piece, self._left = self._left[:, :frames], self._left[:, frames:]
        return piece


def _form(name: FormatName) -> Format:
    """24 bit where there is a choice, since four 16-bit stems only null to -78 dB."""
    return Format(name, bit_depth="24" if name in ("wav", "flac") else None)


def _check_stems(engine: Separator, request: Separate) -> None:
    given = engine.stems_of(request.model)
    missing = [stem for stem in request.only if stem.removeprefix("no_") not in given]
    if missing:
        raise errors.InvalidParameter(
            f"{engine.name} has no stem {', '.join(missing)}; it gives {', '.join(given)}, and no_<stem> for the rest of each"
        )


def _wishes(engine: Separator, request: Separate) -> dict[str, Any]:
    """What the request says itself, as options: the model, and to engines that can save work by it the stems that must be made."""
    wishes: dict[str, Any] = {"model": request.model} if request.model else {}
    if request.only and "only" in engine.Options.model_fields:
        wishes["only"] = tuple(dict.fromkeys(stem.removeprefix("no_") for stem in request.only))
    return wishes


def _report(split: Split[StemFiles], source: AudioReader, took: float, damage: tuple[str, ...]) -> dict[str, Any]:
    return {
        "engine": split.engine.name,
        "model": split.separation.model,
        "options": dict(split.separation.options),
        "skipped": [skip.model_dump() for skip in split.skipped],
        "notes": [*split.separation.notes, *damage],
        "stems": list(split.separation.stems),
        "seconds": source.frames / source.rate,
        "rate": source.rate,
        "channels": source.channels,
        "frames": source.frames,
        "gain_db": split.sink.gain_db,
        "took": round(took, 3),
    }

"""Separate: a song into stems."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Generic, Literal, Protocol, Self, TypeVar

from pydantic import Field, ValidationInfo, field_validator

from sottovoce import errors
from sottovoce.audio import RESIDUAL, AudioReader, Pieces, Samples, Stem, StemWriter
from sottovoce.engines.base import EngineOptions, Separation, Separator
from sottovoce.engines.catalog import AUTO, SEPARATORS, Catalog, options_for
from sottovoce.media.decode import FileReader
from sottovoce.media.encode import Format, StemFiles
from sottovoce.recipe import Skipped
from sottovoce.tasks.kept import Stems, fetched, key_of, state_of
from sottovoce.tasks.outcome import Outcome, TaskRun
from sottovoce.tasks.request import EngineName, Options, Request, Source, StemName

FormatName = Literal["wav", "flac", "mp3", "opus", "ogg", "m4a"]

#: Fields that several engines have as an option of the same name.
SHARED = ("residual", "sum_to_mix", "overlap", "shifts", "segment", "precision", "device")
DEVICE = r"^(auto|cpu|mps|cuda(:\d+)?)$"
_KEPT = "these stems were kept from an earlier request for the same"
_BLOCK = 1 << 16
_DAMAGED = "parts of the source are damaged; they are silent in the stems"


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
    engine: Annotated[
        EngineName, Field(description="the engine by name, or auto for the first in your order that can")
    ] = AUTO
    model: Annotated[str | None, Field(description="the engine's model; left out, its default")] = None
    only: Annotated[
        tuple[StemName, ...], Field(description="only these stems, such as vocals or no_vocals", max_length=12)
    ] = ()
    preview: Annotated[float | None, Field(gt=0, le=600, description="only the first seconds of the song")] = None
    format: Annotated[FormatName, Field(description="format of the stem files; WAV and FLAC are 24 bit")] = "flac"
    residual: Annotated[bool, Field(description="also write what the stems leave of the song")] = False
    sum_to_mix: Annotated[bool, Field(description="spread what the stems leave of the song over them")] = False
    overlap: Annotated[
        float | None, Field(ge=0, lt=1, description="how much of a chunk the next one covers; less is faster")
    ] = None
    shifts: Annotated[int | None, Field(ge=0, le=20, description="average over so many shifted passes")] = None
    segment: Annotated[
        float | None, Field(gt=0, le=120, description="seconds of a chunk, for mdx and hdemucs models")
    ] = None
    precision: Annotated[
        Literal["auto", "exact", "fast"] | None, Field(description="exact, fast, or auto for whichever holds here")
    ] = None
    device: Annotated[str | None, Field(pattern=DEVICE, description="auto, cpu, cuda, cuda:1 or mps")] = None
    options: Annotated[Options, Field(description="options of the engine itself")] = Field(default_factory=dict)
    cache: Annotated[
        bool, Field(description="take stems that were kept when the same was asked before, and keep these")
    ] = True

    @field_validator("model", "options")
    @classmethod
    def _no_path_from_elsewhere(cls, value: Any, info: ValidationInfo) -> Any:
        """A weights file of one's own can only be named on this machine itself."""
        model = value.get("model") if isinstance(value, dict) else value
        if isinstance(model, str) and any(sign in model for sign in "/\\.") and not (info.context or {}).get("local"):
            raise ValueError("a weights file can only be named on this machine itself; give a model's name")
        return value


def separate(request: Separate, engines: Catalog, run: TaskRun) -> Outcome:
    """Write the stems to the scratch folder; the same is separated once and then taken from the shelf, by `auto` too."""
    file = FileReader(run.locate(request.source))
    clock = time.monotonic()
    ran = engines.run(SEPARATORS, request.engine, lambda engine: _taken_or_made(engine, request, file, run))
    stems, cached = ran.result
    skipped = [_told(skip, request.model) for skip in ran.skipped]
    took = round(time.monotonic() - clock, 3)
    report = {"engine": ran.engine.name, **stems.about, "skipped": skipped, "cached": cached, "took": took}
    return Outcome("separate", report=report, stems=stems.paths)


def _taken_or_made(engine: Separator, request: Separate, file: FileReader, run: TaskRun) -> tuple[Stems, bool]:
    """The stems by one engine, and whether they were kept from before; others that ask the same meanwhile wait for them."""
    options = separator_options(engine, request)
    if run.shelf is None or not request.cache:
        return _made(engine, options, request, file, run), False
    before = state_of(file.path)
    key = key_of(file.path, engine, options, run, only=request.only, preview=request.preview)
    with run.shelf.slot(key, run.progress) as slot:
        kept = fetched(slot, _form(request.format), run.scratch / engine.name)
        stems = kept or _made(engine, options, request, file, run)
        # A song that was written to meanwhile is not the one that was hashed.
        if kept is None and state_of(file.path) == before:
            slot.keep(request.format, stems.paths.values(), stems.about)
    return _noted(stems, [*([_KEPT] if kept else []), *slot.notes]), kept is not None


def _made(engine: Separator, options: EngineOptions, request: Separate, file: FileReader, run: TaskRun) -> Stems:
    source = head(file, request.preview)
    sink = StemFiles(run.scratch / engine.name, rate=source.rate, channels=source.channels, form=_form(request.format))
    clock = time.monotonic()
    done = _split(engine, options, request.only, source, sink, run)
    speed = round(source.frames / source.rate / max(1e-3, time.monotonic() - clock), 3)
    stems = Stems(sink.paths, {**_about(done, source, sink.gain_db), "speed": speed})
    return _noted(stems, [_DAMAGED] if file.damaged else [])


def _told(skip: Skipped, model: str | None) -> dict[str, Any]:
    """As the report keeps it: of a weights file of one's own the name, never the path."""
    words = skip.model_dump()
    return {key: word.replace(model, Path(model).name) for key, word in words.items()} if model else words


def _noted(stems: Stems, notes: Sequence[str]) -> Stems:
    return replace(stems, about={**stems.about, "notes": [*stems.about["notes"], *notes]})


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
        options, sink = separator_options(engine, request), open_sink(engine.name)
        return _split(engine, options, request.only, source, sink, run), sink

    ran = engines.run(SEPARATORS, request.engine, call)
    return Split(ran.engine, ran.result[0], ran.result[1], ran.skipped)


def _split(
    engine: Separator, options: EngineOptions, only: Sequence[Stem], source: AudioReader, sink: Sink, run: TaskRun
) -> Separation:
    """Let an engine write the stems of `only` (all without it) into a sink of its own."""
    with sink as opened:
        chosen = _Chosen(opened, source, only)
        done = engine.separate(source, chosen, options, run)
        chosen.check(engine.name)
    return replace(done, stems=chosen.stems)


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
        self._rests = {stem: Pieces(source.blocks(_BLOCK), source.channels) for stem in only if stem.startswith("no_")}
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
            self._put(rest, self._source(rest, block.shape[1]) - block)

    def check(self, engine: str) -> None:
        """OutputRejected unless every stem has as many frames as the source."""
        wrong = {stem: frames for stem, frames in self._written.items() if frames != self._frames}
        if wrong or not self._written:
            lengths = ", ".join(f"{stem} {frames}" for stem, frames in wrong.items()) or "none"
            raise errors.OutputRejected(
                f"{engine} gave stems of a wrong length ({lengths} frames, the source has {self._frames})"
            )

    def _source(self, rest: Stem, frames: int) -> Samples:
        piece = self._rests[rest].take(frames)
        if piece.shape[1] < frames:
            raise errors.OutputRejected("a stem is longer than its source")
        return piece

    def _put(self, stem: Stem, block: Samples) -> None:
        self._written[stem] = self._written.get(stem, 0) + block.shape[1]
        self._sink.write(stem, block)


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


def separator_options(engine: Separator, request: Separate) -> EngineOptions:
    """The engine's options, once it is known to have the stems; InvalidParameter if it cannot do what is asked."""
    _check_stems(engine, request)
    return options_for(engine, request.options | _wishes(engine, request))


def _wishes(engine: Separator, request: Separate) -> dict[str, Any]:
    """What the request says itself, as options; InvalidParameter for one that the engine lacks.

    Engines that can save work by it are told which stems must be made.
    """
    asked = {name: getattr(request, name) for name in SHARED}
    wishes = {name: value for name, value in asked.items() if value is not None and value is not False}
    lacking = [f"--{name.replace('_', '-')}" for name in wishes if name not in engine.Options.model_fields]
    if lacking:
        raise errors.InvalidParameter(f"{engine.name} has no {', '.join(lacking)}")
    if request.model:
        wishes["model"] = request.model
    if request.only and "only" in engine.Options.model_fields:
        wishes["only"] = tuple(dict.fromkeys(stem.removeprefix("no_") for stem in request.only))
    return wishes


def _about(done: Separation, source: AudioReader, gain_db: float) -> dict[str, Any]:
    """The report on stems, in the plain values that JSON has, so that it is the same when it was kept."""
    about: dict[str, Any] = {
        "model": done.model,
        "options": dict(done.options),
        "notes": done.notes,
        "stems": done.stems,
        "seconds": source.frames / source.rate,
        "rate": source.rate,
        "channels": source.channels,
        "frames": source.frames,
        "gain_db": gain_db,
    }
    plain: dict[str, Any] = json.loads(json.dumps(about, default=str))
    return plain

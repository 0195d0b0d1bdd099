"""Separation with no model: the preview and the last resort; needs nothing, runs anywhere, never the quality of a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from threadpoolctl import threadpool_limits

from sottovoce import errors
from sottovoce.audio import AudioReader, Samples, Stem, StemWriter
from sottovoce.dsp.separation import BLOCK_SECONDS, STEMS, StreamSplit
from sottovoce.engines.base import Capabilities, EngineOptions, NoConfig, Run, Separation, Unavailable
from sottovoce.version import __version__

_PREVIEW = "classical is the preview and no-model fallback: expect other instruments in every stem; a neural separator is far cleaner"
_MONO = "the source is mono: the voice was told from the music by what does not repeat, not by where it stands"
_SHORT = "the source is short: there was little to find repetitions in"
_SHORT_SECONDS = 10.0


class ClassicalOptions(EngineOptions):
    """What can be chosen: how far to look for repetitions, and where the bass ends."""

    window_seconds: Annotated[
        float, Field(ge=12, le=120, description="seconds around a moment in which repetitions are looked for")
    ] = 40.0
    bass_hz: Annotated[float, Field(ge=60, le=500, description="upper edge of the bass stem in Hz")] = 200.0


class Classical:
    """Vocals by repetition and place, drums by medians, bass by range, other by subtraction: the four add up to the source."""

    name: ClassVar[str] = "classical"
    title: ClassVar[str] = "Classical (preview, no model)"
    version: ClassVar[str] = __version__
    Config: ClassVar[type[NoConfig]] = NoConfig
    section: ClassVar[str | None] = None
    Options: ClassVar[type[ClassicalOptions]] = ClassicalOptions
    capabilities: ClassVar[Capabilities] = Capabilities(
        tasks=("separate",), stems=STEMS, quality="preview / no-model fallback"
    )

    def __init__(self, config: NoConfig, weights: object = None, device: str = "cpu") -> None:
        self.config, self.weights, self.device = config, weights, device

    def unavailable(self) -> Unavailable | None:
        """It always runs."""
        return None

    def close(self) -> None:
        """It holds nothing between calls."""

    def stems_of(self, model: str | None) -> tuple[Stem, ...]:
        """Vocals, drums, bass, other; it has no models."""
        if model is not None:
            raise errors.InvalidParameter(f"classical has no models, so none is called {model!r}; leave the model out")
        return STEMS

    def settled(self, options: EngineOptions, run: Run) -> Mapping[str, Any]:
        """Nothing but the options."""
        del options, run
        return {}

    def separate(self, source: AudioReader, sink: StemWriter, options: EngineOptions, run: Run) -> Separation:
        """Write the stems four seconds at a time, in memory that does not grow with the length; a cancel waits for one such block."""
        assert isinstance(options, ClassicalOptions)
        total, done = max(1, source.frames * len(STEMS)), 0
        run.report("separate", 0)
        with threadpool_limits(1, user_api="blas"):  # type: ignore[no-untyped-call]
            for stem, block in _split(source, options):
                sink.write(stem, block)
                done += block.shape[1]
                run.report("separate", min(100, 100 * done / total))
        return Separation(STEMS, options=options.model_dump(), notes=_notes(source))


def _split(source: AudioReader, options: ClassicalOptions) -> Iterator[tuple[Stem, Samples]]:
    split = StreamSplit(source.rate, source.channels, window_seconds=options.window_seconds, bass_hz=options.bass_hz)
    for block in source.blocks(round(BLOCK_SECONDS * source.rate)):
        yield from split.push(block)
    yield from split.flush()


def _notes(source: AudioReader) -> tuple[str, ...]:
    mono = (_MONO,) if source.channels == 1 else ()
    short = (_SHORT,) if source.frames < _SHORT_SECONDS * source.rate else ()
    return (_PREVIEW, *mono, *short)

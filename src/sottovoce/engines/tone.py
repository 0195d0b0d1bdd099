"""The engines that ship for tests and demonstrations: a quiet chord, a split by fixed shares, a mood by request.

They need nothing, are never tried by `auto`, and can pretend to work for a while or to fail, so that queues and surfaces can be tried out
against the real thing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field, field_validator

from sottovoce import errors
from sottovoce.audio import DELIVERY_RATE, ArrayReader, Audio, AudioReader, Samples, Stem, StemWriter
from sottovoce.engines.base import Capabilities, EngineOptions, Generated, NoConfig, Run, Separation, Unavailable
from sottovoce.media.video import Keyframe
from sottovoce.moods import Mood, MoodName
from sottovoce.prompt import Key, Prompt
from sottovoce.recipe import Section, TempoPoint
from sottovoce.version import __version__

_STEPS = 20
#: Seconds between reports at most, so that a cancel is heard at once.
_LONGEST_STEP = 0.1
_FADE_SECONDS = 0.5
_LEVEL = 0.05
#: Each part of the chord: octave from middle C, and the step of the chord (0 root, 1 third, 2 fifth).
_PARTS = {Stem("bass"): (-1, 0), Stem("harmony"): (0, 1), Stem("melody"): (0, 2)}
_SHARES = {Stem("vocals"): 0.4, Stem("drums"): 0.3, Stem("bass"): 0.2}
_REST = Stem("other")


class Pretence(EngineOptions):
    """What the test engines can be asked to do: take `delay` seconds, and end half-way with the error of code `fail`."""

    delay: Annotated[float, Field(ge=0, le=3600, description="seconds to pretend to work")] = 0.0
    fail: Annotated[str | None, Field(description="code of the error to fail with half-way, such as OUT_OF_MEMORY")] = (
        None
    )

    @field_validator("fail")
    @classmethod
    def _known(cls, code: str | None) -> str | None:
        if code is not None and code not in errors.catalogue():
            raise ValueError(f"no error has the code {code!r}; there are {', '.join(sorted(errors.catalogue()))}")
        return code


class PretendedMood(Pretence):
    """And for the mood reader: the mood to answer with."""

    mood: Annotated[MoodName, Field(description="the mood to answer with")] = "calm"


class _Head:
    """What the three share."""

    version: ClassVar[str] = __version__
    Config: ClassVar[type[NoConfig]] = NoConfig
    section: ClassVar[str | None] = None

    def __init__(self, config: NoConfig, weights: object = None, device: str = "cpu") -> None:
        self.config, self.weights, self.device = config, weights, device

    def unavailable(self) -> Unavailable | None:
        """It always runs."""
        return None

    def close(self) -> None:
        """It holds nothing."""


class Tone(_Head):
    """A quiet chord in the asked key (or one drawn from the seed) of exactly the asked length, with stems that add up to it."""

    name: ClassVar[str] = "tone"
    title: ClassVar[str] = "Test tone"
    Options: ClassVar[type[Pretence]] = Pretence
    capabilities: ClassVar[Capabilities] = Capabilities(
        rate=DELIVERY_RATE, tasks=("generate",), stems=tuple(_PARTS), quality="for tests: a steady chord"
    )

    def generate(self, prompt: Prompt, options: EngineOptions, run: Run) -> Generated:
        """One take; `Pretence` says how long it takes and whether it fails."""
        assert isinstance(options, Pretence)
        _pretend(options, run, "render")
        key = prompt.key or _drawn_key(prompt.seed)
        frames = round(prompt.seconds * DELIVERY_RATE)
        stems = {stem: _sine(_hertz(key, *place), frames) for stem, place in _PARTS.items()}
        mix = np.stack(list(stems.values())).sum(axis=0, dtype=np.float32)
        return Generated(
            Audio(mix, DELIVERY_RATE),
            stems={stem: ArrayReader(Audio(part, DELIVERY_RATE)) for stem, part in stems.items()},
            sections=(Section(name="chord", start=0, seconds=prompt.seconds),),
            tempo_map=(TempoPoint(seconds=0, beat=0, bpm=prompt.bpm or 60),),
            key=str(key),
            title=f"Test tone in {key}",
            options=options.model_dump(),
            notes=("this is the test tone, not music",),
        )


class ToneSeparator(_Head):
    """Fixed shares of the whole as four stems that add up to it."""

    name: ClassVar[str] = "tone"
    title: ClassVar[str] = "Test split"
    Options: ClassVar[type[Pretence]] = Pretence
    capabilities: ClassVar[Capabilities] = Capabilities(
        tasks=("separate",), stems=(*_SHARES, _REST), quality="for tests: shares of the whole, no separation"
    )

    def stems_of(self, model: str | None) -> tuple[Stem, ...]:
        """Vocals, drums, bass, other; it has no models."""
        if model is not None:
            raise errors.InvalidParameter(f"tone has no models, so none is called {model!r}; leave the model out")
        return self.capabilities.stems

    def settled(self, options: EngineOptions, run: Run) -> Mapping[str, Any]:
        """Nothing but the options."""
        del options, run
        return {}

    def separate(self, source: AudioReader, sink: StemWriter, options: EngineOptions, run: Run) -> Separation:
        """Write the stems a second at a time."""
        assert isinstance(options, Pretence)
        _pretend(options, run, "separate")
        done = 0
        for block in source.blocks(source.rate):
            _write_shares(block, sink)
            done += block.shape[1]
            run.report("separate", 50 + 50 * done / max(1, source.frames))
        return Separation(
            self.capabilities.stems,
            options=options.model_dump(),
            notes=("this is the test split: shares of the whole, no separation",),
        )


class ToneMood(_Head):
    """The mood it is asked for."""

    name: ClassVar[str] = "tone"
    title: ClassVar[str] = "Test mood"
    Options: ClassVar[type[PretendedMood]] = PretendedMood
    capabilities: ClassVar[Capabilities] = Capabilities(tasks=("mood",), quality="for tests: the mood it is told")

    def read(self, frames: Sequence[Keyframe], sound: Audio | None, options: EngineOptions, run: Run) -> Mood:
        """The asked mood; says what it was given to look at."""
        assert isinstance(options, PretendedMood)
        _pretend(options, run, "look")
        heard = "no sound" if sound is None else f"{sound.seconds:.1f} s of sound"
        return Mood(
            primary_mood=options.mood,
            genre_suggestions=("ambient",),
            description=f"test mood for {len(frames)} pictures and {heard}",
            confidence=0,
        )


def _pretend(pretence: Pretence, run: Run, stage: str) -> None:
    """Report in steps up to half of the work, taking the asked time; fail where asked."""
    steps = max(_STEPS, math.ceil(pretence.delay / _LONGEST_STEP))
    for step in range(steps):
        run.report(stage, 50 * step / steps, step=step, total=steps)
        if pretence.delay:
            time.sleep(pretence.delay / steps)
    if pretence.fail is not None:
        raise errors.catalogue()[pretence.fail](f"the test engine was asked to fail with {pretence.fail}")


def _drawn_key(seed: int) -> Key:
    drawn = np.random.default_rng(seed).integers(24)
    return Key(int(drawn) % 12, minor=bool(drawn >= 12))


def _hertz(key: Key, octave: int, step: int) -> float:
    semitones = (0, 3 if key.minor else 4, 7)[step]
    return float(440 * 2 ** ((key.root - 9 + semitones) / 12 + octave))


def _sine(hertz: float, frames: int) -> Samples:
    """A faded sine on both channels: float32 [2, frames]."""
    phase = 2 * np.pi * hertz / DELIVERY_RATE * np.arange(frames)
    fade = min(round(_FADE_SECONDS * DELIVERY_RATE), frames // 2)
    gain = np.full(frames, _LEVEL)
    ramp = np.sin(np.linspace(0, np.pi / 2, fade, endpoint=False)) ** 2
    gain[:fade], gain[frames - fade :] = _LEVEL * ramp, _LEVEL * ramp[::-1]
    return np.tile((gain * np.sin(phase)).astype(np.float32), (2, 1))


def _write_shares(block: Samples, sink: StemWriter) -> None:
    rest = block.copy()
    for stem, share in _SHARES.items():
        part = np.float32(share) * block
        rest -= part
        sink.write(stem, part)
    sink.write(_REST, rest)

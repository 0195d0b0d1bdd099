"""The built-in composer as an engine: no model, no GPU, no network; exact length, stems, notes, and the same bits for the same seed."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, field_validator
from threadpoolctl import threadpool_limits

from sottovoce import errors
from sottovoce.audio import DELIVERY_RATE, STEMS, ArrayReader, Stem
from sottovoce.composer.brief import brief_of
from sottovoce.composer.compose import Piece, compose
from sottovoce.composer.meter import METERS
from sottovoce.composer.midi import to_midi
from sottovoce.composer.notation import Notation
from sottovoce.composer.render import Rendered, render
from sottovoce.composer.stylebook import stylebook
from sottovoce.composer.theory import name as chord_name
from sottovoce.engines.base import Capabilities, EngineOptions, Generated, NoConfig, Run, Unavailable
from sottovoce.prompt import Prompt
from sottovoce.recipe import Section, TempoPoint
from sottovoce.version import __version__

SHORTEST_SECONDS, LONGEST_SECONDS = 5.0, 600.0
_STEM_NAMES = tuple(
    stem for stem in STEMS if stem in ("drums", "bass", "guitar", "piano", "strings", "melody", "pads", "texture")
)
_COMPOSED_PERCENT = 5.0


class ComposerOptions(EngineOptions):
    """What can be asked of the composer beyond the prompt."""

    style: Annotated[str | None, Field(description="style, instead of the one the words vote for")] = None
    melody: Annotated[bool, Field(description="a lead over the accompaniment")] = True
    drums: Annotated[bool, Field(description="a kit where the style has one")] = True
    textures: Annotated[bool, Field(description="beds such as vinyl crackle and rain")] = True

    @field_validator("style")
    @classmethod
    def _there(cls, style: str | None) -> str | None:
        if style is not None and style not in stylebook():
            raise ValueError(f"no style is called {style!r}; there are {', '.join(stylebook())}")
        return style

    def without(self) -> tuple[str, ...]:
        """The roles and beds that are turned off."""
        off = {"lead": self.melody, "answer": self.melody, "kit": self.drums, "texture": self.textures}
        return tuple(role for role, wanted in off.items() if not wanted)


class Composer:
    """Writes the notes by rule and plays them by synthesis."""

    name: ClassVar[str] = "composer"
    title: ClassVar[str] = "Built-in composer"
    version: ClassVar[str] = __version__
    Config: ClassVar[type[NoConfig]] = NoConfig
    section: ClassVar[str | None] = None
    Options: ClassVar[type[ComposerOptions]] = ComposerOptions
    capabilities: ClassVar[Capabilities] = Capabilities(
        seconds=(SHORTEST_SECONDS, LONGEST_SECONDS),
        rate=DELIVERY_RATE,
        tasks=("generate",),
        stems=_STEM_NAMES,
        deterministic=True,
        quality="arranged instrumental music by rule: lofi, ambient, piano; exact length, tempo and key; stems and MIDI",
    )

    def __init__(self, config: NoConfig | None = None, weights: object = None, device: str = "cpu") -> None:
        self.config, self.weights, self.device = config or NoConfig(), weights, device

    def unavailable(self) -> Unavailable | None:
        """It always runs."""
        return None

    def close(self) -> None:
        """It holds nothing between calls."""

    def generate(self, prompt: Prompt, options: EngineOptions, run: Run) -> Generated:
        """One take of exactly `round(prompt.seconds * 48000)` frames; stems where the prompt asks for them.

        InvalidDuration outside 5-600 s; whatever `run.progress` raises (Cancelled) between parts of the work.
        """
        assert isinstance(options, ComposerOptions)
        if not SHORTEST_SECONDS <= prompt.seconds <= LONGEST_SECONDS:
            raise errors.InvalidDuration(
                f"the composer writes {SHORTEST_SECONDS:g} to {LONGEST_SECONDS:g} seconds, not {prompt.seconds:g}"
            )
        run.report("compose", 0)
        piece = compose(brief_of(prompt, style=options.style, without=options.without()))
        run.report("render", _COMPOSED_PERCENT)
        with threadpool_limits(1, user_api="blas"):  # type: ignore[no-untyped-call]
            rendered = _render(piece, prompt, run)
        run.report("render", 100)
        return _generated(piece, rendered, prompt, options)


def _render(piece: Piece, prompt: Prompt, run: Run) -> Rendered:
    def report(percent: float) -> None:
        run.report("render", _COMPOSED_PERCENT + (100 - _COMPOSED_PERCENT) * percent / 100)

    plan = piece.plan
    return render(
        piece.notation, mix=plan.mix, seed=plan.seed, loudness=plan.loudness, stems=prompt.stems, report=report
    )  # fmt: skip


def _generated(piece: Piece, rendered: Rendered, prompt: Prompt, options: ComposerOptions) -> Generated:
    notation = piece.notation
    stems = {Stem(name): ArrayReader(audio) for name, audio in rendered.stems.items()}
    lyrics = ("the composer writes instrumental music; the lyrics are not sung",) if prompt.lyrics else ()
    return Generated(
        audio=rendered.mix,
        stems=stems,
        midi=to_midi(notation),
        sections=_sections(notation),
        tempo_map=_tempo_map(notation),
        key=str(piece.plan.key),
        chords=tuple((notation.tempo.seconds(c.start), chord_name(c.root, c.quality, c.bass)) for c in notation.chords),
        title=piece.title,
        options=options.model_dump() | {"plan": piece.plan.as_dict()},
        notes=(*piece.notes, *lyrics),
    )


def _sections(notation: Notation) -> tuple[Section, ...]:
    """The form in seconds; the last section lasts to the end."""
    starts = [notation.tempo.seconds(section.start) for section in notation.sections]
    ends = [*starts[1:], notation.seconds]
    return tuple(
        Section(name=section.name, start=start, seconds=end - start, energy=section.energy)
        for section, start, end in zip(notation.sections, starts, ends, strict=True)
    )


def _tempo_map(notation: Notation) -> tuple[TempoPoint, ...]:
    """The tempo map in felt beats: dotted quarters in 6/8."""
    pulse = METERS[notation.time_signature].pulse
    return tuple(
        TempoPoint(seconds=seconds, beat=beat / pulse, bpm=bpm / pulse) for beat, seconds, bpm in notation.tempo.points
    )

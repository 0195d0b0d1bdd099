"""What can be asked of lalal.ai: its names and ours, one request's options, and the tasks they come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from sottovoce import errors
from sottovoce.audio import Stem, parse_stem
from sottovoce.engines.base import EngineOptions

Splitter = Literal["auto", "andromeda", "perseus", "orion", "phoenix", "lyra", "lynx"]
#: Our names of what it can find, and its own.
_THEIRS = {
    "vocals": "vocals",
    "drums": "drum",
    "bass": "bass",
    "piano": "piano",
    "electric_guitar": "electric_guitar",
    "acoustic_guitar": "acoustic_guitar",
    "synth": "synthesizer",
    "strings": "strings",
    "wind": "wind",
}
#: Parts of the voice: one task gives both, under these labels.
_VOICES = {"lead_vocals": "vocals@0", "backing_vocals": "vocals@1"}
#: Found by one of its networks only.
PHOENIX = frozenset({"synth", "strings", "wind"})
SPLITTERS: tuple[str, ...] = ("auto", "andromeda", "perseus", "orion", "phoenix", "lyra", "lynx")
#: All it can find, by our names.
STEMS: tuple[Stem, ...] = tuple(map(Stem, (*_THEIRS, *_VOICES)))


class LalalaiOptions(EngineOptions):
    """What one request can choose; every stem is paid for."""

    model: Annotated[Splitter, Field(description="its network; auto is the best for the stem")] = "auto"
    only: Annotated[
        tuple[Stem, ...], Field(min_length=1, description="the stems wanted, each of which is paid for")
    ] = (Stem("vocals"),)
    dereverb: Annotated[bool, Field(description="take the room off the voice")] = False
    extraction: Annotated[
        Literal["deep_extraction", "clear_cut"], Field(description="all of a stem, or less of the others in it")
    ] = "deep_extraction"

    @field_validator("only")
    @classmethod
    def _ours(cls, only: tuple[Stem, ...]) -> tuple[Stem, ...]:
        stems = tuple(dict.fromkeys(Stem(parse_stem(stem).removeprefix("no_")) for stem in only))
        unknown = [stem for stem in stems if stem not in STEMS]
        if unknown:
            raise ValueError(f"lalal.ai has no {', '.join(unknown)}; it has {', '.join(STEMS)}")
        return stems


@dataclass(frozen=True)
class Split:
    """A task: what is asked for, and which of its tracks are which stems of ours."""

    name: str
    presets: Mapping[str, Any]
    tracks: Mapping[str, Stem]


def splits_of(options: LalalaiOptions) -> tuple[Split, ...]:
    """The tasks that give the stems asked for; InvalidParameter for a network that cannot."""
    if options.model not in ("auto", "phoenix") and not PHOENIX.isdisjoint(options.only):
        raise errors.InvalidParameter(
            f"{', '.join(sorted(PHOENIX & set(options.only)))} need lalal.ai's model phoenix or auto"
        )
    plain = [_split(stem, options) for stem in options.only if stem in _THEIRS]
    voices = {_VOICES[stem]: Stem(stem) for stem in _VOICES if stem in options.only}
    if not voices:
        return tuple(plain)
    presets = {**_split(Stem("vocals"), options).presets, "multivocal": "lead_back"}
    return (*plain, Split("lead and backing vocals", presets, voices))


def _split(stem: Stem, options: LalalaiOptions) -> Split:
    theirs = _THEIRS[stem]
    presets = {
        "stem": theirs,
        "splitter": "phoenix" if stem in PHOENIX else options.model,
        "dereverb_enabled": options.dereverb and stem == "vocals",
        "encoder_format": "wav",
        "extraction_level": options.extraction,
        "multivocal": None,
    }
    return Split(stem, presets, {theirs: stem})

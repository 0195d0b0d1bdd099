"""The music of a score in parts that are lowered by different amounts: its maker's own stems, or those a separator splits off."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import numpy as np

from sottovoce.audio import AudioReader, Samples, Stem
from sottovoce.dsp.events import Envelope, EnvelopeMeter
from sottovoce.engines.catalog import Catalog
from sottovoce.media.decode import FileReader
from sottovoce.media.encode import Format, StemFiles
from sottovoce.recipe import Skipped
from sottovoce.tasks.outcome import TaskRun
from sottovoce.tasks.request import UploadRef
from sottovoce.tasks.separate import Separate, split_into
from sottovoce.tasks.soundtrack import Soundtrack

#: Into how many parts: melody and accompaniment, or drums, bass, other and vocals.
Count = Literal[2, 4]
PartName = Literal["melody", "accompaniment", "drums", "bass", "other", "vocals"]

#: The share of the ducking ratio that each part takes; 0 is never lowered.
SHARES: Mapping[PartName, float] = {
    "melody": 1.0, "accompaniment": 0.0, "drums": 0.0, "bass": 0.7, "other": 0.8, "vocals": 1.0,
}  # fmt: skip
#: The stems that belong to a part; all others are `other`.
_VOCALS = frozenset(map(Stem, ("vocals", "lead_vocals", "backing_vocals", "melody")))
_DRUMS, _BASS = frozenset((Stem("drums"),)), frozenset((Stem("bass"),))
#: What a separator is asked for; the rest is what these leave of the music.
_WANTED = tuple(map(Stem, ("vocals", "drums", "bass")))
#: Vocals that lie further below the rest than this many dB are no melody that anyone hears.
_AUDIBLE_DB = -20.0
#: Stems on their way are kept as floats, so that none is turned down for being loud.
_STEMS = Format("wav", bit_depth="float")
_BLOCK = 1 << 18


@dataclass(frozen=True, eq=False)
class Part:
    """A part of the music: the stems it is made of, and its level before it is lowered.

    The reader is None for what the other parts leave of the music, so that together they are the music to the last bit.
    """

    name: PartName
    made_of: tuple[Stem, ...]
    reader: AudioReader | None
    envelope: Envelope

    @property
    def share(self) -> float:
        """The share of the ducking ratio that it takes, 0-1."""
        return SHARES[self.name]


@dataclass(frozen=True, eq=False)
class Parts:
    """The music in parts, one of them the rest; the engine and model whose stems they are, the engines passed over, what to know of it."""

    parts: tuple[Part, ...]
    engine: str
    model: str | None = None
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def rest(self) -> Part:
        """What the others leave."""
        return next(part for part in self.parts if part.reader is None)


@dataclass(frozen=True, eq=False)
class _Stems:
    """Stems of the whole music, and where they come from."""

    readers: Mapping[Stem, AudioReader]
    engine: str
    model: str | None = None
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()


def parts_of(music: Soundtrack, count: Count, separator: str, engines: Catalog, run: TaskRun) -> Parts:
    """The music in two or four parts; without stems of its own it is split into the scratch folder by the separator asked for, or `auto`."""
    own = _Stems(music.stems, music.engine or "") if music.stems else None
    stems = own or _split(music.reader, separator, engines, run)
    run.report("listen", 90)
    cut = _four if count == 4 else _two
    parts = cut(music.reader, stems.readers)
    return Parts(parts, stems.engine, stems.model, stems.skipped, stems.notes)


def _split(music: AudioReader, separator: str, engines: Catalog, run: TaskRun) -> _Stems:
    def files(engine: str) -> StemFiles:
        return StemFiles(run.scratch / f"music-{engine}", rate=music.rate, channels=music.channels, form=_STEMS)

    request = Separate(source=UploadRef(upload="music"), engine=separator, only=_WANTED)
    split = split_into(request, music, files, engines, run)
    readers = {stem: FileReader(path) for stem, path in split.sink.paths.items()}
    skipped = (f"{skip.engine} did not split the music: {skip.reason}" for skip in split.skipped)
    notes = (*skipped, f"the music was split by {split.engine.name}", *split.separation.notes)
    return _Stems(readers, split.engine.name, split.separation.model, split.skipped, notes)


def _four(music: AudioReader, stems: Mapping[Stem, AudioReader]) -> tuple[Part, ...]:
    chosen: dict[PartName, Collection[Stem]] = {"drums": _DRUMS, "bass": _BASS, "vocals": _VOCALS}
    return _cut(music, stems, chosen, "other")


def _two(music: AudioReader, stems: Mapping[Stem, AudioReader]) -> tuple[Part, ...]:
    """The vocals or the melody, and the rest; music without either has its tune in all that is neither drums nor bass."""
    sung = _cut(music, stems, {"melody": _VOCALS}, "accompaniment")
    levels = {part.name: level_db(part.envelope) for part in sung}
    if levels.get("melody", -math.inf) - levels["accompaniment"] > _AUDIBLE_DB:
        return sung
    return _cut(music, stems, {"accompaniment": _DRUMS | _BASS}, "melody")


def _cut(
    music: AudioReader, stems: Mapping[Stem, AudioReader], chosen: Mapping[PartName, Collection[Stem]], rest: PartName
) -> tuple[Part, ...]:
    """The parts that are `chosen`, as far as there are stems for them, and the rest; each heard through."""
    made_of = {name: tuple(stem for stem in stems if stem in members) for name, members in chosen.items()}
    readers = {name: _summed([stems[stem] for stem in members]) for name, members in made_of.items() if members}
    taken = {stem for members in made_of.values() for stem in members}
    heard, left = _heard(music, readers)
    parts = [Part(name, made_of[name], reader, heard[name]) for name, reader in readers.items()]
    return (*parts, Part(rest, tuple(stem for stem in stems if stem not in taken), None, left))


def _heard(music: AudioReader, readers: Mapping[PartName, AudioReader]) -> tuple[dict[PartName, Envelope], Envelope]:
    """The level of each part, and of what they leave of the music."""
    meters = {name: EnvelopeMeter(music.rate, music.channels) for name in readers}
    left = EnvelopeMeter(music.rate, music.channels)
    sources = {name: reader.blocks(_BLOCK) for name, reader in readers.items()}
    for block in music.blocks(_BLOCK):
        pieces = {name: next(source, np.zeros_like(block)) for name, source in sources.items()}
        for name, piece in pieces.items():
            meters[name].push(piece)
        left.push(reduce(np.subtract, pieces.values(), block))
    return {name: meter.finish() for name, meter in meters.items()}, left.finish()


def level_db(envelope: Envelope) -> float:
    """RMS of a whole sound in dB; -inf for silence."""
    power = float(np.mean(np.square(envelope.rms, dtype=np.float64))) if len(envelope.rms) else 0.0
    return 10 * math.log10(power) if power > 0 else -math.inf


def _summed(readers: list[AudioReader]) -> AudioReader:
    return readers[0] if len(readers) == 1 else Summed(tuple(readers))


@dataclass(frozen=True, eq=False)
class Summed:
    """An `AudioReader` over the sum of others that are alike in rate, channels and length."""

    readers: tuple[AudioReader, ...]

    @property
    def rate(self) -> int:
        """Rate in Hz."""
        return self.readers[0].rate

    @property
    def channels(self) -> int:
        """How many channels."""
        return self.readers[0].channels

    @property
    def frames(self) -> int:
        """Length in samples per channel."""
        return self.readers[0].frames

    def blocks(self, frames: int) -> Iterator[Samples]:
        """Consecutive blocks of `frames` samples from the start; the last one may be shorter, none is empty."""
        for pieces in zip(*(reader.blocks(frames) for reader in self.readers), strict=True):
            yield reduce(np.add, pieces)

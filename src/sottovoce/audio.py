"""Sound as values: samples with their rate, the names of stems, and how audio is read and stems are written in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NewType, Protocol

import numpy as np
from numpy.typing import NDArray

#: float32, shape [channels, frames], full scale is ±1.
Samples = NDArray[np.float32]

#: One part of a track: a canonical name of `STEMS`, or `no_<stem>` for the rest.
Stem = NewType("Stem", str)

STEMS: tuple[Stem, ...] = tuple(
    Stem(name)
    for name in (
        "vocals", "drums", "bass", "other", "guitar", "piano", "electric_guitar", "acoustic_guitar", "synth", "strings", "wind",
        "lead_vocals", "backing_vocals", "harmony", "melody", "pads", "texture",
    )
)  # fmt: skip

#: What a separator's stems leave of the source, where it is asked for.
RESIDUAL = Stem("residual")

#: Rate of everything generated or mixed, in Hz.
DELIVERY_RATE = 48_000


@dataclass(frozen=True, eq=False)
class Audio:
    """Samples (float32 [channels, frames]) at a rate in Hz."""

    samples: Samples
    rate: int

    @property
    def channels(self) -> int:
        """How many channels."""
        return int(self.samples.shape[0])

    @property
    def frames(self) -> int:
        """Length in samples per channel."""
        return int(self.samples.shape[1])

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.frames / self.rate


class AudioReader(Protocol):
    """Audio that can be read from the start as often as needed, block by block."""

    @property
    def rate(self) -> int:
        """Rate in Hz."""

    @property
    def channels(self) -> int:
        """How many channels each block has."""

    @property
    def frames(self) -> int:
        """Exact length in samples per channel (may cost a first pass over a compressed file)."""

    def blocks(self, frames: int) -> Iterator[Samples]:
        """Consecutive blocks of `frames` samples from the start; the last one may be shorter, none is empty."""


class StemWriter(Protocol):
    """Where a separator puts its stems; every stem gets as many frames as the source has."""

    def write(self, stem: Stem, block: Samples) -> None:
        """Append a block [channels, frames] to a stem."""


@dataclass(frozen=True, eq=False)
class ArrayReader:
    """An `AudioReader` over samples in memory."""

    audio: Audio

    @property
    def rate(self) -> int:
        """Rate in Hz."""
        return self.audio.rate

    @property
    def channels(self) -> int:
        """How many channels."""
        return self.audio.channels

    @property
    def frames(self) -> int:
        """Length in samples per channel."""
        return self.audio.frames

    def blocks(self, frames: int) -> Iterator[Samples]:
        """Views of the samples, `frames` at a time."""
        for start in range(0, self.audio.frames, frames):
            yield self.audio.samples[:, start : start + frames]


@dataclass(frozen=True)
class ArrayWriter:
    """A `StemWriter` that keeps everything in memory."""

    rate: int
    parts: dict[Stem, list[Samples]] = field(default_factory=dict)

    def write(self, stem: Stem, block: Samples) -> None:
        """Append a copy of the block."""
        self.parts.setdefault(stem, []).append(block.copy())

    def stems(self) -> dict[Stem, Audio]:
        """What was written so far."""
        return {stem: Audio(np.concatenate(blocks, axis=1), self.rate) for stem, blocks in self.parts.items()}


class Pieces:
    """A stream of blocks [channels, frames] in pieces of other sizes."""

    def __init__(self, blocks: Iterator[Samples], channels: int) -> None:
        self._blocks = blocks
        self._held = np.zeros((channels, 0), np.float32)

    def take(self, frames: int) -> Samples:
        """The next `frames` frames, or fewer where the stream ends."""
        held = [self._held]
        missing = frames - self._held.shape[1]
        while missing > 0 and (block := next(self._blocks, None)) is not None:
            held.append(block)
            missing -= block.shape[1]
        joined = np.concatenate(held, axis=1) if len(held) > 1 else held[0]
        self._held = joined[:, frames:]
        return joined[:, :frames]


def read_all(reader: AudioReader) -> Audio:
    """The whole of a reader in memory."""
    blocks = list(reader.blocks(1 << 20))
    samples = np.concatenate(blocks, axis=1) if blocks else np.zeros((reader.channels, 0), np.float32)
    return Audio(samples, reader.rate)


def parse_stem(name: str) -> Stem:
    """A canonical stem name, or `no_` before one; ValueError lists the names there are."""
    plain = name.strip().lower().replace("-", "_")
    if plain.removeprefix("no_") not in STEMS:
        raise ValueError(f"no stem is called {name!r}; the names are {', '.join(STEMS)}")
    return Stem(plain)

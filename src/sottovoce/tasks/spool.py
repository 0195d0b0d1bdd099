"""Sound kept on disk as it was decoded, so that what is read more than once is decoded only once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sottovoce.audio import AudioReader, Samples
from sottovoce.media.draft import writing


@dataclass(frozen=True)
class Spool:
    """An `AudioReader` over a file of interleaved float32 samples; several threads may read it at once."""

    path: Path
    rate: int
    channels: int

    @property
    def frames(self) -> int:
        """Exact length in samples per channel."""
        return self.path.stat().st_size // (4 * self.channels)

    def blocks(self, frames: int) -> Iterator[Samples]:
        """Consecutive blocks of `frames` samples from the start; the last one may be shorter, none is empty."""
        with self.path.open("rb") as file:
            while read := file.read(4 * self.channels * frames):
                yield np.ascontiguousarray(np.frombuffer(read, "<f4").reshape(-1, self.channels).T)


def spooled(reader: AudioReader, path: Path, *, block: int) -> Iterator[Samples]:
    """Write a reader's sound to `path` for a `Spool`, in blocks of so many frames that also pass by; DiskFull or OutputNotWritable."""
    with writing(path):
        file = path.open("wb")
    with file:
        for samples in reader.blocks(block):
            with writing(path):
                file.write(np.ascontiguousarray(samples.T, "<f4").data)
            yield samples

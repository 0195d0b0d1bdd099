"""Sound into files of any format, stems side by side, and the hash of what was made."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np

from sottovoce.audio import ArrayReader, Audio, AudioReader, Samples, Stem
from sottovoce.media import tags as words
from sottovoce.media.channels import Mixer, converted, unnamed
from sottovoce.media.draft import draft, writing
from sottovoce.media.encoder import SoundEncoder, open_output
from sottovoce.media.formats import Format, coding_of, format_of
from sottovoce.media.pcm import packed24

__all__ = ["Format", "StemFiles", "encode", "format_of", "sha256_pcm"]

_BLOCK = 1 << 16


def encode(source: Audio | AudioReader, path: Path, form: Format, *, tags: Mapping[str, str] = words.NONE) -> None:
    """Write sound to `path`, which is there afterwards whole or not at all; an older file of that name stays until then.

    Lossy files hold their exact length for gapless players. 16 bits are dithered, the same way each time. OutputNotWritable, DiskFull, or
    OutputRejected for samples that are no numbers.
    """
    reader = ArrayReader(source) if isinstance(source, Audio) else source
    coding = coding_of(form)
    rate, channels = coding.rate_for(reader.rate), coding.channels_for(reader.channels)
    blocks = converted(reader.blocks(_BLOCK), Mixer(unnamed(reader.channels), channels), rate=reader.rate, to=rate)
    with draft(path) as temporary, open_output(temporary, path, coding.muxer, coding.options_at(rate)) as container:
        container.metadata.update(words.for_container(tags, coding.muxer))
        bitrate = coding.bits_per_second(form.bitrate, channels)
        encoder = SoundEncoder(
            container, *coding.encoder(form.bit_depth), rate=rate, channels=channels, bitrate=bitrate
        )
        for block in blocks:
            packets = encoder.packets(block)
            with writing(path):
                container.mux(packets)
        with writing(path):
            container.mux(encoder.flush())


def sha256_pcm(source: Audio | AudioReader) -> str:
    """The SHA-256, in hexadecimal, of sound as interleaved little-endian 24-bit integers, rounded and clipped at full scale.

    It is the hash of what a 24-bit file of the sound holds, whatever its container.
    """
    reader = ArrayReader(source) if isinstance(source, Audio) else source
    digest = hashlib.sha256()
    for block in reader.blocks(_BLOCK):
        digest.update(packed24(block))
    return digest.hexdigest()


class StemFiles:
    """A `StemWriter` into `folder/<stem>.<ending>`: a context manager whose files appear at its end, all or none.

    `rate` in Hz and `channels` are those of the blocks. Blocks are kept as floats on disk until the end, since only then it is known
    whether one stem passes full scale: then all get one common gain (`gain_db`, else 0), so that they still add up to the mix but for it.
    A stem that is never written has no file. OutputNotWritable or DiskFull.
    """

    def __init__(self, folder: Path, *, rate: int, channels: int, form: Format) -> None:
        self.paths: dict[Stem, Path] = {}
        self.gain_db = 0.0
        self._folder = folder
        self._form = form
        self._rate = rate
        self._channels = channels
        self._peak = 0.0
        self._spools: dict[Stem, BinaryIO] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with writing(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._spool_folder = Path(self._stack.enter_context(TemporaryDirectory(prefix=".stems-", dir=self._folder)))
        return self

    def write(self, stem: Stem, block: Samples) -> None:
        """Append float32 [channels, frames] to a stem."""
        if block.shape[0] != self._channels:
            raise ValueError(f"a block of {block.shape[0]} channels for stems of {self._channels}")
        if block.size:
            self._peak = max(self._peak, float(np.abs(block).max()))
        with writing(self._folder):
            self._spool(stem).write(np.ascontiguousarray(block.T, "<f4").tobytes())

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            if kind is None:
                self._publish()

    def _spool(self, stem: Stem) -> BinaryIO:
        if stem not in self._spools:
            self._spools[stem] = self._stack.enter_context((self._spool_folder / stem).open("w+b"))
        return self._spools[stem]

    def _publish(self) -> None:
        gain = 1.0 if self._peak <= 1 or self._form.bit_depth == "float" else 1 / self._peak
        drafts = {stem: self._spool_folder / f"{stem}.{self._form.name}" for stem in self._spools}
        for stem, spool in self._spools.items():
            encode(_Spooled(spool, self._rate, self._channels, gain), drafts[stem], self._form)
            spool.close()
            (self._spool_folder / stem).unlink()
        with writing(self._folder):
            self.paths = {stem: path.replace(self._folder / path.name) for stem, path in drafts.items()}
        self.gain_db = 20 * math.log10(gain)


@dataclass(frozen=True)
class _Spooled:
    """An `AudioReader` over the floats in a spool file, times a gain."""

    file: BinaryIO
    rate: int
    channels: int
    gain: float

    @property
    def frames(self) -> int:
        return self.file.seek(0, 2) // (4 * self.channels)

    def blocks(self, frames: int) -> Iterator[Samples]:
        self.file.seek(0)
        while read := self.file.read(4 * self.channels * frames):
            yield np.frombuffer(read, "<f4").reshape(-1, self.channels).T * np.float32(self.gain)

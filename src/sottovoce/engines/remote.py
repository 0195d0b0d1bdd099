"""What engines elsewhere share: the song on its way there, stems on their way back, and who may be asked for them."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from sottovoce import errors
from sottovoce.audio import AudioReader, Samples, Stem, StemWriter
from sottovoce.engines.base import Run
from sottovoce.media.decode import FileReader
from sottovoce.media.encode import Format, encode

if TYPE_CHECKING:
    import httpx

#: Answers that may be another in a while.
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
#: What comes back may be this much longer or shorter than what was sent before it is mentioned.
_TOLERATED_SECONDS = 0.05
_FLAC = Format("flac", bit_depth="24")
_BLOCK = 1 << 16
_TRIES = 5
_LONGEST_PAUSE = 0.5


@contextmanager
def outgoing(source: AudioReader, run: Run, *, start: float, end: float) -> Iterator[Path]:
    """The source as a FLAC file under a name of ours, gone after the block; writing it is `start` to `end` % of the work.

    InvalidParameter for more than two channels, which these engines would drop.
    """
    if source.channels > 2:
        raise errors.InvalidParameter(
            f"the song has {source.channels} channels, and engines elsewhere take one or two",
            hint="Fold it down first.",
        )
    with TemporaryDirectory(prefix="sotto-") as folder:
        path = Path(folder) / "song.flac"
        encode(_Reported(source, run, start, end), path, _FLAC)
        yield path


def pieces(path: Path, report: Callable[[float], None]) -> Iterator[bytes]:
    """A file to send, piece by piece; `report` gets 0-1 before each."""
    size = max(1, path.stat().st_size)
    with path.open("rb") as file:
        while piece := file.read(1 << 18):
            report(file.tell() / size)
            yield piece


def write_stem(path: Path, stem: Stem, source: AudioReader, sink: StemWriter) -> tuple[str, ...]:
    """Give what came back to the sink at the source's rate, channels and exact length; what is to be said of it."""
    left = source.frames
    came = FileReader(path, rate=source.rate, channels=source.channels)
    for block in came.blocks(_BLOCK):
        if left > 0:
            sink.write(stem, block[:, :left])
        left -= block.shape[1]
    write_silence(stem, max(0, left), source, sink)
    off = -left / source.rate
    if abs(off) <= _TOLERATED_SECONDS:
        return ()
    return (f"{stem} came back {off:+.2f} s long; it was cut or filled to the song's length",)


def write_silence(stem: Stem, frames: int, source: AudioReader, sink: StemWriter) -> None:
    """So many frames of nothing."""
    for start in range(0, frames, _BLOCK):
        sink.write(stem, np.zeros((source.channels, min(_BLOCK, frames - start)), np.float32))


def download(client: httpx.Client, url: str, target: Path, *, size: int | None, pause: Callable[[float], None]) -> None:
    """Fetch a result whole, trying again when it breaks off; RemoteFailed. `client` must carry no key and follow no redirect."""
    import httpx

    reason = ""
    for attempt in range(_TRIES):
        try:
            with client.stream("GET", url) as answer, target.open("wb") as file:
                if answer.status_code == 200:
                    for piece in answer.iter_raw():
                        file.write(piece)
                        pause(0)
                    if size in (None, file.tell()):
                        return
                    reason = f"{file.tell()} bytes came where {size} were promised"
                elif answer.status_code in BUSY:
                    reason = f"it answered {answer.status_code}"
                else:
                    raise errors.RemoteFailed(
                        f"a finished result could not be fetched: the server answered {answer.status_code}"
                    )
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
        pause(min(30.0, 2.0**attempt))
    raise errors.RemoteFailed(f"a finished result could not be fetched: {reason}")


def trusted(url: str, base: str) -> bool:
    """Whether an address is of the server at `base` (scheme, host and port), or of another host of the same domain."""
    from httpx import URL, InvalidURL

    try:
        asked, own = URL(url), URL(base)
    except InvalidURL:
        return False
    if asked.userinfo or asked.scheme != own.scheme or asked.port != own.port:
        return False
    domain = own.host.removeprefix("www.")
    return asked.host == own.host or ("." in domain and not _is_address(domain) and asked.host.endswith(f".{domain}"))


def pauser(run: Run, sleep: Callable[[float], None], stage: str, percent: float) -> Callable[[float], None]:
    """A sleep that hears a cancel within half a second."""

    def pause(seconds: float) -> None:
        run.report(stage, percent)
        while seconds > 0:
            sleep(min(seconds, _LONGEST_PAUSE))
            seconds -= _LONGEST_PAUSE
            run.report(stage, percent)

    return pause


@dataclass(frozen=True)
class _Reported:
    """An `AudioReader` that says how far it was read."""

    source: AudioReader
    run: Run
    start: float
    end: float

    @property
    def rate(self) -> int:
        return self.source.rate

    @property
    def channels(self) -> int:
        return self.source.channels

    @property
    def frames(self) -> int:
        return self.source.frames

    def blocks(self, frames: int) -> Iterator[Samples]:
        done, total = 0, max(1, self.source.frames)
        for block in self.source.blocks(frames):
            self.run.report("prepare", self.start + (self.end - self.start) * min(1.0, done / total))
            yield block
            done += block.shape[1]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True

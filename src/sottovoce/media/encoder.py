"""Blocks of sound to the packets of a stream in an open container."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import av
import av.error
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from numpy.typing import NDArray

from sottovoce.audio import Samples
from sottovoce.errors import OutputRejected
from sottovoce.media.draft import writing
from sottovoce.media.pcm import Dither, int24

#: FFmpeg's name of the usual speakers for a number of channels.
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
#: FFmpeg would make FLAC blocks of 0.1 s, and cannot read its own if they are larger than 200 kB (8 channels at 192 kHz).
_OPTIONS = {"flac": {"frame_size": "4096"}}


@contextmanager
def open_output(temporary: Path, path: Path, muxer: str, options: Mapping[str, str]) -> Iterator[OutputContainer]:
    """A container written to `temporary`, finished at the end of the block; errors name `path`."""
    with writing(path):
        # Without bitexact Matroska draws a random id: the same sound must give the same file.
        settings = {"fflags": "+bitexact", **options}
        container = av.open(f"file:{temporary.absolute()}", "w", format=muxer, container_options=settings)
    try:
        yield container
        with writing(path):
            container.close()
    finally:
        # Closing twice is harmless; of a file given up nobody needs the trailer.
        with suppress(OSError, av.error.FFmpegError):
            container.close()


class SoundEncoder:
    """Adds a sound stream to a container and turns float32 blocks [channels, frames] at `rate` Hz into its packets.

    `codec` is FFmpeg's encoder and `samples` the sample format it takes (s16 is dithered, s32 gets 24 bits); `bitrate` is in bit/s,
    `options` are the encoder's own.
    """

    def __init__(
        self,
        container: OutputContainer,
        codec: str,
        samples: str,
        *,
        rate: int,
        channels: int,
        bitrate: int | None = None,
        options: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._layout = _LAYOUTS.get(channels, f"{channels} channels")
        self._convert = _converter(samples)
        self._samples = samples
        self._rate = rate
        self._taken = 0
        self._made = 0
        self._delay = 0
        stream = container.add_stream(
            codec, rate=rate, layout=self._layout, options={**_OPTIONS.get(codec, {}), **options}
        )
        assert isinstance(stream, AudioStream)
        stream.codec_context.format = samples
        if bitrate:
            stream.bit_rate = bitrate
        self.stream = stream

    def packets(self, block: Samples) -> list[Packet[Any]]:
        """The packets that this block completes; OutputRejected if it holds what is no number."""
        if block.shape[1] == 0:
            return []
        if not np.isfinite(block).all():
            raise OutputRejected("the sound to be written holds samples that are no numbers")
        packets = self.stream.encode(self._frame(block))
        self._taken += block.shape[1]
        return self._counted(packets)

    def flush(self) -> list[Packet[Any]]:
        """The last packets; OutputRejected if there was no sound."""
        if self._taken == 0:
            raise OutputRejected("there is no sound to be written: it has no samples")
        packets = self._counted(self.stream.encode(None))
        if packets and packets[-1].has_sidedata("skip_samples"):
            self._complete_padding(packets[-1])
        return packets

    def _counted(self, packets: list[Packet[Any]]) -> list[Packet[Any]]:
        if self._made == 0 and packets and packets[0].has_sidedata("skip_samples"):
            self._delay = int.from_bytes(bytes(packets[0].get_sidedata("skip_samples"))[:4], "little")
        self._made += len(packets)
        return packets

    def _complete_padding(self, last: Packet[Any]) -> None:
        """Say how much of the end is padding: LAME's adapter says at most one packet, where the padding can reach into the one before."""
        padding = self._made * self.stream.codec_context.frame_size - self._delay - self._taken
        skip = last.get_sidedata("skip_samples")
        fields = bytearray(bytes(skip))
        if padding > int.from_bytes(fields[4:8], "little") >= self.stream.codec_context.frame_size:
            fields[4:8] = padding.to_bytes(4, "little")
            skip.update(bytes(fields))
            last.set_sidedata(skip)

    def _frame(self, block: Samples) -> av.AudioFrame:
        values = self._convert(block)
        shaped = values if self._samples.endswith("p") else values.T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(shaped), format=self._samples, layout=self._layout)
        frame.sample_rate, frame.pts, frame.time_base = self._rate, self._taken, Fraction(1, self._rate)
        return frame


def _converter(samples: str) -> Callable[[Samples], NDArray[Any]]:
    if samples == "s16":
        return Dither().int16
    # FFmpeg takes 24 bits as the upper ones of 32.
    return (lambda block: int24(block) << 8) if samples == "s32" else (lambda block: block)

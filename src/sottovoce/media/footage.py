"""Opening the moving picture of a file, and its frames as small upright pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from sottovoce.errors import UnsupportedFormat
from sottovoce.media.container import name_of, open_input, picture_of, reading
from sottovoce.media.packets import Decoder, packets
from sottovoce.media.picture import Keyframe


@dataclass(frozen=True, eq=False)
class Footage:
    """An open moving picture; times are seconds after its first picture. Small pictures need no deblocking: decoding goes without."""

    path: Path
    container: InputContainer
    stream: VideoStream
    decoder: Decoder
    #: Width by height of the stored pictures; those of damaged ones may differ, and are stretched.
    aspect: float

    @property
    def pixels(self) -> int:
        """Pixels of one picture."""
        return max(1, self.stream.codec_context.width * self.stream.codec_context.height)

    def packets(self) -> Iterator[Packet[Any]]:
        """The packets from here on, the empty one that flushes the decoder included."""
        return packets(self.container, [self.stream], self.path)

    def frames(self, packet: Packet[Any]) -> list[VideoFrame]:
        """The pictures that a packet completes."""
        return [frame for frame in self.decoder.frames(packet) if frame.pts is not None]

    def seek(self, seconds: float) -> None:
        """Go on from the last key picture at or before a time."""
        assert self.stream.time_base is not None
        with reading(self.path):
            self.container.seek(
                round(seconds / self.stream.time_base) + (self.stream.start_time or 0), stream=self.stream
            )

    def seconds(self, ticks: int | None) -> float:
        """When a packet or frame with this timestamp is shown."""
        base = self.stream.time_base
        return 0.0 if ticks is None or base is None else float((ticks - (self.stream.start_time or 0)) * base)

    def small(self, frame: VideoFrame, width: int) -> Keyframe:
        """A frame as a picture about `width` wide, turned upright."""
        height = max(1, round(width / self.aspect))
        with reading(self.path):
            pixels = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA").to_ndarray()
        upright = np.rot90(pixels, round(frame.rotation / 90) % 4)
        return Keyframe(self.seconds(frame.pts), np.ascontiguousarray(upright, np.uint8))


@contextmanager
def open_footage(path: Path) -> Iterator[Footage]:
    """The moving picture of a file; UnsupportedFormat if it has none, or the errors of `container.open_input`."""
    with open_input(path) as container:
        stream = picture_of(container)
        if stream is None:
            raise UnsupportedFormat(f"{name_of(path)} has no moving picture", hint="Give a video file.")
        stream.thread_type = "AUTO"
        stream.codec_context.options = {"skip_loop_filter": "all"}
        shape = stream.codec_context.width, stream.codec_context.height
        aspect = shape[0] / shape[1] if all(shape) else 1.0
        yield Footage(path, container, stream, Decoder(path), min(max(aspect, 1 / 16), 16.0))

"""What a file is, before its sound is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from sottovoce.errors import UnsupportedFormat
from sottovoce.media import tags
from sottovoce.media.container import corrupt, name_of, open_input, picture_of, reading, sound_of
from sottovoce.media.packets import packets


@dataclass(frozen=True)
class VideoFacts:
    """A moving picture: pixels as stored, frames per second on average (0 if unknown), codec, and frames where the container knows."""

    width: int
    height: int
    fps: float
    codec: str
    frames: int | None = None


@dataclass(frozen=True)
class MediaInfo:
    """A file's container, length in seconds as the container gives it, its sound, its picture and its tags.

    `rate` in Hz, `channels` and `codec` are those of the sound, None without sound. `seconds` of a compressed file can be off by a few
    milliseconds; `decode.FileReader.frames` is exact.
    """

    path: Path
    container: str
    seconds: float
    rate: int | None
    channels: int | None
    codec: str | None
    video: VideoFacts | None
    tags: dict[str, str]

    @property
    def has_sound(self) -> bool:
        """Whether there is a sound track."""
        return self.rate is not None

    @property
    def has_video(self) -> bool:
        """Whether there is a moving picture (cover art is none)."""
        return self.video is not None


def probe(path: Path) -> MediaInfo:
    """Look at a file; InputUnreadable, UnsupportedFormat or CorruptMedia if it holds neither sound nor picture that can be read."""
    with open_input(path) as container, reading(path):
        sound, picture = sound_of(container), picture_of(container)
        if sound is None and picture is None:
            raise UnsupportedFormat(
                f"{name_of(path)} has neither sound nor a moving picture", hint="Give a file that has one of them."
            )
        if sound is not None and not (sound.codec_context.sample_rate > 0 and sound.codec_context.channels > 0):
            raise corrupt(path, "does not say how its sound is stored")
        main = picture or sound
        assert main is not None
        return MediaInfo(
            path=path,
            container=container.format.name.split(",")[0],
            seconds=_seconds(container, main, path),
            rate=sound.codec_context.sample_rate if sound else None,
            channels=sound.codec_context.channels if sound else None,
            codec=sound.codec_context.name if sound else None,
            video=_video_facts(picture) if picture else None,
            tags=tags.in_our_words(container.metadata, sound.metadata if sound else tags.NONE),
        )


def stream_seconds(container: InputContainer, stream: Stream) -> float | None:
    """How long a stream lasts as the container gives it, None if it does not say."""
    if stream.duration and stream.duration > 0 and stream.time_base:
        return float(stream.duration * stream.time_base)
    if container.duration and container.duration > 0:
        return float(Fraction(container.duration, 1_000_000))
    return None


def _seconds(container: InputContainer, stream: AudioStream | VideoStream, path: Path) -> float:
    """As the container says; where it says nothing (recorded live), to the end of the last packet."""
    known = stream_seconds(container, stream)
    if known is not None:
        return known
    ends = [
        packet.pts + (packet.duration or 0) for packet in packets(container, [stream], path) if packet.pts is not None
    ]
    return float((max(ends) - min(ends[0], stream.start_time or 0)) * _time_base(stream)) if ends else 0.0


def _time_base(stream: Stream) -> Fraction:
    return stream.time_base or Fraction(1, 1_000_000)


def _video_facts(picture: VideoStream) -> VideoFacts:
    context = picture.codec_context
    rate = picture.average_rate or picture.guessed_rate or Fraction(0)
    return VideoFacts(context.width, context.height, float(rate), context.name, picture.frames or None)

"""Sound out of any file, block by block and exact to the sample: encoder delay and padding trimmed, aligned to the picture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from sottovoce.audio import Audio, Samples, read_all
from sottovoce.dsp.resample import resampled_frames
from sottovoce.errors import InvalidParameter, UnsupportedFormat
from sottovoce.media.channels import Mixer, converted
from sottovoce.media.container import corrupt, name_of, open_input, picture_of, reading, sound_of
from sottovoce.media.packets import Decoder, packets
from sottovoce.media.pcm import floats
from sottovoce.media.timeline import Clock, Piece, aligned, without_padding

#: Containers whose timestamps say where sound belongs; in the others sound follows on sound.
_TIMED = frozenset({"mov", "matroska", "asf", "avi", "flv", "mpegts", "mpeg"})


class FileReader:
    """An `AudioReader` over the sound of any audio or video file, streamed from disk on each call of `blocks`.

    `rate` resamples and `channels` (1 or 2) folds up or down while reading; left out, both are the file's own. In a video the first sample
    belongs to the first picture. A few damaged packets become silence (`damaged` counts those of the last full pass). InputUnreadable,
    UnsupportedFormat (also without any sound) or CorruptMedia, on opening or while reading.
    """

    def __init__(self, path: Path, *, rate: int | None = None, channels: int | None = None) -> None:
        self.path = path
        self.damaged = 0
        self._stored = _look(path)
        self._stored_frames: int | None = None
        self.rate = self._stored.rate if rate is None else _possible(rate)
        self.channels = channels or len(self._stored.speakers)
        self._mixer = Mixer(self._stored.speakers, self.channels)

    @property
    def frames(self) -> int:
        """Exact length at `rate`; the first time this decodes the file to its end, unless that was read before."""
        if self._stored_frames is None:
            for _ in self._read():
                pass
        assert self._stored_frames is not None
        return resampled_frames(self._stored_frames, self._stored.rate, self.rate)

    def blocks(self, frames: int) -> Iterator[Samples]:
        """Consecutive blocks of `frames` samples from the start; the last one may be shorter, none is empty."""
        converts = converted(self._read(), self._mixer, rate=self._stored.rate, to=self.rate)
        return _rechunked(converts, frames)

    def _read(self) -> Iterator[Samples]:
        """One pass over the sound as it is stored."""
        written, decoder = 0, Decoder(self.path)
        with open_input(self.path) as container:
            stream = _sound(container, self.path)
            clock = _clock(container, stream, self._stored.rate)
            pieces = self._pieces(container, stream, decoder)
            for block in aligned(without_padding(pieces, clock) if _is(container, {"mov"}) else pieces, clock):
                written += block.shape[1]
                yield block
            self._check_complete(written, _declared(container, stream, clock))
        self._stored_frames, self.damaged = written, decoder.damaged

    def _pieces(self, container: InputContainer, stream: AudioStream, decoder: Decoder) -> Iterator[Piece]:
        """The decoded frames; what is damaged becomes as much silence, or a gap that the timestamps show."""
        timed = _is(container, _TIMED)
        for packet in packets(container, [stream], self.path):
            damaged = decoder.damaged
            for frame in decoder.frames(packet):
                yield self._piece(frame, timed=timed)
            if decoder.damaged > damaged and not timed:
                yield Piece(np.zeros((len(self._stored.speakers), _length(packet, self._stored.rate)), np.float32))

    def _piece(self, frame: AudioFrame, *, timed: bool) -> Piece:
        if frame.sample_rate != self._stored.rate:
            raise corrupt(self.path, f"changes its rate from {self._stored.rate} to {frame.sample_rate} Hz on the way")
        with reading(self.path):
            samples = floats(frame)
        if not np.isfinite(samples).all():
            raise corrupt(self.path, "holds samples that are no numbers")
        speakers = _speakers(frame)
        if len(speakers) != len(self._stored.speakers):
            samples = self._folded(samples, speakers)
        base = frame.time_base if timed and frame.time_base else None
        at = frame.pts * base if base and frame.pts is not None else None
        return Piece(samples, at, frame.duration * base if base and frame.duration else None)

    def _folded(self, samples: Samples, speakers: tuple[str, ...]) -> Samples:
        """Sound whose number of channels changed on the way, in as many as at the start."""
        if len(self._stored.speakers) > 2:
            raise corrupt(
                self.path, f"changes from {len(self._stored.speakers)} to {len(speakers)} channels on the way"
            )
        return Mixer(speakers, len(self._stored.speakers)).mix(samples)

    def _check_complete(self, written: int, declared: int | None) -> None:
        if written == 0:
            raise corrupt(self.path, "holds no sound that can be decoded")
        if declared is not None and declared - written > self._stored.rate:
            had, of = written / self._stored.rate, declared / self._stored.rate
            raise corrupt(self.path, f"ends after {had:.1f} of {of:.1f} seconds of sound")


def decode(path: Path, *, rate: int | None = None, channels: int | None = None) -> Audio:
    """The whole sound of a file in memory; see `FileReader`."""
    return read_all(FileReader(path, rate=rate, channels=channels))


@dataclass(frozen=True)
class _Stored:
    """How the sound is stored: rate in Hz, speakers by name."""

    rate: int
    speakers: tuple[str, ...]


def _look(path: Path) -> _Stored:
    """What the first frame that can be decoded says, since headers of AAC tell half the rate."""
    decoder = Decoder(path)
    with open_input(path) as container:
        stream = _sound(container, path)
        for packet in packets(container, [stream], path):
            for frame in decoder.frames(packet):
                if frame.sample_rate > 0 and frame.layout.nb_channels > 0:
                    return _Stored(frame.sample_rate, _speakers(frame))
    raise corrupt(path, "holds no sound that can be decoded")


def _sound(container: InputContainer, path: Path) -> AudioStream:
    stream = sound_of(container)
    if stream is None:
        raise UnsupportedFormat(f"{name_of(path)} has no sound", hint="Give a file with a sound track.")
    return stream


def _clock(container: InputContainer, stream: AudioStream, rate: int) -> Clock:
    """Zero is the first picture, or without one the first sound; the end is the sound track's, or else the file's."""
    picture = picture_of(container)
    begin = _seconds(stream, stream.start_time or 0)
    zero = begin if picture is None else _seconds(picture, picture.start_time or 0)
    if stream.duration and stream.duration > 0:
        return Clock(zero, begin + _seconds(stream, stream.duration), rate)
    if container.duration and container.duration > 0:
        return Clock(zero, Fraction((container.start_time or 0) + container.duration, 1_000_000), rate)
    return Clock(zero, None, rate)


def _declared(container: InputContainer, stream: AudioStream, clock: Clock) -> int | None:
    """The sample at which the sound must end, where the container knows; what ends much earlier was cut."""
    if _is(container, {"mov", "flac", "aiff", "caf"}):
        return clock.last
    if _is(container, {"matroska"}):
        tag = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
        if tag:
            return clock.frame_at(Fraction(int(tag[1]) * 3600 + int(tag[2]) * 60) + Fraction(tag[3]))
        return clock.last if picture_of(container) is None else None
    return None


def _seconds(stream: Stream, ticks: int) -> Fraction:
    return ticks * (stream.time_base or Fraction(0))


def _speakers(frame: AudioFrame) -> tuple[str, ...]:
    return tuple(channel.name for channel in frame.layout.channels)


def _is(container: InputContainer, kinds: frozenset[str] | set[str]) -> bool:
    return not kinds.isdisjoint(container.format.name.split(","))


def _length(packet: Packet[Any], rate: int) -> int:
    """How many samples a packet should hold."""
    return round((packet.duration or 0) * (packet.time_base or Fraction(0)) * rate)


def _possible(rate: int) -> int:
    if not 1000 <= rate <= 768_000:
        raise InvalidParameter(f"a rate of {rate} Hz cannot be made; give 1000 to 768000")
    return rate


def _rechunked(pieces: Iterator[Samples], frames: int) -> Iterator[Samples]:
    """The same samples in blocks of `frames`."""
    held: list[Samples] = []
    count = 0
    for piece in pieces:
        held.append(piece)
        count += piece.shape[1]
        if count >= frames:
            joined = np.concatenate(held, axis=1)
            whole = count - count % frames
            for start in range(0, whole, frames):
                yield joined[:, start : start + frames]
            held, count = [joined[:, whole:]], count - whole
    if count:
        yield np.concatenate(held, axis=1)

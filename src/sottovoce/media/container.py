"""Opening foreign files: FFmpeg's errors in the catalogue's words, and only formats and places we know.

Names of files become `file:` addresses, playlists are not followed and nothing but the named file is opened, so a file cannot make us read
another one or the network.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import av.error
import av.logging
from av.audio.stream import AudioStream
from av.codec.context import CodecContext
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from sottovoce import errors

#: FFmpeg's names of the containers that are read.
DEMUXERS = "wav,w64,aiff,au,caf,flac,mp3,ogg,mov,matroska,aac,ac3,eac3,ape,wv,asf,avi,flv,mpegts,mpeg"
#: How people call them.
READABLE = "WAV, FLAC, MP3, M4A, AAC, OGG, Opus, AIFF, CAF, WMA, MP4, MOV, MKV, WebM, AVI, FLV and MPEG"

_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": DEMUXERS,
    "max_streams": "64",
    "fflags": "+genpts",
}
#: First bytes (offset, bytes) of the containers above: a file that begins like this and cannot be opened is a broken one of its kind.
_BEGINNINGS: dict[int, tuple[bytes, ...]] = {
    0: (
        *(b"RIFF", b"RF64", b"riff", b"FORM", b".snd", b"caff", b"fLaC", b"ID3", b"OggS", b"MAC ", b"wvpk", b"FLV"),
        *(b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf1", b"\xff\xf9", b"\x0b\x77"),
        *(b"\x1a\x45\xdf\xa3", b"\x30\x26\xb2\x75", b"\x47\x40", b"\x00\x00\x01\xba"),
    ),
    4: (b"ftyp", b"moov", b"mdat", b"free", b"wide"),
}
_UNSUPPORTED: tuple[type[BaseException], ...] = (
    av.error.DecoderNotFoundError,
    av.error.DemuxerNotFoundError,
    av.error.PatchWelcomeError,
    av.error.NotImplementedError,
)
#: What demuxers say of the file's content in the system's words: where it breaks off, and where it has no index.
_SAID_OF_DAMAGE = frozenset({errno.EIO, errno.EPERM})
#: What damaged bytes make PyAV raise: FFmpeg's own errors, and Python's when a header's numbers or texts make no sense.
_CORRUPT: tuple[type[BaseException], ...] = (
    av.error.FFmpegError,
    ValueError,
    ArithmeticError,
    MemoryError,
    EOFError,
)

# FFmpeg would write its complaints about foreign files on standard error, which belongs to the surfaces.
av.logging.set_level(None)


def open_input(path: Path) -> InputContainer:
    """The file, opened for reading; InputUnreadable, UnsupportedFormat or CorruptMedia if it cannot be."""
    _check_file(path)
    try:
        with reading(path):
            return av.open(f"file:{path.absolute()}", "r", options=dict(_OPTIONS), metadata_errors="replace")
    except errors.CorruptMedia as error:
        raise (error if _begins_known(path) else _unsupported(path)) from error.__cause__


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever PyAV or the system raises inside becomes an error of the catalogue that names the file."""
    try:
        yield
    except _UNSUPPORTED as error:
        raise _unsupported(path) from error
    except _CORRUPT as error:
        if isinstance(error, OSError) and error.errno not in _SAID_OF_DAMAGE:
            raise unreadable(path, error) from error
        raise corrupt(path, "cannot be decoded") from error
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: BaseException) -> errors.InputUnreadable:
    """The error for a file that is not there or may not be read."""
    reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
    return errors.InputUnreadable(
        f"{name_of(path)} cannot be read: {reason}", hint="Check the path, and that you may read the file."
    )


def corrupt(path: Path, what: str) -> errors.CorruptMedia:
    """The error for a file that is damaged: `what` goes on from its name."""
    return errors.CorruptMedia(
        f"{name_of(path)} {what}; the file is damaged or cut short",
        hint="Copy or export the file again, and try that one.",
    )


def name_of(path: Path) -> str:
    """How messages call a file: its name, without the folders that are nobody's business."""
    return path.name or str(path)


def sound_of(container: InputContainer) -> AudioStream | None:
    """The sound track that a player would choose."""
    stream = container.streams.best("audio")
    return stream if isinstance(stream, AudioStream) and _has_decoder(stream) else None


def picture_of(container: InputContainer) -> VideoStream | None:
    """The moving picture; cover art is none."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic and _has_decoder(stream):
            return stream
    return None


def _has_decoder(stream: Stream) -> bool:
    # Without a decoder PyAV has no context, which its types do not say.
    context: CodecContext | None = stream.codec_context
    return context is not None


def _check_file(path: Path) -> None:
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if stat.S_ISDIR(found.st_mode):
        raise unreadable(path, IsADirectoryError(errno.EISDIR, "is a folder"))
    if not stat.S_ISREG(found.st_mode):
        raise unreadable(path, OSError("it is a pipe or a device, not a file"))
    if found.st_size == 0:
        raise corrupt(path, "is empty")


def _begins_known(path: Path) -> bool:
    with reading(path), path.open("rb") as file:
        head = file.read(16)
    return any(head[offset:].startswith(beginnings) for offset, beginnings in _BEGINNINGS.items())


def _unsupported(path: Path) -> errors.UnsupportedFormat:
    return errors.UnsupportedFormat(
        f"{name_of(path)} is in no format that can be read", hint=f"These can be read: {READABLE}."
    )

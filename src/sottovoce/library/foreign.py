"""Sound that came from elsewhere, used where a crash would take others along: it is decoded by a child first, and only that is read here."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from sottovoce import errors
from sottovoce.library.importing import IMPORT, read_file
from sottovoce.library.track import NewTrack, Track
from sottovoce.media.draft import writing
from sottovoce.media.sandbox import Limits, decode_in_child, probe_in_child

#: Endings of containers whose name is none.
_ENDINGS: Mapping[str, str] = {"mov": ".m4a", "matroska": ".mka", "asf": ".wma"}


def read_upload(path: Path, *, title: str, seconds: float, scratch: Path) -> NewTrack:
    """An upload as a track to be filed, as `importing.read_file` reads a file of the user's own. The upload stays; a link to it lies in `scratch`.

    `title` is for a file that does not say its own. UnsupportedFormat (also for a video), CorruptMedia, or AudioTooLong past so many seconds.
    """
    limits = Limits(sound_seconds=seconds)
    info = probe_in_child(path, limits)
    if info.has_video:
        raise errors.UnsupportedFormat(
            f"{title} is a video; the library keeps sound", hint="Send its sound as an audio file."
        )
    with _decoded(path, limits, scratch) as plain:
        measured = _measured(plain, info.tags.get("title") or title)
    said = (info.tags.get(name, "").strip() for name in ("artist", "album", "genre", "comment"))
    genre = info.tags.get("genre", "").strip()[:60] or None
    linked = scratch / f"{path.name}{_ENDINGS.get(info.container, f'.{info.container}')}"
    with writing(linked):
        os.link(path, linked)
    words = ", ".join(word for word in said if word)[:1000]
    return replace(measured, audio=linked, keep_files=False, words=words, genre=genre)


@contextmanager
def trusted(track: Track, scratch: Path) -> Iterator[Path]:
    """A track's sound as a file that is safe to decode in this process; what the studio made itself is."""
    if track.kind != IMPORT:
        yield track.audio
        return
    with _decoded(track.audio, Limits(), scratch) as plain:
        yield plain


@contextmanager
def _decoded(path: Path, limits: Limits, scratch: Path) -> Iterator[Path]:
    with writing(scratch):
        scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=scratch) as folder:
        plain = Path(folder) / "sound.wav"
        decode_in_child(path, plain, limits)
        yield plain


def _measured(plain: Path, title: str) -> NewTrack:
    """What is known of the sound; an error calls it by its title, not by where it lies for the moment."""
    try:
        return read_file(plain, title=title)
    except errors.InputError as error:
        raise type(error)(error.message.replace(str(plain), title), hint=error.hint, details=error.details) from None

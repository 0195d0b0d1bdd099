"""Tags: one set of words for what each container calls differently.

Our words are lower case: title, artist, album, album_artist, composer, genre, date, track, comment, copyright, bpm, key, lyrics. Other words
are written where the container takes free ones (MP3, FLAC, Ogg, Matroska).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: What the containers call our words where FFmpeg does not translate.
_ID3 = {"bpm": "TBPM", "key": "TKEY", "lyrics": "lyrics-XXX"}
_VORBIS = {"key": "initialkey", "album_artist": "albumartist", "track": "tracknumber"}
_MP4 = {"bpm": "tmpo"}
_OURS = {
    "tbpm": "bpm",
    "tmpo": "bpm",
    "tkey": "key",
    "initialkey": "key",
    "albumartist": "album_artist",
    "tracknumber": "track",
    "lyrics-xxx": "lyrics",
    "unsyncedlyrics": "lyrics",
}
_NAMES: Mapping[str, Mapping[str, str]] = {"mp3": _ID3, "flac": _VORBIS, "ogg": _VORBIS, "opus": _VORBIS, "ipod": _MP4}
#: What containers say of themselves rather than of the music.
_OF_THE_COPY = frozenset({"encoder", "duration", "major_brand", "minor_version", "compatible_brands", "vendor_id"})
_TECHNICAL = _OF_THE_COPY | {"encoded_by", "tsse", "software", "language", "creation_time", "handler_name"}

NONE: Mapping[str, str] = MappingProxyType({})


def for_container(tags: Mapping[str, str], muxer: str) -> dict[str, str]:
    """Our tags in the words of an FFmpeg muxer; empty ones are left out, control characters become spaces."""
    names = _NAMES.get(muxer, {})
    cleaned = {key.strip().lower(): _clean(value) for key, value in tags.items()}
    return {names.get(key, key): value for key, value in cleaned.items() if key and value}


def in_our_words(*found: Mapping[str, str]) -> dict[str, str]:
    """Tags as read from a container and its streams, later ones first to yield; nothing technical."""
    tags: dict[str, str] = {}
    for some in found:
        for name, value in some.items():
            key = name.lower()
            key = _OURS.get(key, "lyrics" if key.startswith("lyrics-") else key)
            if key not in _TECHNICAL and value.strip():
                tags.setdefault(key, value)
    return tags


def kept(found: Mapping[str, str]) -> dict[str, str]:
    """What a copy of a container or stream goes on saying: all but the names of the program and brand that wrote the first one."""
    return {name: value for name, value in found.items() if name.lower() not in _OF_THE_COPY}


def _clean(value: str) -> str:
    return "".join(letter if letter in "\n\t" or letter.isprintable() else " " for letter in value).strip()

"""Taking tracks out of the library: as a file of any format with tags, its recipe beside it, its MIDI, its stems as a ZIP, many in one ZIP."""

from __future__ import annotations

import io
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO
from zipfile import ZipFile, ZipInfo

from sottovoce.audio import Stem
from sottovoce.library.files import readable
from sottovoce.library.track import Track
from sottovoce.media.decode import FileReader
from sottovoce.media.draft import draft, writing
from sottovoce.media.encode import encode, format_of
from sottovoce.media.formats import BitDepth
from sottovoce.media.probe import probe
from sottovoce.recipe import SUFFIX, beside

_BLOCK = 1 << 20
#: Longest file name without its ending, in bytes; file systems take 255 with it.
_LONGEST_NAME = 180
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\u2028\u2029]+')


def safe_name(title: str) -> str:
    """A title as a file name on any system: no separators, no control characters, no leading dot or dash, not too long."""
    plain = " ".join(_UNSAFE.sub(" ", title).split()).lstrip(".- ")
    short = plain.encode("utf-8", "ignore")[:_LONGEST_NAME].decode("utf-8", "ignore").rstrip(". ")
    return short or "track"


def unique_names(titles: Iterable[str]) -> list[str]:
    """Titles as file names, no two the same, also where capitals do not count."""
    names: dict[str, str] = {}
    for title in titles:
        plain = name = safe_name(title)
        number = 1
        while (known := unicodedata.normalize("NFC", name).casefold()) in names:
            number += 1
            name = f"{plain} {number}"
        names[known] = name
    return list(names.values())


def write_audio(
    track: Track, path: Path, *, bit_depth: BitDepth | None = None, bitrate: int | None = None
) -> tuple[Path, ...]:
    """The track in the format that the file's ending names, tagged, and its recipe beside it; the files written.

    A folder gets a file named after the title. A file that is there is replaced as a whole, or stays as it is if anything fails.
    """
    target = _named(track, path) if path.is_dir() else path
    form = format_of(target, bit_depth=bit_depth, bitrate=bitrate)
    encode(FileReader(track.audio), target, form, tags=_tags(track))
    return (target, *_write_recipe(track, beside(target)))


def write_midi(track: Track, path: Path) -> Path:
    """A copy of the track's notes, which it must have, as MIDI; the file written. A folder gets one named after the title."""
    assert track.midi is not None, "the caller looks first"
    target = path / f"{safe_name(track.title)}.mid" if path.is_dir() else path
    with draft(target) as new, writing(target):
        shutil.copyfile(track.midi, new)
    return target


def write_stems(track: Track, parts: Mapping[Stem, Path], path: Path) -> Path:
    """The stems and the recipe as one ZIP; the file written. A folder gets `<title>_stems.zip`."""
    target = path / f"{safe_name(track.title)}_stems.zip" if path.is_dir() else path
    with draft(target) as new, writing(target), new.open("wb") as file:
        for block in zip_stems(track, parts):
            file.write(block)
    return target


def zip_stems(track: Track, parts: Mapping[Stem, Path]) -> Iterator[bytes]:
    """The stems and the recipe as the bytes of a ZIP, made while they are read; nothing is held in memory or on disk."""
    name, sink = safe_name(track.title), _Sink()
    with ZipFile(sink, "w") as archive:
        for stem, path in parts.items():
            yield from _stored_file(archive, sink, f"{name}/{stem}{path.suffix}", path)
        yield from _stored_recipe(archive, sink, f"{name}/{name}", track)
    yield sink.taken()


def zip_tracks(tracks: Sequence[Track], sound: Callable[[Track], Path]) -> Iterator[bytes]:
    """Tracks, each with its recipe and notes beside it, as the bytes of a ZIP, made while they are read; `sound` gives the file of each."""
    sink = _Sink()
    with ZipFile(sink, "w") as archive:
        for track, name in zip(tracks, unique_names([track.title for track in tracks]), strict=True):
            audio = sound(track)
            yield from _stored_file(archive, sink, f"{name}{audio.suffix}", audio)
            if track.midi is not None:
                yield from _stored_file(archive, sink, f"{name}.mid", track.midi)
            yield from _stored_recipe(archive, sink, name, track)
    yield sink.taken()


class _Sink(io.RawIOBase):
    """Where a ZIP is written to and its bytes are taken from; it cannot seek, so sizes follow the data."""

    def __init__(self) -> None:
        super().__init__()
        self._blocks: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, block: object) -> int:
        data = bytes(block)  # type: ignore[call-overload]
        self._blocks.append(data)
        return len(data)

    def taken(self) -> bytes:
        data = b"".join(self._blocks)
        self._blocks.clear()
        return data


def _stored_file(archive: ZipFile, sink: _Sink, name: str, path: Path) -> Iterator[bytes]:
    with readable(path), path.open("rb") as source:
        yield from _stored(archive, sink, name, source)


def _stored_recipe(archive: ZipFile, sink: _Sink, name: str, track: Track) -> Iterator[bytes]:
    if track.recipe_json is not None:
        yield from _stored(archive, sink, f"{name}{SUFFIX}", io.BytesIO(track.recipe_json.encode()))


def _stored(archive: ZipFile, sink: _Sink, name: str, source: BinaryIO) -> Iterator[bytes]:
    entry = ZipInfo(name)
    entry.external_attr = 0o644 << 16
    with archive.open(entry, "w", force_zip64=True) as file:
        while block := source.read(_BLOCK):
            file.write(block)
            yield sink.taken()


def _named(track: Track, folder: Path) -> Path:
    """A file of the folder that is not there yet."""
    plain = folder / f"{safe_name(track.title)}{track.audio.suffix}"
    return plain.with_stem(f"{plain.stem} {track.id}") if plain.exists() else plain


def _write_recipe(track: Track, path: Path) -> tuple[Path, ...]:
    if track.recipe is None:
        return ()
    with draft(path) as new, writing(path):
        track.recipe.write(new)
    return (path,)


def _tags(track: Track) -> dict[str, str]:
    """What the file said of itself when it came, and what the library knows."""
    known = {
        "title": track.title,
        "genre": track.genre,
        "bpm": None if track.bpm is None else f"{track.bpm:.0f}",
        "key": track.key,
        "comment": track.words or None,
    }
    return probe(track.audio).tags | {name: value for name, value in known.items() if value}

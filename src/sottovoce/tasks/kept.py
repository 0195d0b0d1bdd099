"""Separations that are kept: what decides a result, and how one that was kept is found again in the format asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import av

from sottovoce.audio import Stem
from sottovoce.engines.base import EngineOptions, Run, Separator
from sottovoce.media.container import unreadable
from sottovoce.media.decode import FileReader
from sottovoce.media.encode import Format, encode
from sottovoce.progress import OnProgress
from sottovoce.version import __version__

#: Formats that hold 24 bits as they are, so that any other can be made of them.
_LOSSLESS = ("flac", "wav")
_LAYOUT = 1
_BLOCK = 1 << 20


class Slot(Protocol):
    """The place of one result, this run's alone while it is open; `notes` is what a user should know of it."""

    notes: list[str]

    def fetch(self, form: str, folder: Path) -> Mapping[str, Any] | None:
        """Copies of the files kept in a form, put into `folder`, and what was said of them; None if there are none that are whole."""

    def keep(self, form: str, files: Iterable[Path], about: Mapping[str, Any]) -> None:
        """Keep copies of files and plain values about them; where that fails it is noted."""


class Shelf(Protocol):
    """Where results are kept for the next who asks the same."""

    def slot(self, key: str, progress: OnProgress) -> AbstractContextManager[Slot]:
        """The place of a result; waits while another run has it."""


@dataclass(frozen=True)
class Stems:
    """Stems as files, and the report on them in plain values."""

    paths: Mapping[Stem, Path]
    about: Mapping[str, Any]


def key_of(
    path: Path, engine: Separator, options: EngineOptions, run: Run, *, only: Sequence[Stem], preview: float | None
) -> str:
    """A hash of everything that decides the stems but their format: the source's bytes, what decodes them, engine, model, options."""
    parts = {
        "layout": _LAYOUT,
        "sottovoce": __version__,
        "source": _sha256(path, run),
        "decoder": {"av": av.__version__, **{name: list(number) for name, number in av.library_versions.items()}},
        "engine": [engine.name, engine.version],
        "options": options.model_dump(mode="json"),
        "settled": dict(engine.settled(options, run)),
        "only": list(only),
        "preview": preview,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def state_of(path: Path) -> tuple[int, int, int]:
    """What changes when a file is written to or replaced."""
    with _readable(path):
        state = path.stat()
    return state.st_ino, state.st_size, state.st_mtime_ns


def fetched(slot: Slot, form: Format, folder: Path) -> Stems | None:
    """The stems kept in a slot, as files in `folder`: as they are, or made of those kept in a lossless format."""
    for name in dict.fromkeys((form.name, *_LOSSLESS)):
        own = name == form.name
        place = folder if own else folder / name
        about = slot.fetch(name, place)
        stems = None if about is None else Stems({Stem(s): place / f"{s}.{name}" for s in about["stems"]}, about)
        if stems is not None and (own or _as_made(stems)):
            return stems if own else _converted(stems, form, folder)
    return None


def _as_made(stems: Stems) -> bool:
    """Whether the files have the rate and channels the stems were made with; a format that cannot hold those has changed them."""
    readers = [FileReader(path) for path in stems.paths.values()]
    return {(reader.rate, reader.channels) for reader in readers} == {(stems.about["rate"], stems.about["channels"])}


def _converted(stems: Stems, form: Format, folder: Path) -> Stems:
    paths = {stem: folder / f"{stem}.{form.name}" for stem in stems.paths}
    for stem, path in paths.items():
        encode(FileReader(stems.paths[stem]), path, form)
        stems.paths[stem].unlink()
    return Stems(paths, stems.about)


def _sha256(path: Path, run: Run) -> str:
    digest = hashlib.sha256()
    with _readable(path), path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            run.report("look", 0)
    return digest.hexdigest()


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unreadable(path, error) from error

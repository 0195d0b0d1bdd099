"""Doctor: checks an installation by using it, and says how to mend what does not work."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sottovoce.audio import Audio
from sottovoce.dsp.speech import speech
from sottovoce.engines.catalog import KINDS, Kind
from sottovoce.errors import CorruptMedia, DiskFull, Internal, SottovoceError
from sottovoce.media.decode import decode
from sottovoce.media.encode import encode, format_of
from sottovoce.settings import user_file
from sottovoce.studio import Studio
from sottovoce.version import __version__

LOW_SPACE_GB = 2.0


@dataclass(frozen=True)
class Finding:
    """One thing that was checked: fine or not, what was seen, and what to do about it."""

    check: str
    fine: bool
    seen: str
    cure: str = ""


def examine(*, files: bool = False) -> Iterator[Finding]:
    """Every check in turn; a failing one does not keep the next from running. With `files` every file of the library is read."""
    yield Finding(
        "version", fine=True, seen=f"sotto {__version__}, Python {platform.python_version()}, {platform.platform()}"
    )
    try:
        studio = Studio()
    except SottovoceError as error:
        yield Finding("settings", fine=False, seen=error.message, cure=error.hint)
        return
    with studio:
        yield from (_checked(name, check, studio) for name, check in CHECKS.items())
        for kind in KINDS:
            yield from _engines(studio, kind)
        if files:
            yield _checked("files", _files, studio)


def _checked(name: str, check: Callable[[Studio], str], studio: Studio) -> Finding:
    try:
        return Finding(name, fine=True, seen=check(studio))
    except SottovoceError as error:
        return Finding(name, fine=False, seen=error.message, cure=error.hint)


def _settings(_studio: Studio) -> str:
    return (
        f"read; yours are in {user_file()}" if user_file().exists() else f"defaults; {user_file()} does not exist yet"
    )


def _library(studio: Studio) -> str:
    """Whether it opens; files that a killed process left are removed by the way."""
    page, swept = studio.library.search(limit=1), studio.library.sweep()
    tidied = f"; {len(swept)} files that no track names were removed" if swept else ""
    return f"{studio.library.folder}{'' if page.tracks else ', empty'}{tidied}"


def _files(studio: Studio) -> str:
    """Whether every file of the library has the bytes it was filed with; reads them all."""
    damaged = studio.library.damaged()
    if damaged:
        raise CorruptMedia(
            f"{len(damaged)} damaged or missing: {', '.join(damaged[:5])}",
            hint="Restore them from a backup, or `sotto library rm` their tracks.",
        )
    return "every file is as it was filed"


def _space(studio: Studio) -> str:
    free = shutil.disk_usage(studio.library.folder).free / 1e9
    if free < LOW_SPACE_GB:
        raise DiskFull(f"only {free:.1f} GB are free where the library lies")
    return f"{free:.0f} GB free"


def _sound(_studio: Studio) -> str:
    """Writes and reads one second in every format, as decoders that are there by name may still not work."""
    tone = (0.1 * np.sin(np.arange(48_000) * 2 * np.pi * 440 / 48_000)).astype(np.float32)
    second = Audio(np.stack([tone, tone]), 48_000)
    names = ("wav", "flac", "mp3", "opus", "ogg", "m4a")
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            path = Path(folder) / f"tone.{name}"
            encode(second, path, format_of(path))
            if decode(path).frames != second.frames:
                raise Internal(f"a second written as {name} is not read back at its length", hint="Please report this.")
    return f"wrote and read back {', '.join(names)}"


def _speech(_studio: Studio) -> str:
    """Whether the speech detector's model runs here."""
    return f"speech is found by {speech(np.zeros((1, 16_000), np.float32), 16_000).method}"


def _engines(studio: Studio, kind: Kind[Any]) -> Iterator[Finding]:
    """What each engine says of itself; one that is not ready is no fault, one whose package or settings are broken is."""
    try:
        engines = studio.engines.all(kind)
    except SottovoceError as error:
        yield Finding(f"{kind.title}s", fine=False, seen=error.message, cure=error.hint)
        return
    for engine in engines:
        missing = engine.unavailable()
        seen = "ready" if missing is None else f"not ready: {missing.reason}. {missing.cure}"
        yield Finding(f"{kind.title} {engine.name}", fine=True, seen=seen)


CHECKS: dict[str, Callable[[Studio], str]] = {
    "settings": _settings,
    "library": _library,
    "space": _space,
    "formats": _sound,
    "speech": _speech,
}

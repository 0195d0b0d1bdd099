"""Doctor: checks an installation by using it, and says how to mend what does not work."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sottovoce.audio import Audio
from sottovoce.dsp.speech import speech
from sottovoce.engines.catalog import KINDS, Kind
from sottovoce.errors import (
    CorruptMedia,
    DiskFull,
    Forbidden,
    Internal,
    ModelNotFound,
    OutputNotWritable,
    SottovoceError,
)
from sottovoce.library.health import flaws, missing, schema_of
from sottovoce.media.decode import decode
from sottovoce.media.encode import encode, format_of
from sottovoce.settings import user_file
from sottovoce.studio import Studio
from sottovoce.version import __version__

LOW_SPACE_GB = 2.0
_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
_LOST = "Restore them from a backup, or `sotto library rm` their tracks."


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
        yield from (checked(name, check, studio) for name, check in CHECKS.items())
        for kind in KINDS:
            yield from _engines(studio, kind)
        if files:
            yield checked("files", _files, studio)


def checked(name: str, check: Callable[[Studio], str], studio: Studio) -> Finding:
    """What one check finds."""
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


def _database(studio: Studio) -> str:
    """Whether SQLite finds it whole; opening it has brought it to the newest schema."""
    found = flaws(studio.library.database)
    if found:
        raise OutputNotWritable(
            f"the library's database is damaged: {found[0]}", hint="Restore a backup into another library.directory."
        )
    return f"whole, schema {schema_of(studio.library.database)}"


def _named(studio: Studio) -> str:
    """Whether the files that the database names are there, by their length."""
    lost = missing(studio.library)
    if lost:
        raise CorruptMedia(f"{len(lost)} files are missing or cut: {', '.join(lost[:5])}", hint=_LOST)
    return "every file is there; --files reads them too"


def _files(studio: Studio) -> str:
    """Whether every file of the library has the bytes it was filed with; reads them all."""
    damaged = studio.library.damaged()
    if damaged:
        raise CorruptMedia(
            f"{len(damaged)} damaged or missing: {', '.join(damaged[:5])}",
            hint=_LOST,
        )
    return "every file is as it was filed"


def _space(studio: Studio) -> str:
    free = shutil.disk_usage(studio.library.folder).free / 1e9
    if free < LOW_SPACE_GB:
        raise DiskFull(f"only {free:.1f} GB are free where the library lies")
    return f"{free:.0f} GB free"


def _leftovers(studio: Studio) -> str:
    """What lies in the library's folder that is no track; it goes by itself."""
    kinds = ("uploads", "scratch", "cache", "jobs")
    sizes = {kind: _bytes_in(studio.library.folder / kind) for kind in kinds}
    held = [f"{kind} {size / 1e6:.0f} MB" for kind, size in sizes.items() if size]
    return ", ".join(held) or "nothing"


def _bytes_in(folder: Path) -> int:
    """How much the files in a folder take; those that vanish while they are counted are none."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def _queue(studio: Studio) -> str:
    counts = studio.queue.counts()
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "no jobs"


def _access(studio: Studio) -> str:
    """Whether someone can administer a server that others can reach."""
    tokens, server = studio.tokens.list(), studio.settings.server
    admins = [token for token in tokens if token.role == "admin"]
    if server.host in _THIS_MACHINE and not (server.hosts or server.trusted_proxies):
        return f"the server is for this machine alone; {len(tokens)} tokens"
    if not admins and server.token_file is None:
        raise Forbidden(
            f"others can reach the server ({server.host}), and no token is an administrator's",
            hint="Run `sotto token create NAME --admin`, or set server.token_file.",
        )
    return f"others can reach the server; {len(tokens)} tokens, {len(admins)} of administrators"


def _models(studio: Studio) -> str:
    """Whether the models are whole that were begun, by the lengths of their files."""
    listed = studio.weights.models()
    begun = [one.model.name for one in listed if one.bytes_here and not one.here]
    if begun:
        raise ModelNotFound(
            f"only a part of {', '.join(begun)} is here", hint=f"`sotto models pull {begun[0]}` goes on."
        )
    here = [one.model.name for one in listed if one.here]
    return f"{', '.join(here)}; `sotto models verify` reads them" if here else "none are here, and none are needed"


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
    "database": _database,
    "named files": _named,
    "space": _space,
    "other files": _leftovers,
    "queue": _queue,
    "access": _access,
    "models": _models,
    "formats": _sound,
    "speech": _speech,
}

"""Options that several commands share, and how they become the fields of a request."""

from __future__ import annotations

import math
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sottovoce.cli.render import Bar
from sottovoce.errors import InputUnreadable, InvalidParameter
from sottovoce.progress import OnProgress

if TYPE_CHECKING:
    from sottovoce.weights.manifest import Model, ModelFile
    from sottovoce.weights.store import Consent

EngineOptions = Annotated[
    list[str] | None, typer.Option("--option", metavar="NAME=VALUE", help="An option of the engine itself; repeatable.")
]
Scenes = Annotated[
    list[str] | None,
    typer.Option(
        "--scene", metavar="SECONDS:MOOD[:WORDS]", help="From a second on, another mood; repeatable, in order."
    ),
]
BitDepth = Annotated[
    Literal["16", "24", "float"] | None, typer.Option(help="16, 24 or float, for WAV and FLAC.", show_default="24")
]
Bitrate = Annotated[int | None, typer.Option(help="kbit/s, for MP3, Opus, Ogg and M4A.")]


def given(**fields: Any) -> dict[str, Any]:
    """The options that were given: those left out are the settings' or the request's own to choose."""
    return {name: value for name, value in fields.items() if value is not None}


def parse_pairs(pairs: list[str] | None) -> dict[str, str] | None:
    """`name=value` pairs as a dict."""
    if not pairs:
        return None
    parsed = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not (name and sign):
            raise InvalidParameter(
                f"--option {pair!r}: write it as NAME=VALUE; `sotto engines NAME` lists an engine's options"
            )
        parsed[name.strip().replace("-", "_")] = value
    return parsed


def parse_scenes(scenes: list[str] | None) -> list[dict[str, Any]] | None:
    """`45:dramatic` or `45:dramatic:low strings` as fields of scenes; the mood may be empty."""
    return [_scene(text) for text in scenes] if scenes else None


def _scene(text: str) -> dict[str, Any]:
    start, sign, rest = text.partition(":")
    mood, _, words = rest.partition(":")
    try:
        seconds = float(start)
    except ValueError:
        seconds = math.nan
    if not (sign and rest and math.isfinite(seconds)):
        raise InvalidParameter(
            f"--scene {text!r}: write it as SECONDS:MOOD or SECONDS:MOOD:WORDS, such as '45:dramatic:low strings'"
        )
    return {"start": seconds, "mood": mood.strip() or None, "words": words.strip() or None}


@contextmanager
def input_file(text: str) -> Iterator[Path]:
    """The file an argument names; `-` is standard input, kept in a temporary file while it is needed."""
    if text != "-":
        yield readable_file(Path(text))
        return
    if sys.stdin.isatty():
        raise InputUnreadable("- means standard input, and that is the terminal; pipe a file into it")
    with tempfile.NamedTemporaryFile(prefix="sotto-") as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        yield Path(copy.name)


def readable_file(path: Path) -> Path:
    """The path if it is a file that can be read; InputUnreadable says what it is instead."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise InputUnreadable(f"there is no file {path}") from None
    except OSError as error:
        raise InputUnreadable(f"{path.name:.80} cannot be read: {error.strerror}", hint="Check the path.") from error
    if stat.S_ISDIR(mode):
        raise InputUnreadable(f"{path} is a folder; name a file in it")
    if not os.access(path, os.R_OK):
        raise InputUnreadable(f"{path} may not be read by you", hint=f"chmod u+r '{path}'")
    return path


def music(path: Path | None) -> dict[str, Path] | None:
    """A file of this machine as the field of a request."""
    return None if path is None else {"path": readable_file(path)}


def words_of(path: Path | None) -> str | None:
    """The text in a file; InputUnreadable if it is no text."""
    if path is None:
        return None
    try:
        return readable_file(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputUnreadable(f"{path} is no text", hint="Lyrics are plain text in UTF-8.") from None


def consent(progress: OnProgress) -> Consent | None:
    """How to ask whether a missing model may be fetched: at a terminal, beside the bar that shows the progress; elsewhere nobody is asked."""
    if not (isinstance(progress, Bar) and sys.stdin.isatty()):
        return None

    def ask(model: Model, missing: tuple[ModelFile, ...]) -> bool:
        sizes = [file.bytes for file in missing]
        size = "size told at the pull" if None in sizes else f"{sum(size or 0 for size in sizes) / 1e6:.0f} MB"
        return progress.ask(f"{model.name} is not here ({size}; {model.licence}; from {model.page}). Fetch it?")

    return ask


def notes(report: Mapping[str, Any]) -> str:
    """What a report wants its reader to know: engines passed over, and remarks."""
    skipped = [_passed_over(skip) for skip in report.get("skipped", ())]
    return "\n".join([*skipped, *report.get("notes", ())])


def _passed_over(skip: Mapping[str, str]) -> str:
    cure = f" ({skip['cure'].removesuffix('.')})" if skip.get("cure") else ""
    return f"skipped {skip['engine']}: {skip['reason']}{cure}"

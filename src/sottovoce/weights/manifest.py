"""Which files each model is made of: the manifest that is checked in, and what was learnt where it does not know.

A revision or hash that the manifest leaves open is recorded at the first pull (`Pins`) and holds from then on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sottovoce.audio import Stem

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Revision = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
#: What may be a repository or a file in one: nothing that leads out of a folder.
_PLAIN = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_NAME = rf"^{_PLAIN}(/{_PLAIN})*$"
_PINS = "pins.json"

#: What a model is for: to split music, to make it, to plan it, or as a part of others.
Use = Literal["separate", "generate", "plan", "part"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelFile(_Value):
    """A file of a model; its size in bytes and its hash where they are known."""

    name: Annotated[str, Field(pattern=_NAME)]
    bytes: Annotated[int | None, Field(ge=1)] = None
    sha256: Sha256 | None = None


class Model(_Value):
    """A model as it is published: where, at which revision, its files in order, and what to know before choosing it.

    `memory_mb` is what a run takes, `advice` one line on when to take it. Where `files` leaves open which files there are, those whose
    names match a pattern of `include` (each must match one) or `optional` are its files, as the hub lists them at the first pull. All of
    it lies in the repository's folder `folder`. `parts` are models that are needed beside it, `group` a name it can be pulled by as well,
    `about_mb` its size before it is known, `convert` says whose layout it has to be brought into after the pull. Weights under a licence
    that is `non_commercial` are fetched after an explicit yes only.
    """

    name: str
    repository: Annotated[str, Field(pattern=rf"^{_PLAIN}/{_PLAIN}$")]
    revision: Revision | None = None
    files: tuple[ModelFile, ...] = ()
    include: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    folder: Annotated[str, Field(pattern=rf"^$|{_NAME}")] = ""
    parts: tuple[str, ...] = ()
    group: str | None = None
    convert: Literal["ace-step"] | None = None
    use: Use = "separate"
    stems: tuple[Stem, ...] = ()
    licence: str
    non_commercial: bool = False
    quality: str
    memory_mb: int
    about_mb: int | None = None
    advice: str

    def listed(self, there: Iterable[ModelFile]) -> tuple[ModelFile, ...]:
        """Its files among those of the repository, in their order; none if a pattern has no match."""
        known = sorted(there, key=lambda file: file.name)
        chosen = tuple(file for file in known if _matches(file.name, (*self.include, *self.optional)))
        whole = all(any(fnmatchcase(file.name, pattern) for file in chosen) for pattern in self.include)
        return chosen if whole else ()

    @property
    def bytes(self) -> int | None:
        """Size of all files; None if one of them is not known."""
        sizes = [file.bytes for file in self.files]
        return None if None in sizes or not sizes else sum(size or 0 for size in sizes)

    @property
    def page(self) -> str:
        """Where people read about it."""
        return f"https://huggingface.co/{self.repository}"


class Pin(_Value):
    """What was found at the first pull of a repository: its revision, and files of it with what is known of them."""

    revision: Revision
    files: tuple[ModelFile, ...] = ()


@cache
def builtin() -> Mapping[str, Model]:
    """The models Sottovoce knows, by name."""
    entries = json.loads(files(__package__).joinpath("manifest.json").read_text(encoding="utf-8"))
    return {name: Model.model_validate({"name": name, **entry}) for name, entry in entries.items()}


def read_pins(folder: Path) -> dict[str, Pin]:
    """What earlier pulls into a folder recorded, by repository."""
    path = folder / _PINS
    entries = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {repository: Pin.model_validate(entry) for repository, entry in entries.items()}


def write_pins(folder: Path, pins: Mapping[str, Pin]) -> None:
    """Record them; the file is replaced as a whole."""
    text = json.dumps({name: pin.model_dump() for name, pin in sorted(pins.items())}, indent=2)
    draft = folder / f"{_PINS}.part"
    draft.write_text(text + "\n", encoding="utf-8")
    draft.replace(folder / _PINS)


def pinned(model: Model, pin: Pin | None) -> Model:
    """The model with the gaps of the manifest filled; what the manifest says is never changed."""
    if pin is None:
        return model
    known = {file.name: file for file in pin.files}
    named = model.listed(pin.files) if model.include else model.files
    filled = tuple(_filled(file, known.get(file.name)) for file in named)
    return model.model_copy(update={"revision": model.revision or pin.revision, "files": filled})


def merged(earlier: Iterable[ModelFile], found: Iterable[ModelFile]) -> tuple[ModelFile, ...]:
    """Files by name with all that either knows of them; what was known earlier is never changed."""
    files = {file.name: file for file in earlier}
    for file in found:
        files[file.name] = _filled(files.get(file.name, file), file)
    return tuple(files.values())


def is_name(text: str) -> bool:
    """Whether a text can be the name of a model's file: nothing hidden, nothing that leads out of a folder."""
    return re.fullmatch(_NAME.strip("^$"), text) is not None


def is_sha256(text: str) -> bool:
    """Whether a text is a SHA-256 in hexadecimal, as the names of large files on the hub are."""
    return re.fullmatch(r"[0-9a-f]{64}", text) is not None


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _filled(file: ModelFile, found: ModelFile | None) -> ModelFile:
    if found is None:
        return file
    return ModelFile(name=file.name, bytes=file.bytes or found.bytes, sha256=file.sha256 or found.sha256)

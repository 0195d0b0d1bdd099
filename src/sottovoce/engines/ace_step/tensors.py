"""Tensor files (safetensors) by their bytes: what is in them, and copies under other names, with no tensor ever in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

from sottovoce import errors

#: Headers of real files are below 1 MB.
_LARGEST_HEADER = 32 << 20
_PIECE = 16 << 20


@dataclass(frozen=True)
class Entry:
    """A tensor in a file: where its bytes lie, its type as the format names it (`BF16`, `F32`), and its shape."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def numbers(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)


def entries(path: Path) -> dict[str, Entry]:
    """The tensors of a file by name; ModelLoadFailed if it is damaged or cut."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(_LARGEST_HEADER, path.stat().st_size - 8):
                raise _damaged(path)
            header = json.loads(file.read(length))
        found = {name: _entry(path, 8 + length, said) for name, said in header.items() if name != "__metadata__"}
    except OSError as error:
        raise errors.ModelLoadFailed(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _damaged(path) from None
    if any(not 0 <= entry.start <= entry.end <= path.stat().st_size for entry in found.values()):
        raise _damaged(path)
    return found


def entries_of(folder: Path) -> dict[str, Entry]:
    """The tensors of all files in a folder."""
    return {name: entry for path in sorted(folder.glob("*.safetensors")) for name, entry in entries(path).items()}


def write(path: Path, tensors: dict[str, Entry], on_bytes: Callable[[int], None]) -> None:
    """A file of tensors copied from others; `on_bytes` hears how many bytes of it are written, and may raise."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, entry in tensors.items():
        size = entry.end - entry.start
        header[name] = {"dtype": entry.dtype, "shape": list(entry.shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as target:
        target.write(len(text).to_bytes(8, "little") + text)
        _copy(tensors.values(), target, on_bytes)


def _copy(tensors: Iterable[Entry], target: IO[bytes], on_bytes: Callable[[int], None]) -> None:
    done = 0
    for entry in tensors:
        with entry.path.open("rb") as source:
            source.seek(entry.start)
            left = entry.end - entry.start
            while left:
                piece = source.read(min(_PIECE, left))
                if not piece:
                    raise _damaged(entry.path)
                target.write(piece)
                left, done = left - len(piece), done + len(piece)
                on_bytes(done)


def _entry(path: Path, base: int, said: dict[str, Any]) -> Entry:
    start, end = said["data_offsets"]
    return Entry(path, str(said["dtype"]), tuple(map(int, said["shape"])), base + int(start), base + int(end))


def _damaged(path: Path) -> errors.ModelLoadFailed:
    return errors.ModelLoadFailed(f"{path} is damaged, or is no safetensors file")

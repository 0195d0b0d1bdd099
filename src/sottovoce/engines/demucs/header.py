"""What a weights file says of itself, read without running anything it names.

demucs' own loader imports and calls whatever class the metadata of a safetensors file names. Here the header is read as plain JSON, and
only the networks demucs has are let through, with plain numbers and words as their settings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from sottovoce import errors
from sottovoce.audio import Stem, parse_stem

#: The classes a weights file may name.
CLASSES = frozenset(("demucs.htdemucs.HTDemucs", "demucs.hdemucs.HDemucs", "demucs.demucs.Demucs"))
#: Headers of real files are below 100 kB.
_LARGEST_HEADER = 8 << 20
_PLAIN = (str, int, float, bool, type(None))


@dataclass(frozen=True)
class Header:
    """The network a file holds: its class by name, and what it is built with."""

    network: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @property
    def stems(self) -> tuple[Stem, ...]:
        """The stems it gives, in its own order."""
        return tuple(parse_stem(name) for name in self._sources())

    def named(self) -> Header:
        """Itself, if it says which stems it gives and they are among those there are; WeightsRefused otherwise."""
        try:
            stems = self.stems
        except (TypeError, AttributeError, ValueError) as error:
            raise errors.WeightsRefused(f"the weights file does not name its stems: {error}") from None
        if not stems or len(set(stems)) < len(stems):
            raise errors.WeightsRefused("the weights file does not name its stems one by one")
        return self

    def _sources(self) -> Sequence[str]:
        names: Sequence[str] = self.kwargs.get("sources", self.args[0] if self.args else ())
        return names


def read_header(path: Path) -> Header:
    """The header of a safetensors file; WeightsRefused for anything but one of demucs' networks, ModelLoadFailed if it is damaged."""
    metadata = _metadata(path)
    named = metadata.get("klass")
    if not isinstance(named, str) or named not in CLASSES:
        raise errors.WeightsRefused(
            f"{path.name} names {named!r} as its network; only {', '.join(sorted(CLASSES))} are loaded"
        )
    if "structure" in metadata:
        raise errors.WeightsRefused(f"{path.name} holds quantised weights, which are not loaded; use a plain model")
    args, kwargs = (_settings(path, metadata, key) for key in ("args", "kwargs"))
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise errors.WeightsRefused(f"{path.name} does not say how its network is built")
    return Header(named, tuple(args), kwargs).named()


def checked(network: str, args: Any, kwargs: Any, name: str) -> Header:
    """The same of values that were read another way."""
    if network not in CLASSES:
        raise errors.WeightsRefused(f"{name} names {network!r} as its network, which is none of demucs'")
    return Header(network, tuple(_plain(list(args), name)), _plain(dict(kwargs), name)).named()


def _metadata(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(_LARGEST_HEADER, path.stat().st_size - 8):
                raise errors.ModelLoadFailed(f"{path.name} is damaged or is no safetensors file")
            header = json.loads(file.read(length))
    except OSError as error:
        raise errors.ModelNotFound(f"{path.name} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError):
        raise errors.ModelLoadFailed(f"{path.name} is damaged: its header cannot be read") from None
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    return metadata if isinstance(metadata, dict) else {}


def _settings(path: Path, metadata: Mapping[str, Any], key: str) -> Any:
    try:
        return _decoded(json.loads(metadata[key]))
    except (KeyError, TypeError, ValueError, ZeroDivisionError, RecursionError):
        raise errors.WeightsRefused(
            f"{path.name} does not say how its network is built: {key} cannot be read"
        ) from None


def _decoded(value: Any) -> Any:
    """JSON with fractions written as demucs writes them."""
    if isinstance(value, dict):
        if value.get("_type") == "fraction":
            return Fraction(int(value["numerator"]), int(value["denominator"]))
        return {key: _decoded(item) for key, item in value.items()}
    return [_decoded(item) for item in value] if isinstance(value, list) else value


def _plain(value: Any, name: str) -> Any:
    """The value if it is made of nothing but numbers, words, lists and fractions."""
    if isinstance(value, dict):
        return {str(key): _plain(item, name) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, name) for item in value]
    if type(value) in _PLAIN or type(value) is Fraction:
        return value
    raise errors.WeightsRefused(f"{name} builds its network with a {type(value).__name__}, which is not let through")

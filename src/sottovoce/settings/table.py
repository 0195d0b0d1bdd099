"""Every setting as a line of its documentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from sottovoce.settings.section import Section
from sottovoce.settings.sections import Settings


@dataclass(frozen=True)
class Row:
    """A line of the settings' documentation."""

    key: str
    type: str
    range: str
    default: str
    meaning: str


def rows() -> Iterator[Row]:
    """Every setting, for its documentation."""
    for name, section in Settings.model_fields.items():
        assert isinstance(section.annotation, type)
        assert issubclass(section.annotation, Section)
        for key, field in section.annotation.model_fields.items():
            yield Row(f"{name}.{key}", _type(field), _range(field), _default(field), field.description or "")


def _type(field: FieldInfo) -> str:
    names: dict[object, str] = {
        bool: "yes or no",
        float: "number",
        str: "text",
        Path: "path",
        SecretStr: "secret",
        tuple: "list of engines",
    }
    return names.get(_plain(field.annotation), "word")


def _plain(annotation: Any) -> Any:
    """The bare type behind `X | None`, `Annotated[X, ...]` and `tuple[X, ...]`."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType, Annotated):
        return _plain(get_args(annotation)[0])
    return annotation if origin is None else origin


def _range(field: FieldInfo) -> str:
    if _plain(field.annotation) is Literal:
        return ", ".join(str(choice) for choice in get_args(field.annotation))
    rules = [*field.metadata]
    bounds = [getattr(rule, name) for name in ("ge", "le") for rule in rules if hasattr(rule, name)]
    return " to ".join(f"{bound:g}" for bound in bounds)


def _default(field: FieldInfo) -> str:
    if field.default is None:
        return "not set"
    if isinstance(field.default, tuple):
        return f"[{', '.join(field.default)}]"
    return str(field.default).lower() if isinstance(field.default, bool) else str(field.default)

"""Every setting as a line of its documentation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
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
    return _rows(Settings, "")


def _rows(section: type[Section], prefix: str) -> Iterator[Row]:
    for name, field in section.model_fields.items():
        key, kind = prefix + name, field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from _rows(kind, f"{key}.")
        else:
            yield Row(key, _type(field), _range(field), _default(field), field.description or "")


_NAMES: dict[object, str] = {
    bool: "yes or no",
    float: "number",
    int: "whole number",
    str: "text",
    Path: "path",
    SecretStr: "secret",
    tuple: "list",
    Literal: "word",
}


def _type(field: FieldInfo) -> str:
    kinds = [_kind(member) for member in _members(field.annotation)]
    return " or ".join(dict.fromkeys(_NAMES[kind] for kind in kinds))


def _range(field: FieldInfo) -> str:
    """Its bounds and its words, such as `1 to 256, auto`."""
    said = [_bounds(field.metadata)]
    for member in _members(field.annotation):
        if _kind(member) is Literal:
            said += [str(choice) for choice in get_args(member)]
        elif get_origin(member) is Annotated:
            said.append(_bounds(rule for one in member.__metadata__ for rule in getattr(one, "metadata", (one,))))
    return ", ".join(filter(None, said))


def _bounds(rules: Iterable[Any]) -> str:
    signs = {"gt": "above {:g}", "ge": "{:g}", "lt": "under {:g}", "le": "{:g}"}
    rules = tuple(rules)
    found = [sign.format(getattr(rule, name)) for name, sign in signs.items() for rule in rules if hasattr(rule, name)]
    return " to ".join(found)


def _members(annotation: Any) -> tuple[Any, ...]:
    """What a value may be, but None."""
    if get_origin(annotation) in (Union, UnionType):
        return tuple(member for member in get_args(annotation) if member is not NoneType)
    return (annotation,)


def _kind(annotation: Any) -> Any:
    """The bare type behind `Annotated[X, ...]` and `tuple[X, ...]`."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kind(get_args(annotation)[0])
    return annotation if origin is None else origin


def _default(field: FieldInfo) -> str:
    if field.default is None:
        return "not set"
    if isinstance(field.default, tuple):
        return f"[{', '.join(field.default)}]"
    return str(field.default).lower() if isinstance(field.default, bool) else str(field.default)

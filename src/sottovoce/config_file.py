"""A configuration file: YAML of sections, read into dotted keys and edited one key at a time.

`{"audio": {"ducking_ratio": 3}}` is `{"audio.ducking_ratio": 3}` by dotted keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sottovoce import errors
from sottovoce.media.draft import draft, writing

_SECRET = re.compile(r"(^|[._-])(api_?key|activation_?key|licen[cs]e_?key|token|password|secret)$", re.IGNORECASE)
#: What YAML writes after a value that stands alone.
_END_OF_SCALAR = "...\n"


def read(path: Path) -> dict[str, Any]:
    """The values of a file by dotted key; none if it is not there. InvalidParameter if it is malformed or holds a secret."""
    values = flat(_content(path, _text(path)))
    for key in values:
        refuse_secret(key, path)
    return values


def write(path: Path, key: str, value: Any) -> None:
    """Set one key (`section.name`), keeping everything else; the file is replaced as a whole or not at all."""
    text = _text(path)
    expected = nested(flat(_content(path, text)) | {key: value})
    changed = _line_changed(text, key, value)
    if _loaded(changed) != expected:
        changed = yaml.safe_dump(expected, sort_keys=False, allow_unicode=True)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with draft(path.resolve()) as new, writing(path):
        new.write_text(changed, encoding="utf-8")


def is_secret(key: str) -> bool:
    """Whether a key by its name holds something that others must not read."""
    return _SECRET.search(key) is not None


def refuse_secret(key: str, path: Path) -> None:
    """InvalidParameter for a secret that is to stand in a file, with the place where it belongs."""
    if is_secret(key):
        variable = "SOTTO_" + key.upper().replace(".", "__")
        raise errors.InvalidParameter(
            f"{key} is a secret and may not stand in {path}",
            hint=f"Put it in the environment as {variable}, or in a file of its own named by {key}_file.",
        )


def flat(sections: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Nested sections by dotted key; a section without content is left out."""
    values: dict[str, Any] = {}
    for name, value in sections.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            values |= flat(value, f"{key}.")
        elif prefix or value is not None:
            values[key] = value
    return values


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as nested sections; InvalidParameter if a key is both a value and a section."""
    sections: dict[str, Any] = {}
    for key, value in values.items():
        *parents, name = key.split(".")
        place: Any = sections
        for parent in parents:
            place = place.setdefault(parent, {}) if isinstance(place, dict) else None
        if not isinstance(place, dict) or isinstance(place.get(name), dict):
            raise errors.InvalidParameter(
                f"{key} is given both as a value and as a section", hint="Keep one of the two."
            )
        place[name] = value
    return sections


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except UnicodeDecodeError as error:
        raise _malformed(path, "it is not UTF-8 text") from error
    except OSError as error:
        raise errors.InputUnreadable(f"the settings in {path} cannot be read: {error.strerror}") from error


def _content(path: Path, text: str) -> dict[Any, Any]:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _malformed(path, " ".join(str(error).split())) from error
    if content is not None and not isinstance(content, dict):
        raise _malformed(path, "it holds no `section: {key: value}`")
    return content or {}


def _malformed(path: Path, why: str) -> errors.InvalidParameter:
    return errors.InvalidParameter(
        f"{path} is no settings file: {why}", hint="Mend it or move it away; docs/settings.md shows the form."
    )


def _loaded(text: str) -> object:
    """The content of a text that may have become malformed; None then."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def _line_changed(text: str, key: str, value: Any) -> str:
    """The text with one line changed or added, right where sections are written one key a line; comments stay."""
    section, name = key.split(".", 1)
    dumped = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6)
    written = f"{name}: {dumped.removesuffix(_END_OF_SCALAR).rstrip()}\n"
    head = re.search(rf"^{re.escape(section)}:[ \t]*(?:#.*)?(?:\n|\Z)", text, re.MULTILINE)
    if head is None:
        return f"{text.rstrip()}\n{section}:\n  {written}".lstrip()
    body = re.match(r"(?:[ \t]+\S.*(?:\n|\Z)|[ \t]*(?:#.*)?\n)*", text[head.end() :])
    block = body.group() if body else ""
    line = re.search(rf"^([ \t]+){re.escape(name)}:.*(?:\n|\Z)", block, re.MULTILINE)
    if line is not None:
        block_after = block[: line.start()] + line[1] + written + block[line.end() :]
    else:
        indent = re.match(r"[ \t]+(?=\S)", block)
        block_after = (indent.group() if indent else "  ") + written + block
    return text[: head.end()].removesuffix("\n") + "\n" + block_after + text[head.end() + len(block) :]

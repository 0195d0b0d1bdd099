"""The layers the settings are read from, and where each value comes from; and writing one value into the user's file."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from platformdirs import user_config_path
from pydantic import ValidationError

from sottovoce import config_file, errors
from sottovoce.settings.sections import Settings
from sottovoce.settings.table import rows

PREFIX = "SOTTO_"
PROJECT_FILE = Path("sotto.yaml")
DEFAULT = "default"
OVERRIDE = "this command"

#: Paths among the settings: in a file they are relative to its own folder.
_PATHS = (
    "library.directory",
    "audio.local_music_dir",
    "models.directory",
    "lalalai.api_key_file",
    "ace_step.api_key_file",
    "musicgen.api_key_file",
    "llm.api_key_file",
    "server.token_file",
    "client.token_file",
)


@dataclass(frozen=True)
class Loaded:
    """Settings, and for each key that is not at its default where its value comes from."""

    settings: Settings
    origins: Mapping[str, str]

    def shown(self) -> dict[str, dict[str, Any]]:
        """Every key with its `value`, ready for JSON, and `origin`; secrets are not shown."""
        values = config_file.flat(self.settings.model_dump(mode="json"))
        return {
            key: {
                "value": "(secret)" if config_file.is_secret(key) and value is not None else value,
                "origin": self.origins.get(key, DEFAULT),
            }
            for key, value in values.items()
        }


@dataclass(frozen=True)
class _Layer:
    """Values by dotted key, and the place each was read from."""

    values: Mapping[str, Any]
    origins: Mapping[str, str]


def user_file() -> Path:
    """The user's configuration file."""
    return user_config_path("sottovoce") / "config.yaml"


def load(overrides: Mapping[str, Any] | None = None, *, environ: Mapping[str, str] | None = None) -> Loaded:
    """The settings in force here and now; `overrides` are by dotted key.

    InvalidParameter names the place and the key of anything unknown, out of range, malformed, or secret in a file.
    """
    layers = [
        _file_layer(user_file()),
        _file_layer(PROJECT_FILE.absolute()),
        _environment_layer(os.environ if environ is None else environ),
        _Layer(dict(overrides or {}), dict.fromkeys(overrides or {}, OVERRIDE)),
    ]
    values = {key: value for layer in layers for key, value in layer.values.items()}
    origins = {key: origin for layer in layers for key, origin in layer.origins.items()}
    return Loaded(_validated(values, origins), origins)


def load_settings(overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings in force here and now."""
    return load(overrides).settings


def set_value(key: str, text: str) -> Any:
    """Check a value and write it into the user's file, which keeps everything else in it; the value as understood."""
    path = user_file()
    config_file.refuse_secret(key, path)
    layer, given = _file_layer(path), _parsed(text)
    if key in _PATHS and given is not None:
        given = Path(text).expanduser().absolute()
    settings = _validated({**layer.values, key: given}, {**layer.origins, key: OVERRIDE})
    value = config_file.flat(settings.model_dump(mode="json"))[key]
    config_file.write(path, key, value)
    return value


def _environment_layer(environ: Mapping[str, str]) -> _Layer:
    """`SOTTO_AUDIO__DUCKING_RATIO=3`; an empty value counts as not set."""
    found = {
        name.removeprefix(PREFIX).lower().replace("__", "."): name
        for name, value in environ.items()
        if name.startswith(PREFIX) and "__" in name and value
    }
    return _Layer({key: _parsed(environ[name]) for key, name in found.items()}, found)


def _file_layer(path: Path) -> _Layer:
    values = config_file.read(path)
    for key in _PATHS:
        if isinstance(values.get(key), str):
            values[key] = str(path.parent / Path(values[key]).expanduser())
    return _Layer(values, dict.fromkeys(values, str(path)))


def _parsed(text: str) -> Any:
    """Text from a command line or the environment: `null`, `[a, b]`, or a plain value that its field reads."""
    if text.strip().lower() == "null":
        return None
    if not text.lstrip().startswith("["):
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _validated(values: Mapping[str, Any], origins: Mapping[str, str]) -> Settings:
    try:
        return Settings.model_validate(config_file.nested(values))
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        key = next((key for key in values if f"{place}.".startswith(f"{key}.") or key.startswith(f"{place}.")), place)
        if problem["type"] == "extra_forbidden":
            raise _unknown(key, origins.get(key, OVERRIDE)) from None
        message = f"{key}: {problem['msg'].removeprefix('Value error, ')}, not {problem['input']!r}"
        raise _refused(key, message, origins.get(key, OVERRIDE)) from None


def _refused(key: str, message: str, origin: str) -> errors.InvalidParameter:
    allowed = next((f"It takes {row.range}. " for row in rows() if row.key == key and row.range), "")
    return errors.InvalidParameter(
        message + _found_in(origin), hint=f"{allowed}Change it there, or type `sotto config set {key} VALUE`."
    )


def _unknown(key: str, origin: str) -> errors.InvalidParameter:
    close = difflib.get_close_matches(key, [row.key for row in rows()], 1, cutoff=0.8)
    hint = f"Did you mean {close[0]}?" if close else "`sotto config show` lists the settings there are."
    return errors.InvalidParameter(f"no setting is called {key}{_found_in(origin)}", hint=hint)


def _found_in(origin: str) -> str:
    return "" if origin == OVERRIDE else f" (in {origin})"

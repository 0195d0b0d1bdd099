"""Owned: the settings that each owner of a token may have values of for the owner's own requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from sottovoce import config_file, errors
from sottovoce.settings.sections import Settings
from sottovoce.settings.table import Row, rows

#: What says how music is made; never where files lie, what is contacted, or how much of the machine is used.
_KEYS = frozenset(
    {
        "engines.generators", "engines.separators", "engines.mood_readers", "engines.enhancers",
        "audio.auto_music", "audio.music_source", "audio.ducking_threshold", "audio.ducking_ratio", "audio.music_volume_db",
        "audio.fade_in_seconds", "audio.fade_out_seconds",
        "ace_step.model_variant", "ace_step.num_versions", "ace_step.use_lm", "ace_step.lm_model_size",
        "musicgen.model", "musicgen.num_versions",
        "demucs.model", "demucs.overlap", "demucs.shifts", "demucs.precision",
        "lalalai.max_minutes_per_job", "library.loudness_lufs",
    }
)  # fmt: skip
#: The keys of remote engines; they can be set and never read.
SECRETS = frozenset({"lalalai.api_key"})


def owned_rows() -> Iterator[Row]:
    """The settings that owners may have values of."""
    return (row for row in rows() if row.key in _KEYS)


def owned_values(settings: Settings) -> dict[str, Any]:
    """The values of these settings by dotted key, ready for JSON."""
    values = config_file.flat(settings.model_dump(mode="json"))
    return {key: values.get(key) for key in _KEYS}


def check_owned(keys: Iterator[str]) -> None:
    """InvalidParameter for a setting that is the server's alone, or none."""
    for key in keys:
        if key not in _KEYS | SECRETS:
            raise errors.InvalidParameter(
                f"{key:.80} is no setting of your own", hint="GET /api/settings lists those that are."
            )


def layered(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """The settings with an owner's values, by dotted key, over them; InvalidParameter for one that its setting does not take."""
    if not values:
        return settings
    # One setting after the other, so that the message can name it.
    for key, value in values.items():
        section, _, name = key.partition(".")
        before = getattr(settings, section)
        try:
            after = type(before).model_validate({**_set(before), name: value})
        except ValidationError as error:
            raise _refused(key, value, error) from None
        settings = settings.model_copy(update={section: after})
    return settings


def _set(section: Any) -> dict[str, Any]:
    """The values of a section as they are, secrets and sections of third parties' engines included."""
    return {name: getattr(section, name) for name in type(section).model_fields} | (section.model_extra or {})


def _refused(key: str, value: Any, error: ValidationError) -> errors.InvalidParameter:
    said = error.errors()[0]["msg"].removeprefix("Value error, ")
    allowed = next((f"It takes {row.range}." for row in rows() if row.key == key and row.range), "")
    shown = "" if config_file.is_secret(key) else f", not {value!r:.200}"
    return errors.InvalidParameter(f"{key}: {said}{shown}", hint=allowed)

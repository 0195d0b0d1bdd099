"""Settings: what callers set for their own requests."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body

from sottovoce import errors
from sottovoce.server.answers import Json
from sottovoce.server.asked import Asker, StudioHere, check_text
from sottovoce.settings.owned import SECRETS, check_owned, layered, owned_rows, owned_values
from sottovoce.studio import Studio

router = APIRouter(prefix="/api/settings", tags=["settings"])

_LONGEST_SECRET = 400


@router.get("")
def get(studio: StudioHere, caller: Asker) -> Json:
    """Your own settings: the values in force, which of them you set, what they take; of keys only whether there is one."""
    return Json(shown(studio, caller.owner))


@router.patch("")
def change(body: Annotated[dict[str, Any], Body()], studio: StudioHere, caller: Asker) -> Json:
    """Set values by dotted key, such as `{"audio.ducking_ratio": 3}`; null goes back to the server's. All of them, or none."""
    check_text(body)
    check_owned(iter(body))
    keys = {key: _secret(key, value) for key, value in body.items() if key in SECRETS}
    values = {key: value for key, value in body.items() if key not in SECRETS}
    layered(studio.settings, {key: value for key, value in values.items() if value is not None})
    studio.preferences.change(caller.owner, values, keys)
    return Json(shown(studio, caller.owner))


def shown(studio: Studio, owner: str) -> dict[str, Any]:
    """An owner's settings, ready for JSON; secrets are not shown."""
    mine, secrets = studio.preferences.values(owner), studio.preferences.secrets(owner)
    values = owned_values(studio.settings_of(owner))
    rows = {
        row.key: {"value": values[row.key], "yours": row.key in mine, "range": row.range, "meaning": row.meaning}
        for row in owned_rows()
    }
    return {"settings": rows, "secrets": {name: name in secrets for name in sorted(SECRETS)}}


def _secret(key: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_SECRET or not value.isprintable():
        raise errors.InvalidParameter(f"{key}: must be a text of 1 to {_LONGEST_SECRET} printable characters")
    return value

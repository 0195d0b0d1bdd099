"""Settings: the only reader of environment and configuration files; one frozen value, and where each part of it comes from.

Order, the first wins: overrides (flags), `SOTTO_<SECTION>__<KEY>`, `./sotto.yaml`, the user's `config.yaml`, defaults.
"""

from __future__ import annotations

from sottovoce.settings.hub import HubPlaces, hub_places
from sottovoce.settings.layers import Loaded, load, load_settings, set_value, user_file
from sottovoce.settings.sections import Settings
from sottovoce.settings.table import Row, rows

__all__ = [
    "HubPlaces",
    "Loaded",
    "Row",
    "Settings",
    "hub_places",
    "load",
    "load_settings",
    "rows",
    "set_value",
    "user_file",
]

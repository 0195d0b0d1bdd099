"""Preferences: what owners set for their own requests, and the keys of remote engines that are theirs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Table, delete, insert, select

from sottovoce.database.connect import reading, writing
from sottovoce.database.schema import preferences, secrets


@dataclass(frozen=True)
class Preferences:
    """The values of each owner by dotted key of the settings. The database file is its owner's alone to read (mode 0600)."""

    database: Engine

    def values(self, owner: str) -> Mapping[str, Any]:
        """What an owner set."""
        with reading(self.database) as connection:
            query = select(preferences.c.key, preferences.c.json).where(preferences.c.owner == owner)
            return {key: json.loads(text) for key, text in connection.execute(query.order_by(preferences.c.key))}

    def secrets(self, owner: str) -> Mapping[str, str]:
        """An owner's keys: for the work that needs them, never to be shown."""
        with reading(self.database) as connection:
            found = connection.execute(select(secrets.c.name, secrets.c.value).where(secrets.c.owner == owner))
            return dict(found.all())

    def change(self, owner: str, values: Mapping[str, Any], keys: Mapping[str, str | None]) -> None:
        """Set values and keys; None takes one back. All of them, or none if the database refuses."""
        with writing(self.database) as connection:
            for key, value in values.items():
                fields = None if value is None else {"key": key, "json": json.dumps(value, allow_nan=False)}
                _replace(connection, preferences, owner, preferences.c.key == key, fields)
            for name, secret in keys.items():
                fields = None if secret is None else {"name": name, "value": secret}
                _replace(connection, secrets, owner, secrets.c.name == name, fields)


def _replace(
    connection: Connection, table: Table, owner: str, condition: Any, fields: Mapping[str, Any] | None
) -> None:
    connection.execute(delete(table).where(table.c.owner == owner, condition))
    if fields is not None:
        connection.execute(insert(table).values(owner=owner, **fields))

"""Which licences were accepted: those that do not allow every use are asked for before the first download."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from sottovoce.weights.manifest import Model

_FILE = "licences.json"


def accepted(folder: Path, model: Model) -> bool:
    """Whether someone said yes to the licence a model has now."""
    entry = _read(folder).get(model.name)
    return entry is not None and entry.get("licence") == model.licence


def accept(folder: Path, model: Model) -> None:
    """Record the yes; the file is replaced as a whole."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    entries = {**_read(folder), model.name: {"licence": model.licence, "accepted": at}}
    draft = folder / f"{_FILE}.part"
    draft.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    draft.replace(folder / _FILE)


def _read(folder: Path) -> dict[str, dict[str, str]]:
    path = folder / _FILE
    entries: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return entries

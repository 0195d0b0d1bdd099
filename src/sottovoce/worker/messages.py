"""What a host and its runner say to each other: one JSON object a line.

To the runner: `{"type": "run"}` with the fields of an `Order`, and `{"type": "cancel", "id"}`. From it: `{"type": "progress",
"percent", "stage", "step", "total", "eta"}`, then `{"type": "result", "outcome"}` or `{"type": "error", "error"}`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sottovoce import errors
from sottovoce.plain import plain
from sottovoce.progress import Progress


@dataclass(frozen=True)
class Order:
    """What a runner is to do: a request of a kind, with an empty folder for what it makes; `local`: paths in the request are valid.

    `settings` are its owner's, by dotted key, over those in force. `kept` is the folder of the job's memo and log, None where nobody would
    read them.
    """

    id: str
    kind: str
    request: Mapping[str, Any]
    folder: Path
    local: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    kept: Path | None = None


def line(message: Mapping[str, Any]) -> bytes:
    """A message as it goes over the pipe."""
    return json.dumps(plain(message), ensure_ascii=False, allow_nan=False).encode() + b"\n"


def order_line(order: Order) -> bytes:
    """The message that starts the work."""
    return line({"type": "run", **asdict(order)})


def order_of(message: Mapping[str, Any]) -> Order:
    """The order in a message."""
    fields = {name: value for name, value in message.items() if name != "type"}
    kept = fields["kept"] and Path(fields["kept"])
    return Order(**{**fields, "folder": Path(fields["folder"]), "kept": kept})


def progress_line(progress: Progress) -> bytes:
    """The message that says how far the work is."""
    return line({"type": "progress", **asdict(progress)})


def progress_of(message: Mapping[str, Any]) -> Progress:
    """The progress in a message."""
    return Progress(**{name: value for name, value in message.items() if name != "type"})


def error_of(fields: Mapping[str, Any]) -> errors.SottovoceError:
    """An error as a runner reported it."""
    kind = errors.catalogue().get(fields["code"], errors.Internal)
    return kind(fields["message"], hint=fields["hint"], details=dict(fields["details"]))

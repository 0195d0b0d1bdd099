"""How fast engines separate on this machine: the last measurements, kept in a small file beside the library."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from sottovoce.machine import processor

#: A shorter piece says little, since loading the model counts too: it does not replace the measurement of a longer one.
_LONG_SECONDS = 30.0


class Speed(BaseModel):
    """One measurement: seconds of sound per second of work (`times`), on a piece of `seconds`, loading included."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    engine: str
    model: str | None = None
    precision: str | None = None
    machine: str
    times: float
    seconds: float

    def __str__(self) -> str:
        return f"{self.times:.3g}x realtime" + (f" ({self.precision})" if self.precision else "")

    @property
    def place(self) -> tuple[str | None, ...]:
        """What it is a measurement of."""
        return self.engine, self.model, self.precision, self.machine


_Speeds = TypeAdapter(tuple[Speed, ...])


def measured(report: Mapping[str, Any]) -> Speed | None:
    """What a separation's report says of its speed; None where nothing was worked out, or weights of one's own were used."""
    options = report.get("options", {})
    if report.get("cached") or "speed" not in report or "sha256" in options:
        return None
    device = options.get("device", "cpu")
    return Speed(
        engine=report["engine"],
        model=report.get("model"),
        precision=options.get("precision"),
        machine=processor() if device == "cpu" else f"{processor()}, {device}",
        times=report["speed"],
        seconds=report["seconds"],
    )


def read_speeds(path: Path) -> tuple[Speed, ...]:
    """The measurements in a file; none if there is no such file, or it is damaged."""
    try:
        return _Speeds.validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return ()


def keep_speed(path: Path, speed: Speed) -> None:
    """Put a measurement in the place of an earlier one of the same, unless that one was of a longer piece."""
    known = {each.place: each for each in read_speeds(path)}
    earlier = known.get(speed.place)
    if earlier is not None and speed.seconds < min(_LONG_SECONDS, earlier.seconds):
        return
    draft = path.with_suffix(".draft.json")
    draft.write_bytes(_Speeds.dump_json(tuple({**known, speed.place: speed}.values()), indent=2))
    draft.replace(path)

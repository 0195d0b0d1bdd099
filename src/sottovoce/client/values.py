"""What a server tells of: tracks, uploads and files, with addresses in place of paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

from sottovoce.jobs.job import Job

T = TypeVar("T")


@dataclass(frozen=True)
class ServedFile:
    """A file that can be downloaded; `url` is its address on the server, `bytes` its size where that is told."""

    name: str
    url: str
    bytes: int | None = None


@dataclass(frozen=True)
class SentFile:
    """A file that was uploaded; a request names it by itself: `client.submit("separate", source=sent)`."""

    id: str
    name: str
    sha256: str
    bytes: int
    kind: str
    seconds: float
    rate: int | None
    channels: int | None
    created: str


@dataclass(frozen=True)
class ServedTrack:
    """A track in the server's library; `audio`, `midi` and `recipe` are addresses there."""

    id: str
    title: str
    kind: str
    engine: str | None
    words: str
    mood: str | None
    genre: str | None
    seconds: float
    rate: int
    channels: int
    lufs: float | None
    true_peak_db: float | None
    seed: int | None
    bpm: float | None
    key: str | None
    rating: int | None
    created: datetime
    tags: tuple[str, ...]
    stems: tuple[str, ...]
    audio: str
    sha256: str
    midi: str | None
    recipe: str | None

    @property
    def stems_zip(self) -> str:
        """The address of its stems in one file."""
        return f"/api/tracks/{self.id}/stems.zip"

    def as_dict(self) -> dict[str, Any]:
        """What surfaces show, ready for JSON."""
        return vars(self) | {
            "created": self.created.isoformat(),
            "tags": list(self.tags),
            "stems": list(self.stems),
        }


def job_of(told: Mapping[str, Any]) -> Job:
    """A job as a server tells of it."""
    return _read(Job, told)


def track_of(told: Mapping[str, Any]) -> ServedTrack:
    """A track as a server tells of it."""
    converted = {
        "created": datetime.fromisoformat(told["created"]),
        "tags": tuple(told["tags"]),
        "stems": tuple(told["stems"]),
    }
    return _read(ServedTrack, {**told, **converted})


def sent_of(told: Mapping[str, Any]) -> SentFile:
    """An upload as a server tells of it."""
    return _read(SentFile, told)


def served_of(told: Mapping[str, Any]) -> ServedFile:
    """A file as a server tells of it."""
    return _read(ServedFile, told)


def _read(kind: type[T], told: Mapping[str, Any]) -> T:
    """A value from its fields; a newer server may tell more."""
    return kind(**{field.name: told[field.name] for field in fields(kind) if field.name in told})  # type: ignore[arg-type]

"""A library in an empty folder, and tracks to put into it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from sottovoce.audio import Stem
from sottovoce.library.track import NewTrack
from sottovoce.library.tracks import Library
from sottovoce.recipe import AudioFacts, Batch, EngineUsed, Recipe, TempoPoint


class MakeTrack(Protocol):
    """A track to be filed, whose files hold the given bytes; `fields` are those of NewTrack."""

    def __call__(
        self, content: bytes = ..., *, stems: dict[str, bytes] = ..., midi: bytes | None = ..., **fields: Any
    ) -> NewTrack: ...


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """An empty library."""
    library = Library.open(tmp_path / "library")
    yield library
    library.close()


@pytest.fixture
def new(tmp_path: Path) -> MakeTrack:
    """A maker of tracks to be filed, see `MakeTrack`."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def make(
        content: bytes = b"sound", *, stems: dict[str, bytes] | None = None, midi: bytes | None = None, **fields: Any
    ) -> NewTrack:
        def file(name: str, data: bytes) -> Path:
            path = scratch / name
            path.write_bytes(data)
            return path

        facts: dict[str, Any] = {
            "title": "Night",
            "kind": "generate",
            "seconds": 60.0,
            "rate": 48_000,
            "channels": 2,
            "engine": "tone",
            "seed": 7,
        }
        return NewTrack(
            **(facts | fields),
            audio=file("take.flac", content),
            stems={Stem(name): file(f"{name}.flac", data) for name, data in (stems or {}).items()},
            midi=None if midi is None else file("take.mid", midi),
        )

    return make


@pytest.fixture
def recipe() -> Recipe:
    """How some track was made."""
    return Recipe(
        sottovoce="0.1.0",
        kind="generate",
        request={"prompt": "rainy night lofi", "mood": "calm", "genre": "jazz", "bpm": None},
        engine=EngineUsed(name="tone", version="1"),
        seed=7,
        batch=Batch(seeds=(7,)),
        device="cpu",
        cpu="some",
        libraries={},
        precision="float32",
        threads=1,
        started="2026-01-01T00:00:00+00:00",
        seconds=1.5,
        inspection={},
        audio=AudioFacts(sha256_pcm="ab" * 32, rate=48_000, channels=2, frames=96_000, lufs=-16.1, true_peak_db=-1.2),
        tempo_map=(TempoPoint(seconds=0, beat=0, bpm=78),),
        key="A minor",
    )

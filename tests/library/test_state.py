"""Whatever is done to a library, and in whatever order, it agrees with a model of a few lines."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from sottovoce import errors
from sottovoce.library.track import NewTrack
from sottovoce.library.tracks import Library

CONTENT = st.sampled_from([b"a", b"b", b"c"])
TAGS = st.sampled_from(["calm", "late night", "夜", "x"])


@dataclass
class Kept:
    """What the model knows of a track."""

    content: bytes
    title: str
    tags: set[str] = field(default_factory=set)
    rating: int | None = None


class LibraryMachine(RuleBasedStateMachine):
    ids = Bundle("ids")

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sotto-test-"))
        self.library = Library.open(self.folder / "library")
        self.model: dict[str, Kept] = {}
        self.trash: dict[str, Kept] = {}

    def teardown(self) -> None:
        if hasattr(self, "library"):
            self.library.close()
            shutil.rmtree(self.folder)

    @rule(
        target=ids, content=CONTENT, seed=st.integers(0, 2), title=st.sampled_from(["Night", "Day"]), tags=st.sets(TAGS)
    )
    def add(self, content: bytes, seed: int, title: str, tags: set[str]) -> str:
        source = self.folder / "take.flac"
        source.write_bytes(content)
        facts = {"kind": "generate", "seconds": 1.0, "rate": 48_000, "channels": 2, "engine": "tone"}
        track = self.library.add(NewTrack(title=title, audio=source, seed=seed, tags=tuple(tags), **facts))  # type: ignore[arg-type]
        self.model[track.id] = self.model.get(track.id) or self.trash.pop(track.id, Kept(content, title))
        self.model[track.id].tags |= tags
        return track.id

    @rule(track=ids, tags=st.lists(TAGS, min_size=1))
    def tag(self, track: str, tags: list[str]) -> None:
        if self.there(track, lambda: self.library.tag(track, *tags)):
            self.model[track].tags |= set(tags)

    @rule(track=ids, tag=TAGS)
    def untag(self, track: str, tag: str) -> None:
        if self.there(track, lambda: self.library.untag(track, tag)):
            self.model[track].tags -= {tag}

    @rule(track=ids, stars=st.one_of(st.none(), st.integers(1, 5)))
    def rate(self, track: str, stars: int | None) -> None:
        if self.there(track, lambda: self.library.rate(track, stars)):
            self.model[track].rating = stars

    @rule(track=ids, title=st.sampled_from(["Rain", "Snow"]))
    def rename(self, track: str, title: str) -> None:
        if self.there(track, lambda: self.library.rename(track, title)):
            self.model[track].title = title

    @rule(track=consumes(ids))
    def remove(self, track: str) -> None:
        if self.there(track, lambda: self.library.remove(track)):
            del self.model[track]

    @rule(track=ids)
    def put_in_trash(self, track: str) -> None:
        if self.there(track, lambda: self.library.trash(track)):
            self.trash[track] = self.model.pop(track)

    @rule(track=ids)
    def restore(self, track: str) -> None:
        if track in self.trash:
            self.model[track] = self.trash.pop(track)
        self.there(track, lambda: self.library.restore(track))

    @rule(old=st.booleans())
    def empty_trash(self, old: bool) -> None:
        self.library.empty_trash(**({"kept_seconds": 0.0} if old else {}))
        if old:
            self.trash.clear()

    @rule()
    def sweep(self) -> None:
        assert self.library.sweep() == ()

    @rule()
    def reopen(self) -> None:
        self.library.close()
        self.library = Library.open(self.folder / "library")

    def there(self, track: str, act: object) -> bool:
        """Do something to a track; one that was removed must be said to be unknown."""
        assert callable(act)
        if track in self.model:
            act()
            return True
        with pytest.raises(errors.TrackNotFound):
            act()
        return False

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "library"):
            return
        found = {
            track.id: Kept(track.audio.read_bytes(), track.title, set(track.tags), track.rating)
            for track in self.library.search().tracks
        }
        assert found == self.model
        tagged = {track.id for track in self.library.search(text="calm").tracks}
        assert tagged == {track for track, kept in self.model.items() if "calm" in kept.tags}
        contents = [path.read_bytes() for path in (self.library.folder / "audio").rglob("*.flac")]
        assert sorted(contents) == sorted({kept.content for kept in (*self.model.values(), *self.trash.values())})


TestLibrary = pytest.mark.long(LibraryMachine.TestCase)
TestLibrary.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)

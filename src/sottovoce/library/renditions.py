"""What can be made of a track again at any time, such as its sound in another format: made when first asked for, kept while it is used."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from sottovoce.library.export import write_audio
from sottovoce.library.foreign import trusted
from sottovoce.library.track import Track
from sottovoce.media.draft import writing
from sottovoce.media.formats import format_of

#: What was not used for so long is deleted.
KEPT_SECONDS = 72 * 3600.0


@dataclass(frozen=True)
class Renditions:
    """Renditions in `folder`. Several threads may ask at once; each is made once."""

    folder: Path
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def get(self, track: Track, form: str) -> Path:
        """The track as a file of that format (mp3, wav, ...); UnsupportedFormat lists the ones there are."""
        wanted = format_of(Path(f"track.{form}")).name
        if track.audio.suffix == f".{wanted}":
            return track.audio

        def write(sound: Path, new: Path) -> None:
            write_audio(replace(track, audio=sound), new)

        return self.kept(track, f"{_key(track)}.{wanted}", write)

    def kept(self, track: Track, name: str, write: Callable[[Path, Path], object]) -> Path:
        """The file of that name, which says what it depends on. Where it is not there yet, `write` is given the track's sound and a new file."""
        made = self.folder / name
        with self._lock:
            if not made.exists():
                self._sweep()
                self._make(track, made, write)
            os.utime(made)
        return made

    def _make(self, track: Track, made: Path, write: Callable[[Path, Path], object]) -> None:
        with writing(made):
            self.folder.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(prefix=".", dir=self.folder) as scratch,
            trusted(track, Path(scratch)) as sound,
        ):
            new = Path(scratch) / made.name
            with writing(made):
                write(sound, new)
                new.replace(made)

    def _sweep(self) -> None:
        for path in self.folder.glob("*"):
            if time.time() - path.stat().st_mtime <= KEPT_SECONDS:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _key(track: Track) -> str:
    """What a rendition depends on: the sound, and what its tags say."""
    facts = (track.sha256, track.title, track.genre, track.bpm, track.key, track.words)
    return hashlib.sha256("\n".join(map(str, facts)).encode("utf-8", "replace")).hexdigest()[:32]

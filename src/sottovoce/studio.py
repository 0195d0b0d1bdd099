"""Studio: where settings, engines, library and tasks meet; every surface runs its requests here."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

from sottovoce import errors
from sottovoce.audio import Stem
from sottovoce.dsp.inspect import Inspection, inspect
from sottovoce.engines.catalog import GENERATORS, MOOD_READERS, SEPARATORS, Catalog
from sottovoce.library.track import NewTrack, Track, made
from sottovoce.library.tracks import Library
from sottovoce.machine import cores
from sottovoce.media.decode import FileReader
from sottovoce.media.draft import writing
from sottovoce.media.formats import format_of
from sottovoce.progress import OnProgress, ignore, within
from sottovoce.recipe import Recipe, read_recipe
from sottovoce.settings import Settings, load_settings
from sottovoce.tasks import TASKS
from sottovoce.tasks.outcome import MadeTrack, Outcome, TaskRun
from sottovoce.tasks.request import LocalFile, Request, Source, TrackRef, validate

R = TypeVar("R", bound=Request)


@dataclass(frozen=True)
class Done:
    """What came of a request: its report, the tracks filed, and the stems and files it left in the folder asked for."""

    kind: str
    report: Mapping[str, Any]
    tracks: tuple[Track, ...] = ()
    stems: Mapping[Stem, Path] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)


class Studio:
    """The studio on this machine. Use it as a context, or call `close`."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or load_settings()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    @cached_property
    def engines(self) -> Catalog:
        """The engines, in the user's order."""
        return Catalog(orders=self._orders(), configs=self._sections())

    @cached_property
    def library(self) -> Library:
        """The tracks, opened when first asked for."""
        return Library.open(self.settings.library_folder(), self.settings.library.database_url)

    def request(self, kind: type[R], fields: Mapping[str, Any]) -> R:
        """A request of this machine's own user: the fields given, and the settings' values for those that are not."""
        return validate(kind, {**self._defaults(kind), **fields}, local=True)

    def run(self, request: Request, progress: OnProgress = ignore, *, into: Path | None = None) -> Done:
        """Do a request now: tracks go into the library, other stems and files into the folder `into`."""
        with self._scratch() as scratch:
            run = TaskRun(within(progress, 0, 98), threads=cores(), scratch=scratch, locate=self.locate)
            outcome = TASKS[request.kind].function(request, self.engines, run)
            run.report("publish", 100)
            return self.publish(outcome, getattr(request, "source", None), into)

    def publish(self, outcome: Outcome, source: Source | None, into: Path | None) -> Done:
        """File the tracks and the stems of a library track; move everything else into its folder."""
        tracks = tuple(self.library.add(_new_track(track)) for track in outcome.tracks)
        stems: Mapping[Stem, Path] = outcome.stems
        if stems and isinstance(source, TrackRef):
            engine = outcome.report["engine"]
            self.library.add_stems(source.track, stems, engine=engine)
            stems = {stem: path for stem, path in self.library.stems(source.track, engine).items() if stem in stems}
        else:
            stems = {stem: _deliver(path, into) for stem, path in stems.items()}
        files = {name: _deliver(path, into) for name, path in outcome.files.items()}
        return Done(outcome.kind, outcome.report, tracks, stems, files)

    def replay(self, recipe: Recipe, progress: OnProgress = ignore) -> Done:
        """Make a track again as its recipe says, with the same engine and seed."""
        if recipe.kind not in TASKS:
            raise errors.InvalidParameter(f"a recipe of kind {recipe.kind!r} cannot be replayed; it says where a file came from")
        fields = recipe.request | {"engine": recipe.engine.name, "seed": recipe.seed, "versions": 1}
        return self.run(validate(TASKS[recipe.kind].request, fields, local=True), progress)

    def inspect(self, path: Path) -> Inspection:
        """The checks every output passes, for any file."""
        return inspect(FileReader(path))

    def recipe(self, name: str) -> Recipe:
        """The recipe in a file, or of the track with that id."""
        path = Path(name)
        if path.is_file():
            try:
                return read_recipe(path)
            except ValueError as error:
                raise errors.InvalidParameter(f"{path} is no recipe of this version: {error}") from None
        recipe = self.library.get(name).recipe
        if recipe is None:
            raise errors.InvalidParameter(f"track {name} was imported, so it has no recipe")
        return recipe

    def locate(self, source: Source) -> Path:
        """Where a source lies on this machine."""
        if isinstance(source, LocalFile):
            return source.path
        if isinstance(source, TrackRef):
            return self.library.get(source.track).audio
        raise errors.UploadNotFound(f"there is no upload {source.upload}")

    def close(self) -> None:
        """Give back what the engines and the library hold."""
        for part in ("engines", "library"):
            if part in self.__dict__:
                self.__dict__.pop(part).close()

    def _orders(self) -> dict[str, tuple[str, ...]]:
        engines = self.settings.engines
        return {
            GENERATORS.group: engines.generators,
            SEPARATORS.group: engines.separators,
            MOOD_READERS.group: engines.mood_readers,
        }

    def _sections(self) -> dict[str, Mapping[str, Any]]:
        """What each engine's Config is read from: the section it names."""
        return {"audio": self.settings.audio.model_dump(), **self.settings.engine_sections()}

    def _defaults(self, kind: type[Request]) -> dict[str, Any]:
        """The settings' values for the fields of the same name."""
        sections = {**self.settings.audio.model_dump(), "loudness": self.settings.library.loudness_lufs}
        return {name: value for name, value in sections.items() if name in kind.model_fields and value is not None}

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """A folder of this run's own beside the library's files, gone afterwards whatever happens."""
        place = self.settings.library_folder() / "scratch"
        with writing(place):
            place.mkdir(parents=True, exist_ok=True)
            _sweep(place)
            folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=place))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def check_output(path: Path, *, bit_depth: str | None = None, bitrate: int | None = None) -> None:
    """Before any work: whether a file of that name can be written, in the format its ending names."""
    format_of(path, bit_depth=bit_depth, bitrate=bitrate)
    if path.is_dir():
        raise errors.OutputNotWritable(f"{path} is a folder", hint="Name a file in it.")
    if not path.absolute().parent.is_dir():
        raise errors.OutputNotWritable(f"there is no folder {path.absolute().parent}", hint=f"mkdir -p '{path.absolute().parent}'")
    check_folder(path.absolute().parent)


def check_folder(folder: Path) -> None:
    """Before any work: whether files can be put into the folder, or it can be made."""
    there = next(place for place in [folder, *folder.absolute().parents] if place.exists())
    if not there.is_dir():
        raise errors.OutputNotWritable(f"{there} is a file, so nothing can be put into {folder}", hint="Choose another place with -o.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise errors.OutputNotWritable(f"{there} may not be written to", hint="Choose another place with -o.")


def _new_track(track: MadeTrack) -> NewTrack:
    return made(track.title, track.audio, track.recipe, stems=track.stems, midi=track.midi, tags=track.tags)


def _deliver(path: Path, into: Path | None) -> Path:
    """Move a finished file into a folder under its own name, by a rename, so that no half of it is ever seen."""
    if into is None:
        raise errors.InvalidParameter("this request leaves files, so it needs a folder to put them in")
    target = into / path.name
    with writing(target):
        into.mkdir(parents=True, exist_ok=True)
        try:
            return path.replace(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        part = target.with_name(f".{target.name}.part")
        try:
            shutil.copyfile(path, part)
            return part.replace(target)
        finally:
            part.unlink(missing_ok=True)


def _sweep(place: Path) -> None:
    """Remove the scratch folders of processes that are gone."""
    for folder in place.iterdir():
        owner = folder.name.partition("-")[0]
        if owner.isdigit() and not _alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

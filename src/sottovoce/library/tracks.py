"""Library: the tracks someone owns, in one folder; files first, rows after, so that nothing half-written is ever listed.

Reading and writing audio (PyAV, scipy) is imported by the methods that do it: a list of tracks answers without.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, delete, select, update

from sottovoce import errors
from sottovoce.audio import Stem
from sottovoce.database.connect import open_database, reading, writing
from sottovoce.database.schema import files, stems, tags, tracks
from sottovoce.library import rows
from sottovoce.library.files import FileStore, Staged
from sottovoce.library.search import Page, cursor, parse_query, statement
from sottovoce.library.track import NewTrack, Track, clean_rating, clean_tag, clean_title
from sottovoce.media.formats import BitDepth

#: How long a track stays in the trash, from where it can be restored.
TRASH_SECONDS = 3600.0


class Library:
    """Tracks in `folder`, their rows in `database`. Several processes and threads may use one folder at once.

    Every method raises TrackNotFound for an id it does not have, and StorageErrors where the disk or the database refuse.
    """

    def __init__(self, database: Engine, folder: Path) -> None:
        self.folder = folder
        self._database = database
        self._files = FileStore(folder)

    @classmethod
    def open(cls, folder: Path, database_url: str | None = None) -> Library:
        """The library in a folder, made if it is not there."""
        folder = folder.expanduser().absolute()
        return cls(open_database(folder, database_url), folder)

    @property
    def database(self) -> Engine:
        """The database its rows are in; what else belongs to the library is kept there too."""
        return self._database

    def close(self) -> None:
        """Give the database's connections back."""
        self._database.dispose()

    def add(self, new: NewTrack) -> Track:
        """File a track: its files are put in place, then its rows are committed at once.

        The same sound by the same engine and seed is filed once: adding it again returns the track there is, out of the trash too, with the
        stems, MIDI and tags that it lacked.
        """
        title, tagged = clean_title(new.title), [clean_tag(tag) for tag in new.tags]
        parts: dict[str, Path] = {"audio": new.audio} | {str(stem): path for stem, path in new.stems.items()}
        if new.midi is not None:
            parts["midi"] = new.midi
        staged = self._staged(parts, keep=new.keep_files)
        track = new.identity(staged["audio"].sha256)
        with self._filing(track, list(staged.values())) as connection:
            number = rows.put_track(connection, replace(new, title=title), track, staged)
            rows.put_stems(connection, number, new.engine or new.kind, {stem: staged[stem] for stem in new.stems})
            rows.put_tags(connection, number, tagged)
        return self.get(track)

    def get(self, track: str) -> Track:
        """One track by its id."""
        with reading(self._database) as connection:
            found = connection.execute(select(tracks).where(tracks.c.id == track, rows.KEPT)).mappings().all()
            if not found:
                raise _missing(connection, track)
            return rows.read_tracks(connection, found, self.folder)[0]

    def file(self, sha256: str) -> Path | None:
        """The file with that content, if it is here."""
        return self._files.find(sha256)

    def search(self, **fields: Any) -> Page:
        """A page of the tracks that fit: `fields` are those of `search.Query`; without any, the newest fifty."""
        query = parse_query(fields)
        with reading(self._database) as connection:
            found = connection.execute(statement(query)).mappings().all()
            shown = found[: query.limit]
            after = cursor(shown[-1]["place"], shown[-1]["number"]) if len(found) > query.limit else None
            return Page(rows.read_tracks(connection, shown, self.folder), after)

    def rename(self, track: str, title: str) -> Track:
        """Give a track another title."""
        return self._update(track, title=clean_title(title))

    def rate(self, track: str, stars: int | None) -> Track:
        """Give a track 1 to 5 stars, or none."""
        return self._update(track, rating=clean_rating(stars))

    def tag(self, track: str, *names: str) -> Track:
        """Add tags; those it has already stay."""
        cleaned = [clean_tag(name) for name in names]
        with writing(self._database) as connection:
            rows.put_tags(connection, _number(connection, track), cleaned)
        return self.get(track)

    def untag(self, track: str, *names: str) -> Track:
        """Take tags away; those it does not have are no error."""
        cleaned = [clean_tag(name) for name in names]
        with writing(self._database) as connection:
            number = _number(connection, track)
            connection.execute(delete(tags).where(tags.c.track == number, tags.c.name.in_(cleaned)))
        return self.get(track)

    def add_stems(self, track: str, parts: Mapping[Stem, Path], *, engine: str, keep_files: bool = False) -> Track:
        """File stems of a track that a separator made; they replace those by the same engine and name."""
        split = self._staged(parts, keep=keep_files)
        with self._filing(track, list(split.values())) as connection:
            rows.put_stems(connection, _number(connection, track), engine, split)
        return self.get(track)

    def stems(self, track: str, engine: str | None = None) -> dict[Stem, Path]:
        """The files of a track's stems by one engine; without a name its own generator's, else those of the first there is."""
        with reading(self._database) as connection:
            chosen = (
                select(stems.c.engine, stems.c.name, files.c.path)
                .join(files, files.c.sha256 == stems.c.file)
                .where(stems.c.track == _number(connection, track))
                .order_by(stems.c.engine, stems.c.name)
            )
            found = connection.execute(chosen).all()
            maker = connection.scalar(select(tracks.c.engine).where(tracks.c.id == track))
        makers = [row.engine for row in found]
        wanted = engine or (maker if maker in makers else next(iter(makers), None))
        return {Stem(row.name): self._files.locate(row.path) for row in found if row.engine == wanted}

    def export(
        self, track: str, path: Path, *, bit_depth: BitDepth | None = None, bitrate: int | None = None
    ) -> tuple[Path, ...]:
        """Write a track in the format that the file's ending names, with its recipe beside it; the files written."""
        from sottovoce.library.export import write_audio

        return write_audio(self.get(track), path, bit_depth=bit_depth, bitrate=bitrate)

    def export_midi(self, track: str, path: Path) -> Path:
        """Write a track's notes as a MIDI file, or into a folder; the file written. StemNotFound if it has none."""
        from sottovoce.library.export import write_midi

        found = self.get(track)
        if found.midi is None:
            raise errors.StemNotFound(f"{found.title!r} has no notes to write; only composed tracks have")
        return write_midi(found, path)

    def export_stems(self, track: str, path: Path, engine: str | None = None) -> Path:
        """Write a track's stems and recipe as a ZIP file, or into a folder; the file written. StemNotFound if it has none."""
        from sottovoce.library.export import write_stems

        found, parts = self.get(track), self.stems(track, engine)
        if not parts:
            raise errors.StemNotFound(f"{found.title!r} has no stems", hint=f"Make some: `sotto separate {track}`.")
        return write_stems(found, parts, path)

    def music_files(self, paths: Iterable[Path]) -> list[Path]:
        """The files among paths, and the music files in the folders among them; InputUnreadable for a folder without any."""
        from sottovoce.library.importing import files_in

        return [file for path in paths for file in files_in(path)]

    def import_file(self, path: Path, *, title: str | None = None, tags: Iterable[str] = ()) -> Track:
        """Copy a file of music into the library and measure it; the same bytes are the same track."""
        from sottovoce.library.importing import read_file

        return self.add(read_file(path, title=title, tags=tags))

    def remove(self, track: str) -> None:
        """Delete a track for good; its files go too unless another track names them."""
        with writing(self._database) as connection:
            named = rows.files_of(connection, track)
            connection.execute(delete(tracks).where(tracks.c.number == _number(connection, track)))
        self._forget(named)

    def trash(self, track: str) -> None:
        """Delete a track so that it can be restored: until the trash is emptied of it only `restore` and `add` know it."""
        with writing(self._database) as connection:
            _number(connection, track)
            rows.put_trashed(connection, track, datetime.now(UTC))

    def restore(self, track: str) -> Track:
        """Take a track out of the trash, as it was; one that is not there stays as it is."""
        with writing(self._database) as connection:
            if not rows.put_trashed(connection, track, None):
                raise _missing(connection, track)
        return self.get(track)

    def empty_trash(self, kept_seconds: float = TRASH_SECONDS) -> None:
        """Delete for good what was in the trash for so long, files too."""
        before = datetime.now(UTC) - timedelta(seconds=kept_seconds)
        with writing(self._database) as connection:
            if rows.drop_trashed(connection, before):
                for path in rows.forget_unused(connection):
                    self._files.discard(path)

    def sweep(self) -> tuple[str, ...]:
        """Delete files that no row names, such as a killed process leaves; their paths in the library."""
        with writing(self._database) as connection:
            unused = rows.forget_unused(connection)
            gone = sorted({*unused, *self._files.leftovers(rows.known_paths(connection))})
            for path in gone:
                self._files.discard(path)
        return tuple(gone)

    def damaged(self) -> tuple[str, ...]:
        """Paths of files that are missing or whose bytes have changed; reads every file."""
        with reading(self._database) as connection:
            known = connection.execute(select(files.c.path, files.c.sha256).order_by(files.c.path)).all()
        return tuple(path for path, sha256 in known if not self._files.intact(path, sha256))

    def _staged(self, parts: Mapping[Any, Path], *, keep: bool) -> dict[Any, Staged]:
        staged: dict[Any, Staged] = {}
        try:
            for name, path in parts.items():
                staged[name] = self._files.stage(path, keep=keep)
        except BaseException:
            for file in staged.values():
                self._files.drop_copy(file)
            raise
        return staged

    @contextmanager
    def _filing(self, track: str, staged: Sequence[Staged]) -> Iterator[Connection]:
        """A transaction that puts files in place and rows for them; afterwards those that no row names are gone again.

        Files are placed while the write lock is held, so that no other process takes one for unused.
        """
        placed: set[str] = set()
        try:
            with writing(self._database) as connection:
                before = rows.files_of(connection, track)
                for file in {file.sha256: file for file in staged}.values():
                    placed.add(file.sha256)
                    self._files.place(file, rows.put_file(connection, file))
                yield connection
                unused = (before | placed) - rows.files_of(connection, track)
        except BaseException:
            self._undo(staged, placed)
            raise
        self._forget(unused)

    def _undo(self, staged: Sequence[Staged], placed: set[str]) -> None:
        """After a failure: copies and placed files go, to give the space back, unless another track names the same bytes."""
        for file in staged:
            self._files.drop_copy(file)
        if not placed:
            return
        with writing(self._database) as connection:
            known = rows.known_paths(connection)
            for file in staged:
                if file.path not in known:
                    self._files.discard(file.path)

    def _forget(self, named: set[str]) -> None:
        if not named:
            return
        with writing(self._database) as connection:
            for path in rows.forget_unused(connection, named):
                self._files.discard(path)

    def _update(self, track: str, **values: object) -> Track:
        with writing(self._database) as connection:
            number = _number(connection, track)
            connection.execute(update(tracks).where(tracks.c.number == number).values(**values))
        return self.get(track)


def _number(connection: Connection, track: str) -> int:
    number = rows.number_of(connection, track)
    if number is None:
        raise _missing(connection, track)
    return number


def _missing(connection: Connection, track: str) -> errors.TrackNotFound:
    if rows.is_trashed(connection, track):
        hint = f"For an hour after that, POST /api/tracks/{track}/restore brings it back."
        return errors.TrackNotFound(f"track {track} was deleted", hint=hint)
    return errors.TrackNotFound(f"the library has no track {track!r}")

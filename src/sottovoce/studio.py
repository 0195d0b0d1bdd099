"""Studio: where settings, engines, library and tasks meet; every surface runs its requests here."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from sottovoce import errors
from sottovoce.jobs.queue import Queue
from sottovoce.library.cache import Cache
from sottovoce.library.preferences import Preferences
from sottovoce.library.tokens import Tokens
from sottovoce.library.tracks import Library
from sottovoce.library.uploads import Uploads
from sottovoce.machine import cores
from sottovoce.places import check_apart, check_place, clip_tag, deliver, scratch_folder
from sottovoce.progress import OnProgress, Progress, ignore, rising, within
from sottovoce.settings import Settings, hub_places, load_settings
from sottovoce.settings.owned import layered
from sottovoce.speeds import Speed, keep_speed, measured, read_speeds

# Tasks and engines bring in numpy, scipy and PyAV, which a list of tracks does without: they are imported by the methods that use them.
if TYPE_CHECKING:
    from sottovoce.audio import Stem
    from sottovoce.dsp.inspect import Inspection
    from sottovoce.engines.base import Memo
    from sottovoce.engines.catalog import Catalog
    from sottovoce.jobs.job import Job, Lane
    from sottovoce.library.track import NewTrack, Track
    from sottovoce.recipe import Recipe
    from sottovoce.tasks.outcome import MadeTrack, Outcome
    from sottovoce.tasks.request import KnownFile, Request, Source, TrackRef
    from sottovoce.tasks.score import Score
    from sottovoce.weights.store import Consent, Store

R = TypeVar("R", bound="Request")

#: What engines are never told of their settings: keys come with a run.
_KEYS = {"api_key", "api_key_file"}
NOWHERE: Mapping[str, Path] = MappingProxyType({})


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
        #: Asked before a missing model is fetched in the course of other work, where `models.pull` is `ask`.
        self.consent: Consent | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    @cached_property
    def engines(self) -> Catalog:
        """The engines, in the user's order."""
        from sottovoce.engines.catalog import Catalog

        return Catalog(orders=self._orders(), configs=self._sections(), weights=self.weights)

    @cached_property
    def weights(self) -> Store:
        """The model files on this machine."""
        from sottovoce.weights.download import HUB, Hub
        from sottovoce.weights.store import Store

        models, hub = self.settings.models, hub_places()
        return Store(
            self.settings.models_folder(),
            offline=models.offline or hub.offline,
            pull_policy=models.pull,
            hub=Hub(hub.endpoint or HUB),
            caches=(hub.cache,),
            consent=lambda model, missing: self.consent is not None and self.consent(model, missing),
        )

    @cached_property
    def library(self) -> Library:
        """The tracks, opened when first asked for."""
        return Library.open(self.settings.library_folder(), self.settings.library.database_url)

    @cached_property
    def queue(self) -> Queue:
        """What is to be done, is being done and was done."""
        return Queue(self.library.database, max_pending=self.settings.jobs.max_pending)

    @cached_property
    def tokens(self) -> Tokens:
        """Who may use this studio's server."""
        return Tokens(self.library.database)

    @cached_property
    def preferences(self) -> Preferences:
        """What owners set for their own requests."""
        return Preferences(self.library.database)

    def settings_of(self, owner: str) -> Settings:
        """The settings for an owner's requests."""
        return layered(self.settings, self.owned(owner))

    def owned(self, owner: str) -> Mapping[str, Any]:
        """What an owner set, by dotted key; keys of remote engines too, so never to be shown."""
        return {**self.preferences.values(owner), **self.preferences.secrets(owner)}

    @cached_property
    def uploads(self) -> Uploads:
        """Files that came in over HTTP."""
        return Uploads(self.library.database, self.settings.library_folder() / "uploads")

    @cached_property
    def cache(self) -> Cache:
        """Separations that are kept for a while."""
        return Cache(self.settings.library_folder() / "cache")

    def request(
        self, kind: type[R], fields: Mapping[str, Any], *, local: bool = True, settings: Settings | None = None
    ) -> R:
        """A request: the fields given, and the settings' values for those that are not; `settings` are an owner's.

        Paths are this machine's own user's (`local`) to name.
        """
        from sottovoce.tasks.request import validate

        return validate(kind, {**_defaults(settings or self.settings, kind, fields), **fields}, local=local)

    def run(
        self,
        request: Request,
        progress: OnProgress = ignore,
        *,
        into: Path | None = None,
        files: Mapping[str, Path] = NOWHERE,
    ) -> Done:
        """Do a request now: tracks go into the library, other stems into the folder `into`, files to the paths given by name."""
        self.cache.sweep()
        with scratch_folder(self.settings.library_folder() / "scratch") as scratch:
            outcome = self.perform(request, within(rising(progress), 0, 98), scratch)
            progress(Progress("publish", 98))
            return self.publish(outcome, getattr(request, "source", None), into, files)

    def perform(self, request: Request, progress: OnProgress, scratch: Path, *, memo: Memo | None = None) -> Outcome:
        """Do a request and leave what was made in the folder `scratch`: nothing is filed before `publish`.

        `memo` is what an earlier attempt left for remote engines; without one nobody takes the work up again.
        """
        from threadpoolctl import threadpool_limits

        from sottovoce.engines.base import ForgetfulMemo
        from sottovoce.tasks import TASKS
        from sottovoce.tasks.outcome import TaskRun

        run = TaskRun(
            progress,
            threads=cores(),
            credentials=self.settings.credentials(),
            memo=ForgetfulMemo() if memo is None else memo,
            scratch=scratch,
            locate=self.locate,
            shelf=self.cache,
        )
        # The same sums in the same order give the same bits; and the products are small, so that waiting threads only spin.
        with threadpool_limits(1, user_api="blas"):  # type: ignore[no-untyped-call]
            outcome = TASKS[request.kind].function(self._with_take(request), self.engines, run)
        speed = measured(outcome.report)
        if speed is not None:
            keep_speed(self._speed_file, speed)
        return outcome

    def score(self, request: Score, output: Path, progress: OnProgress = ignore, *, plot: Path | None = None) -> Done:
        """Score a clip into the file `output`, and draw the plot if it is asked for."""
        path = self.locate(request.source)
        if request.format is None and output.suffix:
            request = request.model_copy(update={"format": output.suffix[1:].lower()})
        for target in [output, *([plot] if plot else [])]:
            check_place(target)
            check_apart(target, path)
        return self.run(request, progress, files={"output": output, **({"plot": plot} if plot else {})})

    def _with_take(self, request: Request) -> Request:
        """A score that asks for an earlier take, with that take as its music."""
        from sottovoce.tasks.score import Score

        if not isinstance(request, Score) or request.take is None or request.music is not None:
            return request
        return request.model_copy(update={"music": self._earlier_take(self.locate(request.source), request.take)})

    def _earlier_take(self, clip: Path, number: int) -> TrackRef:
        """The newest take of that number made for a clip; TrackNotFound says how takes are made."""
        from sottovoce.tasks.request import TrackRef

        page = self.library.search(tags=(clip_tag(clip), f"take-{number}"))
        if not page.tracks:
            raise errors.TrackNotFound(
                f"no take {number} of an earlier score of {clip.name} is in the library",
                hint="`--versions 3` makes three takes.",
            )
        return TrackRef(track=page.tracks[0].id)

    def publish(
        self,
        outcome: Outcome,
        source: Source | None = None,
        into: Path | None = None,
        files: Mapping[str, Path] = NOWHERE,
    ) -> Done:
        """File the tracks, those of a score under their clip, and the stems of a library track.

        Other stems and files are moved into the folder `into`, or to the paths given by name.
        """
        from sottovoce.tasks.request import TrackRef

        tags = (clip_tag(self.locate(source)),) if outcome.kind == "score" and source is not None else ()
        tracks = tuple(self.library.add(_new_track(track, tags)) for track in outcome.tracks)
        stems: Mapping[Stem, Path] = outcome.stems
        if stems and isinstance(source, TrackRef):
            engine = outcome.report["engine"]
            self.library.add_stems(source.track, stems, engine=engine)
            stems = {stem: path for stem, path in self.library.stems(source.track, engine).items() if stem in stems}
        else:
            stems = {stem: self._delivered(path, into, source) for stem, path in stems.items()}
        made = {
            name: deliver(path, files.get(name) or (into and into / path.name)) for name, path in outcome.files.items()
        }
        return Done(outcome.kind, outcome.report, tracks, stems, made)

    def _delivered(self, path: Path, into: Path | None, source: Source | None) -> Path:
        target = None if into is None else into / path.name
        if target is not None and source is not None:
            check_apart(target, self.locate(source))
        return deliver(path, target)

    def submit(
        self,
        request: Request,
        *,
        owner: str = "",
        lane: Lane | None = None,
        key: str | None = None,
        most: int | None = None,
    ) -> Job:
        """File a request as a job, for a worker to do; what it leaves lies in `job_folder`. The rest is as in `Queue.submit`."""
        fields = request.model_dump(mode="json", exclude={"kind"}, exclude_unset=True)
        settled = self._settled(request)
        return self.queue.submit(request.kind, fields, owner=owner, lane=lane, key=key, settled=settled, most=most)

    def _settled(self, request: Request) -> dict[str, Any]:
        """What a request leaves open and every attempt is to have the same: its seed, and the type of an upload, whose file has no ending."""
        from sottovoce.tasks.request import UploadRef

        open_fields = {name for name in type(request).model_fields if getattr(request, name) is None}
        settled: dict[str, Any] = {"seed": secrets.randbits(32)} if "seed" in open_fields else {}
        source = getattr(request, "source", None)
        if "format" in open_fields and isinstance(source, UploadRef):
            settled["format"] = Path(self.uploads.get(source.upload).name).suffix[1:].lower() or None
        return settled

    def sound_seconds(self, request: Request) -> float | None:
        """How much sound a request is about, all its versions together; None if that is not known without looking into a file."""
        from sottovoce.tasks.request import TrackRef, UploadRef

        source = getattr(request, "source", None)
        if isinstance(source, TrackRef):
            return self.library.get(source.track).seconds
        if isinstance(source, UploadRef):
            return self.uploads.get(source.upload).seconds
        duration = getattr(request, "duration", None)
        return None if duration is None else duration * getattr(request, "versions", 1)

    def job_folder(self, job: str) -> Path:
        """Where the files of a job lie that are no tracks."""
        return self.settings.library_folder() / "jobs" / job

    def replay(self, recipe: Recipe, progress: OnProgress = ignore) -> Done:
        """Make a track again as its recipe says, with the same engine and seed."""
        from sottovoce.tasks import TASKS
        from sottovoce.tasks.request import validate

        if recipe.kind not in TASKS:
            raise errors.InvalidParameter(
                f"a recipe of kind {recipe.kind!r} cannot be replayed; it says where a file came from"
            )
        again = self.run(validate(TASKS[recipe.kind].request, _wish_of(recipe), local=True), progress)
        wanted = again.tracks[recipe.batch.index if len(again.tracks) > 1 else 0]
        for other in again.tracks:
            if other.id != wanted.id:
                self.library.remove(other.id)
        return replace(again, tracks=(wanted,))

    def inspect(self, path: Path) -> Inspection:
        """The checks every output passes, for any file; a foreign one may be as loud as it likes."""
        from sottovoce.dsp.inspect import inspect
        from sottovoce.media.decode import FileReader

        return inspect(FileReader(path), ceiling_db=None)

    def recipe(self, name: str) -> Recipe:
        """The recipe in a file, or of the track with that id."""
        from sottovoce.recipe import read_recipe

        path = Path(name)
        try:
            if path.is_file():
                return read_recipe(path)
        except OSError as error:
            raise errors.InputUnreadable(f"{path.name:.80} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise errors.InvalidParameter(
                f"{path.name} is no recipe of this version",
                hint="A recipe is the NAME.sotto.json beside an exported track.",
            ) from error
        recipe = self.library.get(name).recipe
        if recipe is None:
            raise errors.InvalidParameter(f"track {name} was imported, so it has no recipe")
        return recipe

    def locate(self, source: Source) -> Path:
        """Where a source lies on this machine."""
        from sottovoce.tasks.request import KnownFile, LocalFile, TrackRef

        if isinstance(source, LocalFile):
            return source.path
        if isinstance(source, TrackRef):
            return self.library.get(source.track).audio
        if isinstance(source, KnownFile):
            return self._known(source)
        return self.uploads.path(source.upload)

    def _known(self, source: KnownFile) -> Path:
        """The file a recipe names by its content, if the library holds it."""
        path = self.library.file(source.sha256)
        if path is None:
            raise errors.UploadNotFound(
                f"{source.name}, which this was made from, is not in the library",
                hint=f"`sotto library import '{source.name}'`, then try again.",
            )
        return path

    def speeds(self) -> tuple[Speed, ...]:
        """How fast engines separated here."""
        return read_speeds(self._speed_file)

    @property
    def _speed_file(self) -> Path:
        return self.settings.library_folder() / "speed.json"

    def close(self) -> None:
        """Give back what the engines and the library hold."""
        for part in ("engines", "queue", "library"):
            if part in self.__dict__:
                self.__dict__.pop(part).close()

    def _orders(self) -> dict[str, tuple[str, ...]]:
        """The user's orders, each ending with the engine that needs nothing, so that something is always delivered."""
        from sottovoce.engines.catalog import ENHANCERS, GENERATORS, MOOD_READERS, SEPARATORS

        engines = self.settings.engines
        return {
            GENERATORS.group: (*engines.generators, "composer"),
            SEPARATORS.group: (*engines.separators, "classical"),
            MOOD_READERS.group: (*engines.mood_readers, "keyframes"),
            ENHANCERS.group: (*engines.enhancers, "expander"),
        }

    def _sections(self) -> dict[str, Mapping[str, Any]]:
        """What each engine's Config is read from: the section it names."""
        keys, settings = self.settings.credentials(), self.settings
        return {
            "audio": settings.audio.model_dump(),
            "demucs": {**settings.demucs.model_dump(), "cache": settings.cache_folder() / "compiled"},
            "lalalai": {"max_minutes_per_job": settings.lalalai.max_minutes_per_job, "key_known": "lalalai" in keys},
            "ace_step": settings.ace_step.model_dump(exclude=_KEYS),
            "musicgen": settings.musicgen.model_dump(exclude=_KEYS),
            "llm": settings.llm.model_dump(exclude=_KEYS),
            **settings.engine_sections(),
        }


def _defaults(settings: Settings, kind: type[Request], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The settings' values for the fields of the same name."""
    sections = {
        **settings.audio.model_dump(),
        "loudness": settings.library.loudness_lufs,
        "versions": _versions(settings, str(fields.get("engine", "auto"))),
    }
    return {name: value for name, value in sections.items() if name in kind.model_fields and value is not None}


def _versions(settings: Settings, engine: str) -> int | None:
    """How many takes the family of an engine makes where none are asked for; with `auto` that of the first in the order."""
    from sottovoce.engines.catalog import AUTO, parse_engine

    name = parse_engine(engine)
    first = settings.engines.generators[0] if name == AUTO else name
    families = {"ace-step": settings.ace_step.num_versions, "musicgen": settings.musicgen.num_versions}
    return families.get(first.removesuffix("-api"))


def _wish_of(recipe: Recipe) -> dict[str, Any]:
    """The request that makes a recipe's take again: alone, or with the whole batch where that was made at once."""
    together = "batch" in recipe.engine.options and recipe.batch.size > 1 and not recipe.rejected
    seed, versions = (recipe.batch.seeds[0], recipe.batch.size) if together else (recipe.seed, 1)
    settled = {name: recipe.engine.options[name] for name in ("batch",) if name in recipe.engine.options}
    options = {**recipe.request.get("options", {}), **settled}
    return recipe.request | {"engine": recipe.engine.name, "seed": seed, "versions": versions, "options": options}


def _new_track(track: MadeTrack, tags: tuple[str, ...]) -> NewTrack:
    from sottovoce.library.track import made

    labels = (*track.tags, *tags)
    return made(track.title, track.audio, track.recipe, stems=track.stems, midi=track.midi, tags=labels)

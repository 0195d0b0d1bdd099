"""The models on this machine: found, fetched, checked before they are used, and removed.

Files lie as the hub's own cache lays them out, `models--OWNER--NAME/snapshots/REVISION/FILE`, so a cache of others can be read as well.
Every file is hashed before its first use in a process, whoever put it there.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sottovoce import errors
from sottovoce.progress import OnProgress, Progress, ignore
from sottovoce.weights.download import Hub, check_space, sha256_of
from sottovoce.weights.licences import accept, accepted
from sottovoce.weights.manifest import (
    Model,
    ModelFile,
    Pin,
    builtin,
    is_name,
    is_sha256,
    merged,
    pinned,
    read_pins,
    write_pins,
)

Pull = Literal["ask", "auto", "never"]
State = Literal["fine", "missing", "damaged"]
#: Asked before a missing model is fetched in the course of other work: the model, and the files that would come.
Consent = Callable[[Model, tuple[ModelFile, ...]], bool]
#: The folder, in the models folder, of models in another layout than the one they came in.
CONVERTED = "converted"
_LOCK_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Checked:
    """What was found of a file: fine, missing or damaged, where it lies, and what is wrong with it."""

    file: ModelFile
    state: State
    path: Path | None = None
    detail: str = ""


@dataclass(frozen=True)
class Snapshot:
    """A model that is here as a whole: what is known of it, and the folder its files lie in under their names."""

    model: Model
    folder: Path


@dataclass(frozen=True)
class Listed:
    """A model of the listing: whether all its files are here by name and size, and how many bytes of ours it takes."""

    model: Model
    here: bool
    bytes_here: int


@dataclass(frozen=True)
class Store:
    """Model files in `folder`; files already in one of `caches` are used too, never changed.

    `pull` says what happens when a model is needed and missing: it is fetched (auto), `consent` is asked (ask; no without one), or not (never).
    With `offline` nothing is ever fetched.
    """

    folder: Path
    offline: bool = False
    pull_policy: Pull = "ask"
    hub: Hub = field(default_factory=Hub)
    caches: tuple[Path, ...] = ()
    manifest: Mapping[str, Model] = field(default_factory=builtin)
    consent: Consent | None = None
    _hashes: dict[tuple[str, int, int], str] = field(default_factory=dict, repr=False)

    def model(self, name: str) -> Model:
        """A model with all that is known of its revision and hashes; InvalidParameter lists the models there are."""
        groups = {model.group: model for model in self.manifest.values() if model.group is not None}
        model = self.manifest.get(name) or groups.get(name)
        if model is None:
            raise errors.InvalidParameter(
                f"no model is called {name!r}; there are {', '.join(sorted(self.manifest))}",
                hint="`sotto models list` shows what each is good for.",
            )
        return pinned(model, read_pins(self.folder).get(model.repository))

    def with_parts(self, name: str) -> tuple[str, ...]:
        """The names of the models that make up one: its parts, and itself at last."""
        model = self.model(name)
        return (*model.parts, model.name)

    def models(self) -> tuple[Listed, ...]:
        """Every model; looks at names and sizes only."""
        return tuple(self._listed(self.model(name)) for name in self.manifest)

    def located(self, name: str, *, only: Collection[str] = (), progress: OnProgress = ignore) -> tuple[Path, ...]:
        """The files of a model in the manifest's order (`only` those named), each with the hash it must have.

        A missing file is fetched if the policy and the user allow it, else MODEL_NOT_FOUND has the command that does; a damaged one is
        MODEL_LOAD_FAILED.
        """
        model = self._with_files(self.model(name))
        found = [self._check(model, file) for file in _wanted(model, only)]
        for checked in found:
            if checked.state == "damaged":
                raise errors.ModelLoadFailed(
                    f"{name} cannot be used: {checked.detail}", hint=f"`sotto models pull {name}` fetches it anew."
                )
        missing = tuple(checked.file for checked in found if checked.state == "missing")
        if missing or not found:
            agreed = self._allow(model, missing)
            return self.pull(name, progress, only=only, accept_licence=agreed)
        return tuple(checked.path for checked in found if checked.path is not None)

    def snapshot(self, name: str, progress: OnProgress = ignore) -> Snapshot:
        """A model as a folder, for those who read it by the names of its files; errors as of `located`.

        Where its files are spread over several caches, they are linked into one folder of ours.
        """
        paths = self.located(name, progress=progress)
        model = self.model(name)
        roots = {_root_of(path, file) for path, file in zip(paths, model.files, strict=True)}
        if len(roots) > 1:
            with self._locked(model.repository, progress):
                model = self._at_a_revision(model)
                for path, file in zip(paths, model.files, strict=True):
                    _link(path, self._place(model, file))
            roots = {_root_of(self._place(model, model.files[0]), model.files[0])}
        return Snapshot(model, roots.pop() / model.folder)

    def pull(
        self,
        name: str,
        progress: OnProgress = ignore,
        *,
        only: Collection[str] = (),
        accept_licence: bool = False,
    ) -> tuple[Path, ...]:
        """Fetch what is missing or damaged of a model, going on where an earlier pull stopped; its files.

        ModelDownloadFailed (asking again resumes), DiskFull before anything is fetched, LicenceNotAccepted for weights that are not for
        every use unless `accept_licence` says yes, now or in an earlier pull.
        """
        model = self._with_files(self.model(name))
        whole = bool(model.files) and all(self._check(model, file).state == "fine" for file in _wanted(model, only))
        if not whole and self.offline:
            raise errors.ModelDownloadFailed(
                f"{name} is not all here, and nothing is fetched offline",
                hint="`sotto config set models.offline false`, or unset HF_HUB_OFFLINE.",
            )
        if not whole:
            self._check_licence(model, said_yes=accept_licence)
        with self._locked(model.repository, progress):
            model = self._at_a_revision(model)
            return self._fetch_missing(model, {file.name for file in _wanted(model, only)}, progress)

    def verify(self, name: str, progress: OnProgress = ignore) -> tuple[Checked, ...]:
        """Read every file of a model and compare it with its hash."""
        self._hashes.clear()
        model = self._with_files(self.model(name))
        results = []
        for index, file in enumerate(model.files):
            progress(Progress(f"verify {file.name}", 100 * index / len(model.files), index + 1, len(model.files)))
            results.append(self._check(model, file))
        return tuple(results)

    def remove(self, name: str) -> int:
        """Delete a model's files from the folder, those half fetched too; how many bytes that gave back.

        Their recorded hashes stay, so that the same files must come again. Caches of others are left alone.
        """
        model, freed = self.model(name), 0
        repository = self.folder / _folder_of(model)
        with self._locked(model.repository, ignore):
            for path in self._ours(model):
                freed += path.lstat().st_size
                path.unlink()
            for path in self.conversions(model.name):
                freed += sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
                shutil.rmtree(path)
            for snapshot in repository.glob("snapshots/*"):
                if not any(path.is_file() for path in snapshot.rglob("*")):
                    shutil.rmtree(snapshot)
            if repository.exists() and not any((repository / "snapshots").glob("*")):
                shutil.rmtree(repository)
        return freed

    def conversions(self, name: str) -> tuple[Path, ...]:
        """The folders that hold a model in another layout than the one it came in."""
        return tuple(sorted((self.folder / CONVERTED).glob(f"{name}@*")))

    def _check_licence(self, model: Model, *, said_yes: bool) -> None:
        if not model.non_commercial or accepted(self.folder, model):
            return
        if not said_yes:
            raise errors.LicenceNotAccepted(
                f"the weights of {model.name} are under {model.licence}; it has to be accepted before they are fetched",
                hint=f"Read it at {model.page}, then type `sotto models pull {model.name} --accept-licence`.",
                details={"model": model.name, "licence": model.licence, "source": model.page},
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        accept(self.folder, model)

    def _with_files(self, model: Model) -> Model:
        """The model with its files named: as they were recorded, or as a cache has them; else as it is."""
        if model.files or not model.include:
            return model
        for cache in (self.folder, *self.caches):
            for snapshot in self._snapshots(cache, model):
                there = [ModelFile(name=name) for name in _names_in(snapshot)]
                if model.listed(there):
                    self._pin(model.model_copy(update={"revision": model.revision or snapshot.name}), there)
                    return self.model(model.name)
        return model

    def _snapshots(self, cache: Path, model: Model) -> list[Path]:
        """The snapshot at the revision asked for, else the one at `main`."""
        repository = cache / _folder_of(model)
        heads = [head.read_text(encoding="utf-8").strip() for head in repository.glob("refs/main")]
        return [repository / "snapshots" / head for head in ([model.revision] if model.revision else heads)]

    def _allow(self, model: Model, missing: tuple[ModelFile, ...]) -> bool:
        """Whether someone said yes to fetching the missing files now; MODEL_NOT_FOUND unless they may be fetched."""
        asked = self.pull_policy == "ask" and not self.offline and self.consent is not None
        if not self.offline and self.pull_policy == "auto":
            return False
        if asked and self.consent is not None and self.consent(model, missing):
            return True
        why = ", and nothing is fetched offline" if self.offline else ""
        others = [
            f"; the copy in {cache} is another file" for cache in self.caches if self._elsewhere(cache, missing, model)
        ]
        raise errors.ModelNotFound(
            f"the model {model.name} is not here{why}{''.join(others)}",
            hint=f"sotto models pull {model.name}",
            details={"model": model.name, "bytes": model.bytes, "licence": model.licence, "source": model.page},
        )

    def _fetch_missing(self, model: Model, names: Collection[str], progress: OnProgress) -> tuple[Path, ...]:
        files = [file for file in model.files if file.name in names]
        found = {file.name: self._check(model, file) for file in files}
        missing = [file for file in files if found[file.name].state != "fine"]
        check_space(self.folder, sum(self._to_come(model, file) for file in missing))
        paths = {name: checked.path for name, checked in found.items() if checked.state == "fine"}
        for index, file in enumerate(missing):
            target = self._place(model, file)
            target.parent.mkdir(parents=True, exist_ok=True)
            came = self.hub.fetch(model, file, target, _reporter(missing, index, progress))
            self._record(model, came)
            self._remember(target, came.sha256 or "")
            paths[file.name] = target
        progress(Progress("pulled", 100, len(missing), len(missing)))
        return tuple(path for file in files if (path := paths[file.name]) is not None)

    def _at_a_revision(self, model: Model) -> Model:
        """The model with the revision it is to be fetched at and its files, which are recorded before anything comes."""
        if model.revision is None:
            revision = self.hub.head(model.repository)
            model = model.model_copy(update={"revision": revision})
            self._pin(model, ())
        if model.files or model.revision is None:
            return model
        self._pin(model, self.hub.listing(model.repository, model.revision))
        listed = self.model(model.name)
        if not listed.files:
            raise errors.ModelDownloadFailed(
                f"{model.repository} has not all that belongs to {model.name}: {', '.join(model.include)}",
                hint="Try again later, or give a folder of your own with --model.",
            )
        return listed

    def _record(self, model: Model, found: ModelFile) -> None:
        """Pin what the manifest does not know of a file."""
        known = next(file for file in model.files if file.name == found.name)
        if known.sha256 is None and model.revision is not None:
            self._pin(model, (found,))

    def _pin(self, model: Model, found: Iterable[ModelFile]) -> None:
        """Record the revision a model has, and what was found of its files."""
        assert model.revision is not None, "nothing is recorded of files that belong to no revision"
        self.folder.mkdir(parents=True, exist_ok=True)
        pins = read_pins(self.folder)
        earlier = pins[model.repository].files if model.repository in pins else ()
        pin = Pin(revision=model.revision, files=merged(earlier, found))
        write_pins(self.folder, {**pins, model.repository: pin})

    def _check(self, model: Model, file: ModelFile) -> Checked:
        """Ours first, then any copy in a cache; a copy of another revision is no damage, it is passed over."""
        ours = self._place(model, file) if model.revision else None
        if ours is not None and ours.is_file():
            wrong = self._wrong(ours, file)
            return Checked(file, "damaged", ours, wrong) if wrong else Checked(file, "fine", ours)
        for path in self._copies(model, file):
            if not self._wrong(path, file):
                self._learn(model, file, path)
                return Checked(file, "fine", path)
        return Checked(file, "missing", detail=f"{file.name} is not here")

    def _wrong(self, path: Path, file: ModelFile) -> str:
        """What is wrong with a file that is there; a file of unknown hash must at least be what its own cache calls it."""
        size, blob = path.stat().st_size, path.resolve().name
        expected = file.sha256 or (blob if is_sha256(blob) else None)
        if file.bytes is not None and size != file.bytes:
            return f"{path} has {size} bytes where {file.bytes} belong"
        found = self._hash(path) if expected else ""
        return f"{path} is damaged: its sha256 is {found}, not {expected}" if found and found != expected else ""

    def _learn(self, model: Model, file: ModelFile, path: Path) -> None:
        """Pin a file of unknown hash that was found in a cache, at the revision of its snapshot."""
        if file.sha256 is None:
            at = model.model_copy(update={"revision": model.revision or path.parent.name})
            self._record(at, ModelFile(name=file.name, bytes=path.stat().st_size, sha256=self._hash(path)))

    def _copies(self, model: Model, file: ModelFile) -> Iterator[Path]:
        """Copies in our folder and in caches: at the revision asked for, else those with the hash it must have, else at `main`."""
        for cache in (self.folder, *self.caches):
            repository = cache / _folder_of(model)
            heads = [head.read_text(encoding="utf-8").strip() for head in repository.glob("refs/main")]
            any_revision = [path.name for path in repository.glob("snapshots/*")] if file.sha256 else heads
            for revision in dict.fromkeys([model.revision] if model.revision else any_revision):
                yield from repository.glob(f"snapshots/{revision}/{file.name}")
            if file.sha256:
                yield from repository.glob(f"snapshots/*/{file.name}")

    def _elsewhere(self, cache: Path, missing: tuple[ModelFile, ...], model: Model) -> bool:
        return any(any((cache / _folder_of(model)).glob(f"snapshots/*/{file.name}")) for file in missing)

    def _hash(self, path: Path) -> str:
        key = _state_of(path)
        if key not in self._hashes:
            self._hashes[key] = sha256_of(path)
        return self._hashes[key]

    def _remember(self, path: Path, sha256: str) -> None:
        self._hashes[_state_of(path)] = sha256

    def _listed(self, model: Model) -> Listed:
        places = [self._at_hand(model, file) for file in model.files]
        return Listed(model, bool(places) and all(places), sum(path.stat().st_size for path in self._ours(model)))

    def _at_hand(self, model: Model, file: ModelFile) -> bool:
        ours = [self._place(model, file)] if model.revision else []
        return any(
            path.is_file() and file.bytes in (None, path.stat().st_size) for path in (*ours, *self._copies(model, file))
        )

    def _ours(self, model: Model) -> list[Path]:
        """Every file of a model in our folder, half fetched ones too."""
        snapshots = self.folder / _folder_of(model)
        return [
            path
            for file in model.files
            for ending in ("", ".part", ".etag")
            for path in snapshots.glob(f"snapshots/*/{file.name}{ending}")
        ]

    def _place(self, model: Model, file: ModelFile) -> Path:
        return self.folder / _folder_of(model) / "snapshots" / str(model.revision) / file.name

    def _to_come(self, model: Model, file: ModelFile) -> int:
        part = self._place(model, file).with_name(f"{Path(file.name).name}.part")
        return max(0, (file.bytes or 0) - (part.stat().st_size if part.exists() else 0))

    @contextmanager
    def _locked(self, repository: str, progress: OnProgress) -> Iterator[None]:
        """One process at a time changes a repository; the others wait, and can be cancelled while they do."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.folder / f".{repository.replace('/', '--')}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise errors.OutputNotWritable(
                f"{self.folder} cannot be written to: {error.strerror}",
                hint="Choose another place with `sotto config set models.directory FOLDER`.",
            ) from error
        try:
            while not _try_lock(descriptor):
                progress(Progress("waiting for another pull", 0))
                self.hub.sleep(_LOCK_POLL_SECONDS)
            yield
        finally:
            os.close(descriptor)


def _wanted(model: Model, only: Collection[str]) -> tuple[ModelFile, ...]:
    unknown = set(only) - {file.name for file in model.files}
    if unknown:
        raise errors.InvalidParameter(f"{model.name} has no file {', '.join(sorted(unknown))}")
    return tuple(file for file in model.files if not only or file.name in only)


def _root_of(path: Path, file: ModelFile) -> Path:
    """The folder that a file's name begins in."""
    return path.parents[len(Path(file.name).parts) - 1]


def _names_in(folder: Path) -> list[str]:
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return [name for name in names if is_name(name)]


def _link(path: Path, place: Path) -> None:
    """Make a file appear at a place, without a second copy of it."""
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(path.resolve())


def _folder_of(model: Model) -> str:
    return f"models--{model.repository.replace('/', '--')}"


def _state_of(path: Path) -> tuple[str, int, int]:
    state = path.stat()
    return str(path.resolve()), state.st_size, state.st_mtime_ns


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _reporter(files: list[ModelFile], index: int, progress: OnProgress) -> Callable[[int, int | None], None]:
    """Bytes of one of several files as progress of all: by size where all sizes are known, else each file alike."""
    sizes = [file.bytes or 0 for file in files] if all(file.bytes for file in files) else [1] * len(files)
    before, whole, own = sum(sizes[:index]), sum(sizes), sizes[index]

    def report(done: int, total: int | None) -> None:
        share = min(1.0, done / total) if total else 0.0
        stage = f"pull {files[index].name} {share:.0%}" if total else f"pull {files[index].name} {done / 1e6:.0f} MB"
        progress(Progress(stage, 100 * (before + own * share) / whole, index + 1, len(files)))

    return report

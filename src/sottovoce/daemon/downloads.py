"""Models that are fetched because an editor asked for them, each backend in a thread of its own, told as it goes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sottovoce import errors
from sottovoce.bugs import bug
from sottovoce.daemon.making import Notify
from sottovoce.daemon.protocol import wire_code
from sottovoce.progress import Progress
from sottovoce.weights.download import Hub, OnBytes
from sottovoce.weights.licences import accepted

if TYPE_CHECKING:
    from pathlib import Path

    from sottovoce.weights.manifest import Model, ModelFile
    from sottovoce.weights.store import Store

_PAUSE = 0.25


@dataclass(frozen=True)
class OverheardHub(Hub):
    """A hub that also tells `heard` which file comes, how many bytes of it are here, and of how many."""

    heard: Callable[[str, int, int | None], None] = field(default=lambda _name, _done, _total: None, repr=False)

    def fetch(self, model: Model, file: ModelFile, target: Path, on_bytes: OnBytes) -> ModelFile:
        """As every hub does it."""

        def both(done: int, total: int | None) -> None:
            self.heard(file.name, done, total)
            on_bytes(done, total)

        return super().fetch(model, file, target, both)


@dataclass
class Downloads:
    """What is being fetched, and what failed the last time."""

    notify: Notify
    failed: dict[str, errors.SottovoceError] = field(default_factory=dict)
    _running: dict[str, threading.Thread] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def busy(self) -> bool:
        """Whether anything is being fetched."""
        return any(thread.is_alive() for thread in list(self._running.values()))

    def running(self, backend: str) -> bool:
        """Whether a backend's model is being fetched."""
        thread = self._running.get(backend)
        return thread is not None and thread.is_alive()

    def prepare(self, backend: str, model: str, store: Store, *, accept_licence: bool) -> Callable[[], None]:
        """Make ready to fetch a backend's model; call what is given to begin. LicenceNotAccepted if it needs a yes first."""
        self.failed.pop(backend, None)
        models = store.with_parts(model)
        for name in models:
            _check_licence(store, store.model(name), said_yes=accept_licence)
        fetch = _Fetch(self, store, backend, models, accept_licence=accept_licence)
        self._running[backend] = threading.Thread(target=fetch.work, name=f"download {backend}", daemon=True)
        return self._running[backend].start

    def check(self) -> None:
        """Cancelled once `close` was called."""
        if self._stopped.is_set():
            raise errors.Cancelled("the download was stopped; the next one goes on from there")

    def close(self) -> None:
        """Stop; what came so far stays."""
        self._stopped.set()


@dataclass
class _Fetch:
    """The models of one backend on their way."""

    downloads: Downloads
    store: Store
    backend: str
    models: tuple[str, ...]
    accept_licence: bool = False
    told: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)

    def work(self) -> None:
        """Fetch them one after the other."""
        hub = self.store.hub
        store = replace(self.store, hub=OverheardHub(hub.endpoint, hub.sleep, self._heard))
        try:
            for index, name in enumerate(self.models):
                self._begin(name)
                store.pull(name, self._reporter(index), accept_licence=self.accept_licence)
            self._tell("complete", component_percent=100, overall_percent=100)
        except errors.SottovoceError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - the process boundary: logs the trace and reports
            self._fail(bug(error))

    def _begin(self, name: str) -> None:
        nothing = {"file_name": "", "bytes_downloaded": 0, "bytes_total": 0, "files_completed": 0, "files_total": 0}
        self.facts = {"component": name, **nothing}

    def _heard(self, name: str, done: int, total: int | None) -> None:
        self.facts |= {"file_name": name, "bytes_downloaded": done, "bytes_total": total or 0}

    def _reporter(self, index: int) -> Callable[[Progress], None]:
        def report(progress: Progress) -> None:
            self.downloads.check()
            files = progress.total or 0
            finished = files if progress.percent >= 100 else max(0, (progress.step or 1) - 1)
            self.facts |= {"files_completed": finished, "files_total": files}
            if time.monotonic() - self.told >= _PAUSE:
                self.told = time.monotonic()
                overall = (index + progress.percent / 100) / len(self.models) * 100
                self._tell("downloading", component_percent=int(progress.percent), overall_percent=int(overall))

        return report

    def _tell(self, status: str, **more: Any) -> None:
        told = {"backend": self.backend, **self.facts, "status": status, **more}
        self.downloads.notify("download_progress", told, passing=status == "downloading")

    def _fail(self, error: errors.SottovoceError) -> None:
        self.downloads.failed[self.backend] = error
        self._tell("error", code=wire_code(error), message=error.message, hint=error.hint)


def _check_licence(store: Store, model: Model, *, said_yes: bool) -> None:
    if model.non_commercial and not said_yes and not accepted(store.folder, model):
        raise errors.LicenceNotAccepted(
            f"the weights of {model.name} are under {model.licence}; it has to be accepted before they are fetched",
            hint=f"Read it at {model.page}, then call download_backend with accept_licence true.",
            details={"model": model.name, "licence": model.licence, "source": model.page},
        )

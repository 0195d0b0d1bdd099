"""What an editor can ask of the daemon."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sottovoce import errors
from sottovoce.daemon.backends import Backends
from sottovoce.daemon.downloads import Downloads
from sottovoce.daemon.making import Making, Notify, Runner, tell_cancelled
from sottovoce.daemon.protocol import Params, Reply
from sottovoce.daemon.queue import Entry, Place, Queue, Wish
from sottovoce.daemon.shelf import Shelf, completed
from sottovoce.daemon.wishes import Wishes
from sottovoce.engines.catalog import GENERATORS
from sottovoce.places import scratch_folder
from sottovoce.settings import Settings, load_settings
from sottovoce.studio import Studio

if TYPE_CHECKING:
    from sottovoce.library.track import Track
    from sottovoce.tasks.outcome import Outcome

_TRACK_ID = re.compile(r"[0-9a-f]{16}")
_LONGEST_PROMPT = 200


@dataclass
class Methods:
    """The methods by name (`table`), the queue behind them, and the thread that works it off.

    They are called by one thread; settings that were changed hold from the next `generate` on.
    """

    studio: Studio
    runner: Runner
    notify: Notify
    load: Callable[[], Settings] = load_settings
    queue: Queue = field(init=False)
    downloads: Downloads = field(init=False)

    def __post_init__(self) -> None:
        self.queue = Queue(self.studio.settings.jobs.max_pending)
        self.downloads = Downloads(self.notify)
        self._thread = Making(self.queue, self.runner, self, self.notify).start()

    @property
    def table(self) -> Mapping[str, Callable[[Params], Reply]]:
        """Every method by its name, but for those that are answered without any of this."""
        return {
            "generate": self.generate,
            "cancel": self.cancel,
            "get_backends": self.get_backends,
            "download_backend": self.download_backend,
            "queue_status": self.queue_status,
            "queue_cancel": self.queue_cancel,
            "queue_clear": self.queue_clear,
            "cache_list": self.cache_list,
            "cache_delete": self.cache_delete,
            "cache_clear": self.cache_clear,
            "cache_stats": self.cache_stats,
        }

    @property
    def busy(self) -> bool:
        """Whether anything is being done."""
        current, _ = self.queue.snapshot()
        return current is not None or self.downloads.busy

    def generate(self, params: Params) -> Reply:
        """Make a track, or answer with the one that was made of the same request before."""
        self._refresh()
        backends = Backends(self.studio)
        wish = Wishes(self.studio, backends).read(params)
        place = self.queue.join(wish)
        if place is not None:
            return self._placed(wish, place)
        kept = self._shelf.find(wish.track_id)
        if kept is not None:
            tell = partial(self.notify, "generation_complete", completed(wish.track_id, kept))
            return Reply(_answer(wish, "complete", 0), (tell,))
        return self._placed(wish, self.queue.add(wish))

    def cancel(self, params: Params) -> Reply:
        """Stop a track that is on its way or waits."""
        track_id = _track_id(params)
        generating = self.queue.generates(track_id)
        entry = self.queue.cancel(track_id)
        answer = {"cancelled": entry is not None, "was_generating": generating}
        if entry is None:
            return Reply(answer)
        # One on its way is told of by the thread that makes it, when it has stopped.
        return Reply(answer, (self.runner.cancel if entry.cancelled else partial(tell_cancelled, self.notify, entry),))

    def get_backends(self, params: Params) -> Reply:
        """The backends, what they can do, and whether they can do it now."""
        _known(params)
        self._refresh()
        backends = Backends(self.studio)
        shown = [backend.as_dict() | self._download_of(backend.type) for backend in backends.all()]
        return Reply({"backends": shown, "default_backend": backends.default().type})

    def download_backend(self, params: Params) -> Reply:
        """Fetch the model of a backend in the background."""
        _known(params, "backend", "accept_licence")
        self._refresh()
        found = Backends(self.studio).get(_text(params, "backend"))
        if self.downloads.running(found.type):
            return Reply(_fetching(found.type, "already_downloading"))
        if found.missing is None:
            return Reply(_fetching(found.type, "already_installed"))
        self.studio.engines.ready(GENERATORS, found.engine.name)
        assert found.model is not None, "an engine that could run but for its model has one"
        yes = params.get("accept_licence") is True
        begin = self.downloads.prepare(found.type, found.model, self.studio.weights, accept_licence=yes)
        return Reply(_fetching(found.type, "downloading"), (begin,))

    def queue_status(self, params: Params) -> Reply:
        """What is on its way, and what waits; `current` is missing if nothing is on its way."""
        _known(params)
        current, waiting = self.queue.snapshot()
        pending = [_waiting(entry, place) for place, entry in enumerate(waiting, 1)]
        status: dict[str, Any] = {"pending": pending, "prefetch_pending": 0, "max_pending": self.queue.max_pending}
        if current is not None:
            status["current"] = {"track_id": current.wish.track_id, "percent": int(current.percent)}
        return Reply(status)

    def queue_cancel(self, params: Params) -> Reply:
        """Drop a track that waits; one on its way goes on."""
        entry = self.queue.cancel(_track_id(params), waiting_only=True)
        return Reply({"cancelled": entry is not None}, (partial(tell_cancelled, self.notify, entry),) if entry else ())

    def queue_clear(self, params: Params) -> Reply:
        """Drop all that wait; what is on its way goes on."""
        _known(params)
        dropped = self.queue.clear()
        return Reply({"cleared": len(dropped)}, tuple(partial(tell_cancelled, self.notify, entry) for entry in dropped))

    def cache_list(self, params: Params) -> Reply:
        """The tracks made here, the newest first, a few at a time."""
        _known(params, "limit", "after")
        return Reply(self._shelf.page(params.get("limit"), params.get("after")))

    def cache_delete(self, params: Params) -> Reply:
        """Forget a track; `removed` is false if it stays in the library, as someone rated or tagged it."""
        track = self._shelf.find(_track_id(params))
        return Reply({"deleted": track is not None, "removed": track is not None and self._shelf.forget(track)})

    def cache_clear(self, params: Params) -> Reply:
        """Forget every track made here."""
        _known(params)
        removed, kept = self._shelf.clear()
        return Reply({"deleted": removed + kept, "removed": removed})

    def cache_stats(self, params: Params) -> Reply:
        """How many tracks were made here, and what they take."""
        _known(params)
        return Reply(self._shelf.stats())

    def scratch(self) -> AbstractContextManager[Path]:
        """An empty folder on the library's disk, gone afterwards."""
        return scratch_folder(self.studio.settings.library_folder() / "scratch")

    def publish(self, track_id: str, outcome: Outcome) -> Track:
        """File what was made."""
        return self._shelf.add(track_id, outcome)

    def budget(self) -> float:
        """How many seconds a track may take."""
        return self.studio.settings.jobs.max_seconds.generate

    def stop(self) -> None:
        """Begin nothing more, and end what is on its way: nobody waits for it."""
        self.queue.close()
        self.downloads.close()
        self.runner.close()

    def close(self) -> None:
        """Give everything back."""
        self.stop()
        self._thread.join(2)
        self.studio.close()

    @property
    def _shelf(self) -> Shelf:
        return Shelf(self.studio)

    def _refresh(self) -> None:
        """Take up settings that were changed; InvalidParameter if they cannot be read."""
        settings = self.load()
        if settings != self.studio.settings:
            self.studio = Studio(settings)
            self.queue.max_pending = settings.jobs.max_pending

    def _placed(self, wish: Wish, place: Place) -> Reply:
        release = partial(self.queue.release, place.entry)
        return Reply(_answer(wish, place.status, place.position), (release,))

    def _download_of(self, backend: str) -> dict[str, Any]:
        """What a download makes of a backend's status."""
        if self.downloads.running(backend):
            return {"status": "downloading"}
        failed = self.downloads.failed.get(backend)
        return {} if failed is None else {"status": "error", "reason": failed.message, "hint": failed.hint}


def _answer(wish: Wish, status: str, position: int) -> dict[str, Any]:
    return {
        "track_id": wish.track_id,
        "status": status,
        "position": position,
        "seed": wish.seed,
        "backend": wish.backend,
    }


def _fetching(backend: str, status: str) -> dict[str, Any]:
    return {
        "backend": backend,
        "status": status,
        "started": status == "downloading",
        "already_installed": status == "already_installed",
        "files_downloaded": 0,
    }


def _waiting(entry: Entry, position: int) -> dict[str, Any]:
    wish = entry.wish
    return {"track_id": wish.track_id, "prompt": wish.request.prompt[:_LONGEST_PROMPT], "position": position}


def _track_id(params: Params) -> str:
    _known(params, "track_id")
    text = _text(params, "track_id")
    if not _TRACK_ID.fullmatch(text):
        raise errors.InvalidParameter("track_id is what generate answered: 16 hexadecimal digits")
    return text


def _text(params: Params, name: str) -> str:
    value = params.get(name)
    if not isinstance(value, str) or not value.strip():
        raise errors.InvalidParameter(f"{name} is missing, or no text")
    return value


def _known(params: Params, *names: str) -> None:
    """InvalidParameter for a param that the method has not."""
    unknown = sorted(set(params) - set(names))
    if unknown:
        there = f"there are {', '.join(names)}" if names else "it takes none"
        raise errors.InvalidParameter(f"there is no param {unknown[0][:80]!r}; {there}")

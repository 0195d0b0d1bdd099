"""Backends as editors name them: families of engines, each served by the one that can, here or on a server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sottovoce import errors
from sottovoce.engines.base import Unavailable
from sottovoce.engines.catalog import AUTO, GENERATORS, engine_names, parse_engine
from sottovoce.tasks.gate import options_of
from sottovoce.tasks.request import LONGEST_SECONDS, SHORTEST_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sottovoce.engines.base import Generator
    from sottovoce.studio import Studio
    from sottovoce.tasks.generate import Generate

#: Backends that are more than one engine: here, and on a server.
_FAMILIES = {"ace_step": ("ace-step", "ace-step-api"), "musicgen": ("musicgen", "musicgen-api")}
_USUAL = (*_FAMILIES, "composer")
_DELIVERY_RATE = 48_000


@dataclass(frozen=True)
class Backend:
    """A family, the engine of it that would do the work, the model that takes, and why it cannot if it cannot."""

    type: str
    engine: Generator
    model: str | None
    missing: Unavailable | None

    @property
    def seconds(self) -> tuple[int, int]:
        """The shortest and longest track it makes."""
        shortest, longest = self.engine.capabilities.seconds
        return round(max(SHORTEST_SECONDS, shortest)), round(min(LONGEST_SECONDS, longest))

    def as_dict(self) -> dict[str, Any]:
        """As `get_backends` shows it."""
        shortest, longest = self.seconds
        reason = {"reason": self.missing.reason, "hint": self.missing.cure} if self.missing else {}
        return {
            "type": self.type,
            "name": self.engine.title,
            "status": "not_installed" if self.missing else "ready",
            "min_duration_sec": shortest,
            "max_duration_sec": longest,
            "sample_rate": self.engine.capabilities.rate or _DELIVERY_RATE,
            "model_version": self.model or self.engine.version,
            **reason,
        }

    def check(self, request: Generate) -> None:
        """The request's own error if this backend cannot do it."""
        shortest, longest = self.seconds
        if not shortest <= request.duration <= longest:
            raise errors.InvalidDuration(
                f"{self.type} makes {shortest} to {longest} seconds, not {request.duration:g}",
                details={"min_duration_sec": shortest, "max_duration_sec": longest},
            )
        options_of(self.engine, request)


@dataclass(frozen=True)
class Backends:
    """The backends of this machine."""

    studio: Studio

    def all(self) -> list[Backend]:
        """The usual ones first, then what else is in the user's order."""
        there = [engine for engine in self.studio.engines.order(GENERATORS) if engine in engine_names(GENERATORS)]
        return [self.get(name) for name in dict.fromkeys([*_USUAL, *map(backend_of, there)])]

    def get(self, name: str) -> Backend:
        """A backend by its name; INVALID_BACKEND lists those there are."""
        plain = parse_engine(name)
        family = next((members for members in _FAMILIES.values() if plain == members[0]), (plain,))
        order = self.studio.engines.order(GENERATORS)
        members = sorted(family, key=lambda member: order.index(member) if member in order else len(order))
        found = [self._member(member) for member in members]
        return next((backend for backend in found if backend.missing is None), found[0])

    def ready(self, name: str) -> Backend:
        """A backend that can work now; BACKEND_NOT_INSTALLED says what is missing, and what cures it."""
        backend = self.get(name)
        if backend.missing is not None:
            raise errors.BackendNotInstalled(
                f"{backend.type} cannot run here: {backend.missing.reason}", hint=backend.missing.cure
            )
        return backend

    def default(self) -> Backend:
        """What `auto` would take."""
        return next(iter(self._walked()), self.get("composer"))

    def chosen(self, name: str | None, request: Generate) -> Backend:
        """The backend for a request: the one named, or what `auto` would take for it; the request's error if none can."""
        if name is not None and parse_engine(name) != AUTO:
            backend = self.ready(name)
            backend.check(request)
            return backend
        refused: errors.RequestError | None = None
        for backend in self._walked():
            try:
                backend.check(request)
            except errors.RequestError as error:
                refused = refused or error
            else:
                return backend
        raise refused or errors.BackendNotInstalled("no backend can run here", hint="`sotto engines` says why.")

    def weights_of(self, engine: str) -> str | None:
        """The model that an engine here uses unless it is told otherwise; None for one without weights."""
        settings = self.studio.settings
        names: Mapping[str, str] = {
            "ace-step": f"acestep-v15-{settings.ace_step.model_variant}",
            "musicgen": f"musicgen-{settings.musicgen.model}",
        }
        return names.get(engine)

    def _walked(self) -> Iterable[Backend]:
        """Those that can work now, in the user's order."""
        for name in self.studio.engines.order(GENERATORS):
            if name in engine_names(GENERATORS) and (backend := self._member(name)).missing is None:
                yield backend

    def _member(self, name: str) -> Backend:
        engine, model = self.studio.engines.get(GENERATORS, name), self.weights_of(name)
        missing = engine.unavailable()
        if missing is None and model is not None and not self._here(model):
            cure = f"Call download_backend with backend {backend_of(name)}, or type `sotto models pull {model}`."
            missing = Unavailable(f"its model {model} is not here", cure)
        return Backend(backend_of(name), engine, model, missing)

    def _here(self, model: str) -> bool:
        """Whether a model is here, may come by itself, or lies in a cache of others, where only its engine can tell whether it is whole."""
        store = self.studio.weights
        if store.pull_policy == "auto" and not store.offline:
            return True
        return all(self._known(name) for name in store.with_parts(model))

    def _known(self, model: str) -> bool:
        store = self.studio.weights
        if any(listed.here for listed in store.models() if listed.model.name == model):
            return True
        folder = f"models--{store.model(model).repository.replace('/', '--')}"
        return any((cache / folder / "snapshots").is_dir() for cache in store.caches)


def backend_of(engine: str) -> str:
    """The backend an engine belongs to."""
    family = next((name for name, members in _FAMILIES.items() if engine in members), engine)
    return family.replace("-", "_")

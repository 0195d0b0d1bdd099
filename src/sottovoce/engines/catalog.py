"""Which engines there are, in which order they are tried, and why one was passed over.

Built-in engines and third parties' enter by the same entry points. `auto` walks the user's order: an engine that is unavailable, cannot do
what is asked, or fails is recorded as skipped. An engine asked for by name never gives way to another.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar, cast

from pydantic import ValidationError

from sottovoce import errors
from sottovoce.engines.base import (
    Capabilities,
    Engine,
    EngineOptions,
    Enhancer,
    Generator,
    MoodReader,
    Separator,
    Unavailable,
)
from sottovoce.recipe import Skipped
from sottovoce.weights.store import Store

EngineT = TypeVar("EngineT", bound=Engine)
ResultT = TypeVar("ResultT")

AUTO = "auto"

#: Options that have an error of their own.
OPTION_ERRORS: Mapping[str, type[errors.RequestError]] = {
    "steps": errors.InvalidInferenceSteps,
    "guidance": errors.InvalidGuidanceScale,
    "scheduler": errors.InvalidScheduler,
}


@dataclass(frozen=True)
class Kind(Generic[EngineT]):
    """A kind of engine: what it is called, and the entry points it comes in by."""

    title: str
    group: str


GENERATORS: Kind[Generator] = Kind("generator", "sottovoce.generators")
SEPARATORS: Kind[Separator] = Kind("separator", "sottovoce.separators")
MOOD_READERS: Kind[MoodReader] = Kind("mood reader", "sottovoce.mood_readers")
ENHANCERS: Kind[Enhancer] = Kind("enhancer", "sottovoce.enhancers")
KINDS: tuple[Kind[Any], ...] = (GENERATORS, SEPARATORS, MOOD_READERS, ENHANCERS)


@dataclass(frozen=True)
class Ran(Generic[EngineT, ResultT]):
    """What came of it: the engine that did it, its result, and the engines passed over before."""

    engine: EngineT
    result: ResultT
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True)
class Catalog:
    """The engines of this machine.

    `orders` is the user's order per kind (by group), the last being the built-in one; `configs` the settings section of each engine that
    has one, by section name; `weights` are the model files that engines with trained models are given.
    """

    orders: Mapping[str, Sequence[str]]
    configs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    device: str = "auto"
    weights: Store | None = None
    _loaded: dict[tuple[str, str], Engine] = field(default_factory=dict, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def get(self, kind: Kind[EngineT], name: str) -> EngineT:
        """The engine of that name (`-` or `_`); InvalidBackend lists those there are."""
        plain = parse_engine(name)
        with self._lock:
            key = (kind.group, plain)
            if key not in self._loaded:
                self._loaded[key] = self._make(kind, plain)
            return cast("EngineT", self._loaded[key])

    def preload(self, kind: Kind[EngineT], name: str, engine: EngineT) -> None:
        """Use this engine for that name: for one made by the caller."""
        with self._lock:
            self._loaded[kind.group, parse_engine(name)] = engine

    def all(self, kind: Kind[EngineT]) -> list[EngineT]:
        """Every engine of a kind: the user's order first, then the rest by name."""
        order = [name for name in self.order(kind) if name in engine_names(kind)]
        return [self.get(kind, name) for name in [*order, *(n for n in engine_names(kind) if n not in order)]]

    def order(self, kind: Kind[Any]) -> tuple[str, ...]:
        """The names `auto` walks."""
        return tuple(dict.fromkeys(parse_engine(name) for name in self.orders.get(kind.group, ())))

    def described(self, kind: Kind[Any], engine: Engine) -> dict[str, Any]:
        """What an engine is and can do, its place in `auto`, and what it lacks: ready for JSON."""
        missing, order = engine.unavailable(), self.order(kind)
        return {
            "name": engine.name,
            "title": engine.title,
            "version": engine.version,
            "auto": order.index(engine.name) + 1 if engine.name in order else None,
            "ready": missing is None,
            "reason": missing and missing.reason,
            "cure": missing and missing.cure,
            "capabilities": _abilities(engine.capabilities),
            "options": engine.Options.model_json_schema().get("properties", {}),
        }

    def run(
        self,
        kind: Kind[EngineT],
        asked: str,
        call: Callable[[EngineT], ResultT],
        *,
        first: Sequence[str] = (),
    ) -> Ran[EngineT, ResultT]:
        """Do `call` with the engine asked for, or with the first of `first` and the user's order that can.

        If none can: InvalidParameter where all that are ready refuse the request, else ModelInferenceFailed; both give every reason.
        """
        if parse_engine(asked) != AUTO:
            engine = self.ready(kind, asked)
            return Ran(engine, call(engine), ())
        failed: dict[str, errors.SottovoceError] = {}
        for name in dict.fromkeys([*map(parse_engine, first), *self.order(kind)]):
            try:
                engine = self.ready(kind, name)
                return Ran(engine, call(engine), _skipped(failed))
            except (errors.EngineError, errors.RequestError) as error:
                failed[name] = error
        raise _none_left(kind, failed)

    def ready(self, kind: Kind[EngineT], name: str) -> EngineT:
        """The engine of that name if it can run here; BackendNotInstalled says why not and what to type."""
        engine = self.get(kind, name)
        missing = engine.unavailable()
        if missing is not None:
            raise _not_ready(engine, missing)
        return engine

    def store(self) -> Store:
        """The model files; for what fetches them."""
        if self.weights is None:
            raise errors.ModelNotFound("these engines were made without a place for model files")
        return self.weights

    def close(self) -> None:
        """Give back what every engine holds."""
        with self._lock:
            for engine in self._loaded.values():
                engine.close()
            self._loaded.clear()

    def _make(self, kind: Kind[EngineT], name: str) -> EngineT:
        point = _entry_points(kind.group).get(name)
        if point is None:
            raise errors.InvalidBackend(
                f"no {kind.title} is called {name!r}; there are {', '.join(engine_names(kind))} and {AUTO}"
            )
        cls = _load(point)
        try:
            config = cls.Config.model_validate(dict(self.configs.get(cls.section or "", {})))
        except ValidationError as error:
            raise errors.InvalidParameter(
                f"the settings of {name} are wrong: {_first_problem(error)}",
                hint=f"`sotto config show` says where engines.{cls.section} comes from.",
            ) from None
        return cast("EngineT", cls(config, self.weights, self.device))


def engine_names(kind: Kind[Any]) -> tuple[str, ...]:
    """The names of all engines of a kind that are installed."""
    return tuple(sorted(_entry_points(kind.group)))


def parse_engine(name: str) -> str:
    """The name as it is written here: lower case with `-`."""
    return name.strip().lower().replace("_", "-")


def options_for(engine: Engine, raw: Mapping[str, Any]) -> EngineOptions:
    """The engine's own options from loose ones; InvalidParameter (or the option's own error) names the field, its range and the fields there are."""
    try:
        return engine.Options.model_validate(dict(raw))
    except ValidationError as error:
        known = ", ".join(engine.Options.model_fields) or "none"
        refusal = OPTION_ERRORS.get(str(error.errors()[0]["loc"][0]), errors.InvalidParameter)
        raise refusal(f"{engine.name} option {_first_problem(error)}; its options are: {known}") from None


def _abilities(capabilities: Capabilities) -> dict[str, Any]:
    shortest, longest = capabilities.seconds
    return {**vars(capabilities), "seconds": [shortest, longest if math.isfinite(longest) else None]}


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg'].removeprefix('Value error, ')}"


@cache
def _entry_points(group: str) -> dict[str, EntryPoint]:
    return {parse_engine(point.name): point for point in entry_points(group=group)}


def _load(point: EntryPoint) -> Any:
    """The engine's class; BackendNotInstalled if a third party's module is broken, or lacks what it imports."""
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        raise errors.BackendNotInstalled(
            f"{point.name} cannot be loaded from {point.value}: {error}",
            hint="Install what it needs, or remove the package it comes in.",
        ) from error


def _skipped(failed: Mapping[str, errors.SottovoceError]) -> tuple[Skipped, ...]:
    return tuple(
        Skipped(engine=name, reason=error.message.removeprefix(_cannot_run(name)), cure=error.hint)
        for name, error in failed.items()
    )


def _cannot_run(name: str) -> str:
    return f"{name} cannot run here: "


def _not_ready(engine: Engine, missing: Unavailable) -> errors.BackendNotInstalled:
    return errors.BackendNotInstalled(f"{_cannot_run(engine.name)}{missing.reason}", hint=missing.cure)


def _none_left(kind: Kind[Any], failed: Mapping[str, errors.SottovoceError]) -> errors.SottovoceError:
    reasons = "; ".join(f"{skip.engine}: {skip.reason}" for skip in _skipped(failed))
    message = f"no {kind.title} could do it ({reasons or 'the order in the settings is empty'})"
    answers = [error for error in failed.values() if not isinstance(error, errors.BackendNotInstalled)]
    if answers and all(isinstance(error, errors.RequestError) for error in answers):
        return errors.InvalidParameter(message, hint="`sotto engines NAME` shows what an engine takes.")
    return errors.ModelInferenceFailed(message, hint="`sotto engines` shows what each one needs.")

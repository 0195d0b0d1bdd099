"""Pull: the weights of a model, fetched as a job."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from sottovoce.engines.catalog import Catalog
from sottovoce.progress import OnProgress, within
from sottovoce.tasks.outcome import Outcome, TaskRun
from sottovoce.tasks.request import Request
from sottovoce.weights.store import Store

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,79}$")]


class Pull(Request):
    """Ask for models to be fetched."""

    kind: Literal["pull"] = "pull"
    names: Annotated[
        tuple[Name, ...], Field(min_length=1, max_length=50, description="models, as `sotto models list` names them")
    ]
    accept_licence: Annotated[bool, Field(description="say yes to a licence that does not allow every use")] = False


def pull(request: Pull, engines: Catalog, run: TaskRun) -> Outcome:
    """Fetch what is missing of the models and of their parts, going on where an earlier pull stopped."""
    store = engines.store()
    wanted = tuple(dict.fromkeys(part for name in request.names for part in store.with_parts(name)))
    for index, name in enumerate(wanted):
        share = within(run.progress, 100 * index / len(wanted), 100 * (index + 1) / len(wanted))
        fetched(store, name, share, accept_licence=request.accept_licence)
    return Outcome("pull", report={"pulled": wanted})


def fetched(store: Store, name: str, progress: OnProgress, *, accept_licence: bool) -> tuple[Path, ...]:
    """The files of one model, here and in the layout that its engine reads; without the engine's packages that is left to its first use."""
    paths = store.pull(name, progress, accept_licence=accept_licence)
    if store.model(name).convert == "ace-step" and find_spec("torch") is not None:
        from sottovoce.engines.ace_step.conversion import prepared

        prepared(store, name, progress)
    return paths

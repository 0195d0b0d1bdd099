"""The application: its layers, its routes, and how uvicorn is to run it."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from anyio.to_thread import current_default_thread_limiter, run_sync
from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from sottovoce import errors
from sottovoce.library.renditions import Renditions
from sottovoce.library.tokens import Tokens
from sottovoce.server.access import Access, is_alone
from sottovoce.server.answers import Boundary, answer_errors
from sottovoce.server.api import (
    engines,
    enhance,
    jobs,
    lalalai,
    models,
    sessions,
    settings,
    sound,
    status,
    tracks,
    uploads,
)
from sottovoce.server.asked import House
from sottovoce.server.dialects import ace_step, musicgen, processing, separation
from sottovoce.server.dialects.songs import drop_songs
from sottovoce.server.events import Hub
from sottovoce.server.gate import Gate
from sottovoce.server.limits import buckets
from sottovoce.settings.serving import ServerSettings
from sottovoce.studio import Studio
from sottovoce.tasks import TASKS
from sottovoce.version import __version__

if TYPE_CHECKING:
    import uvicorn

log = logging.getLogger(__name__)

ROUTERS = (
    status.router,
    sessions.router,
    jobs.router,
    uploads.router,
    tracks.router,
    sound.router,
    engines.router,
    jobs.estimates,
    enhance.router,
    lalalai.router,
    models.router,
    settings.router,
    ace_step.router,
    musicgen.router,
    processing.router,
    separation.router,
)

#: Requests worked on at once; each holds a thread, those that receive a file or wait for their turn for long.
_THREADS = 80
#: How long what is being sent may take to end when the server stops; streams of events never end by themselves.
_GRACE_SECONDS = 5
_SWEEP_SECONDS = 600.0


def make_app(studio: Studio) -> FastAPI:
    """The application for a studio, which stays the caller's to close; InvalidParameter or InputUnreadable for settings that cannot be served.

    The token in `server.token_file` becomes an administrator's.
    """
    settings = studio.settings.server
    _check_proxies(settings)
    _seed(studio.tokens, settings.token_file)
    access = Access(settings, studio.tokens)
    app = FastAPI(
        title="Sottovoce",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    renditions = Renditions(studio.settings.library_folder() / "cache" / "formats")
    app.state.house = House(studio, access, Hub(studio.queue), renditions)
    for router in ROUTERS:
        app.include_router(router)
    answer_errors(app)
    _document(app)
    app.add_middleware(Gate, access=access, rates=buckets(settings.rate_per_minute, settings.heavy_per_minute))
    app.add_middleware(Boundary)
    return app


def check_open(studio: Studio) -> None:
    """Before listening: Unauthorized if others could reach the server and nobody could come in, as there is no token."""
    settings = studio.settings.server
    _seed(studio.tokens, settings.token_file)
    if not is_alone(settings) and not studio.tokens.exist():
        raise errors.Unauthorized(
            "others can reach this server, so it needs tokens, and there is none",
            hint="Run `sotto token create NAME --admin`, or set server.token_file.",
        )


def uvicorn_config(app: FastAPI, settings: ServerSettings, **more: Any) -> uvicorn.Config:
    """How uvicorn runs it: forwarded headers are for `access` to judge, not for uvicorn."""
    import uvicorn

    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        proxy_headers=False,
        server_header=False,
        access_log=False,
        ws="none",
        timeout_graceful_shutdown=_GRACE_SECONDS,
        **more,
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    current_default_thread_limiter().total_tokens = _THREADS
    async with anyio.create_task_group() as beside:
        beside.start_soon(_sweep, app.state.house.studio)
        yield
        beside.cancel_scope.cancel()


async def _sweep(studio: Studio) -> None:
    """Delete what came with jobs that have ended, now and every ten minutes; a worker sweeps the rest."""
    while True:
        try:
            await run_sync(drop_songs, studio)
        except errors.StorageError as error:
            log.warning("not all was swept: %s", error.message, extra={"code": error.code})
        await anyio.sleep(_SWEEP_SECONDS)


def _check_proxies(settings: ServerSettings) -> None:
    for proxy in settings.trusted_proxies:
        try:
            ipaddress.ip_network(proxy, strict=False)
        except ValueError:
            raise errors.InvalidParameter(
                f"server.trusted_proxies: {proxy!r} is no address",
                hint="Write addresses or networks, such as 10.0.0.0/8.",
            ) from None


def _seed(tokens: Tokens, file: Path | None) -> None:
    if file is None:
        return
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise errors.InputUnreadable(f"server.token_file: {file} cannot be read ({error})") from error
    tokens.seed(secret)


def _document(app: FastAPI) -> None:
    """Add the requests of all tasks to the documentation, each with the `lane` that every job may name."""
    bare = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            requests = [(task.request, "validation") for task in TASKS.values()]
            _, made = models_json_schema(requests, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
            for task in TASKS.values():
                made["$defs"][task.request.__name__]["properties"]["lane"] = {"enum": ["interactive", "batch"]}
            bare().setdefault("components", {}).setdefault("schemas", {}).update(made["$defs"])
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]

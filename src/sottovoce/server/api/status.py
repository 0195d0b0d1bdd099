"""How the server is: whether it lives, and its figures for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from fastapi import APIRouter
from starlette.responses import Response

from sottovoce.jobs.job import State
from sottovoce.library.figures import figures
from sottovoce.server.answers import Json
from sottovoce.server.asked import Admin, StudioHere
from sottovoce.server.device import auto_device
from sottovoce.version import __version__

router = APIRouter(tags=["status"])

_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/health")
def health(studio: StudioHere) -> Json:
    """Whether the server answers; in the shapes of the ACE-Step and the MusicGen server at once. Needs no token."""
    about: dict[str, Any] = {"status": "ok", "service": "sottovoce", "version": __version__}
    asked = studio.settings.demucs.device
    device = auto_device() if asked == "auto" else asked
    return Json(
        {
            "status": "ok",
            "device": device,
            "gpu_available": device.startswith("cuda"),
            "mps_available": device == "mps",
            # Workers load them when a job needs them, as that server does.
            "models_loaded": {"musicgen": False, "demucs": False},
            "data": {**about, "models_initialized": True},
            "code": 200,
            "error": None,
            "timestamp": round(time.time() * 1000),
        }
    )


@router.get("/metrics")
def metrics(studio: StudioHere, _caller: Admin) -> Response:
    """Jobs and tracks in figures, as Prometheus reads them; for administrators, as they are of everyone's."""
    held = figures(studio.library.database)
    lines = [
        *_gauge("sottovoce_jobs", "Jobs by state.", {f'{{state="{s}"}}': n for s, n in _jobs(studio.queue.counts())}),
        *_gauge("sottovoce_tracks", "Tracks in the library.", {"": held.tracks}),
        *_gauge("sottovoce_tracks_seconds", "Length of all tracks.", {"": held.seconds}),
        *_gauge("sottovoce_library_bytes", "Bytes of all files of the library.", {"": held.bytes}),
        *_gauge("sottovoce_info", "The version that runs.", {f'{{version="{__version__}"}}': 1}),
    ]
    return Response("\n".join(lines) + "\n", media_type=_PROMETHEUS)


def _jobs(counts: Mapping[State, int]) -> Iterator[tuple[State, int]]:
    for state in get_args(State):
        yield state, counts.get(state, 0)


def _gauge(name: str, meaning: str, values: Mapping[str, float]) -> Iterator[str]:
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} gauge"
    for labels, value in values.items():
        yield f"{name}{labels} {value:.17g}"

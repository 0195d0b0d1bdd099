"""Engines: what is here, what it can do, and what the rest needs."""

from __future__ import annotations

from fastapi import APIRouter

from sottovoce.engines.catalog import KINDS
from sottovoce.server.answers import Json
from sottovoce.server.asked import StudioHere

router = APIRouter(prefix="/api/engines", tags=["engines"])


@router.get("")
def list_engines(studio: StudioHere) -> Json:
    """Every engine by its kind: the ones `auto` tries first, in that order."""
    catalog = studio.engines
    return Json({kind.title: [catalog.described(kind, engine) for engine in catalog.all(kind)] for kind in KINDS})

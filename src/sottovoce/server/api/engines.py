"""Engines: what is here, what it can do, and what the rest needs."""

from __future__ import annotations

import math
from typing import Any

from fastapi import APIRouter

from sottovoce.engines.base import Capabilities, Engine
from sottovoce.engines.catalog import KINDS, Catalog, Kind
from sottovoce.server.answers import Json
from sottovoce.server.asked import StudioHere

router = APIRouter(prefix="/api/engines", tags=["engines"])


@router.get("")
def list_engines(studio: StudioHere) -> Json:
    """Every engine by its kind: the ones `auto` tries first, in that order."""
    catalog = studio.engines
    return Json({kind.title: [_described(catalog, kind, engine) for engine in catalog.all(kind)] for kind in KINDS})


def _described(catalog: Catalog, kind: Kind[Any], engine: Engine) -> dict[str, Any]:
    missing, order = engine.unavailable(), catalog.order(kind)
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


def _abilities(capabilities: Capabilities) -> dict[str, Any]:
    shortest, longest = capabilities.seconds
    return {**vars(capabilities), "seconds": [shortest, longest if math.isfinite(longest) else None]}

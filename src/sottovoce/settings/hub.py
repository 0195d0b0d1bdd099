"""Where the tools of Hugging Face are told to look, by the variables they all read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class HubPlaces:
    """Where the tools of Hugging Face are told to look: address (None: the usual), cache folder, and whether to stay offline."""

    endpoint: str | None
    cache: Path
    offline: bool


def hub_places(environ: Mapping[str, str] | None = None) -> HubPlaces:
    """What HF_ENDPOINT, HF_HUB_CACHE, HF_HOME and HF_HUB_OFFLINE say."""
    environ = os.environ if environ is None else environ
    home = Path(environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()
    cache = Path(environ.get("HF_HUB_CACHE") or home / "hub").expanduser()
    offline = environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "on", "yes", "true")
    return HubPlaces(environ.get("HF_ENDPOINT") or None, cache, offline)

"""Sottovoce, a self-hosted music studio: `generate`, `separate`, `score`, or a whole `Studio`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sottovoce.audio import Audio, Stem
    from sottovoce.calls import generate, mood, score, separate, separate_array
    from sottovoce.client.async_client import AsyncClient
    from sottovoce.client.client import Client
    from sottovoce.errors import Cancelled, SottovoceError
    from sottovoce.library.track import Track
    from sottovoce.moods import Mood
    from sottovoce.progress import Progress
    from sottovoce.prompt import Key, Prompt
    from sottovoce.recipe import Recipe
    from sottovoce.settings import Settings
    from sottovoce.studio import Done, Studio
    from sottovoce.version import __version__

#: Where each public name lives; it is imported when first used, so that `import sottovoce` is quick.
_HOMES = {
    "AsyncClient": "client.async_client",
    "Audio": "audio",
    "Cancelled": "errors",
    "Client": "client.client",
    "Done": "studio",
    "Key": "prompt",
    "Mood": "moods",
    "Progress": "progress",
    "Prompt": "prompt",
    "Recipe": "recipe",
    "Settings": "settings",
    "SottovoceError": "errors",
    "Stem": "audio",
    "Studio": "studio",
    "Track": "library.track",
    "__version__": "version",
    "generate": "calls",
    "mood": "calls",
    "score": "calls",
    "separate": "calls",
    "separate_array": "calls",
}

__all__ = [
    "AsyncClient",
    "Audio",
    "Cancelled",
    "Client",
    "Done",
    "Key",
    "Mood",
    "Progress",
    "Prompt",
    "Recipe",
    "Settings",
    "SottovoceError",
    "Stem",
    "Studio",
    "Track",
    "__version__",
    "generate",
    "mood",
    "score",
    "separate",
    "separate_array",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

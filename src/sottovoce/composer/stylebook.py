"""The styles there are, and which of them stands in for a style that is only known by name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from sottovoce.composer import styles
from sottovoce.composer.style import Style


@lru_cache(maxsize=1)
def stylebook() -> Mapping[str, Style]:
    """Every style by name: each module of `styles/` holds one as `STYLE`."""
    names = sorted(info.name for info in pkgutil.iter_modules(styles.__path__))
    found = [importlib.import_module(f"{styles.__name__}.{name}").STYLE for name in names]
    return MappingProxyType({style.name: style for style in found})


@dataclass(frozen=True)
class StandIn:
    """What is played where a style is missing: the nearest styles in order, and what makes them lean its way."""

    styles: tuple[str, ...]
    instruments: tuple[str, ...] = ()
    #: Place within the stand-in's range of tempi, 0 slowest to 1 fastest; None is the usual.
    pace: float | None = None


STAND_INS: dict[str, StandIn] = {
    "cinematic": StandIn(("orchestral", "ambient"), ("string_ensemble", "choir")),
    "orchestral": StandIn(("cinematic", "piano"), ("string_ensemble",)),
    "jazz": StandIn(("bossa", "lofi"), ("felt_piano", "upright_bass", "drum_kit_brush", "vibes")),
    "bossa": StandIn(("jazz", "lofi"), ("nylon_guitar", "upright_bass", "drum_kit_brush", "flute"), 0.8),
    "acoustic": StandIn(("indie", "lofi"), ("nylon_guitar", "upright_bass", "drum_kit_brush"), 0.7),
    "indie": StandIn(("corporate", "lofi"), ("muted_guitar", "electric_bass", "bell"), 1.0),
    "rock": StandIn(("indie", "lofi"), ("muted_guitar", "electric_bass"), 1.0),
    "house": StandIn(("synthwave", "lofi"), ("sub_bass", "pad_warm"), 1.0),
    "synthwave": StandIn(("house", "lofi"), ("sub_bass", "pad_warm"), 1.0),
    "hiphop": StandIn(("downtempo", "lofi"), ("sub_bass",), 0.8),
    "funk": StandIn(("downtempo", "lofi"), ("e_piano", "electric_bass", "muted_guitar"), 1.0),
    "downtempo": StandIn(("lofi", "ambient"), ("e_piano", "pad_warm")),
    "corporate": StandIn(("indie", "lofi"), ("felt_piano", "muted_guitar", "bell"), 1.0),
    "holiday": StandIn(("orchestral", "piano"), ("bell", "string_ensemble"), 0.8),
    "spa": StandIn(("ambient",), ("flute", "bell"), 0.1),
}


def stand_in(name: str) -> str:
    """The style that is there and nearest to a missing one."""
    there = stylebook()
    return next((style for style in STAND_INS[name].styles if style in there), next(iter(there)))

"""What kind of server answers at an address: ports clash, and a MusicGen server knows nothing of ACE-Step's routes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sottovoce.engines.base import Unavailable

ACE_STEP, ACE_STEP_GRADIO, MUSICGEN = "ACE-Step", "ACE-Step's Gradio app", "MusicGen"
#: Our own server, which speaks the wires of the others.
SOTTOVOCE = "Sottovoce"
#: Seconds an answer counts for, and seconds that are waited for one.
_FRESH_SECONDS, _LONGEST_SECONDS = 5.0, 3.0


@dataclass(frozen=True)
class Health:
    """What `/health` said: the kind of server (None: not one of those known), what else it told, and why it said nothing."""

    kind: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    trouble: str = ""


class Door:
    """The `/health` of the server at `base`, asked at most every few seconds. `/health` wants no key, so none is sent."""

    def __init__(self, base: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._base, self._clock = base.rstrip("/"), clock
        self._heard: tuple[float, Health] | None = None

    def health(self) -> Health:
        """What it says now, or said a moment ago."""
        if self._heard is None or self._clock() - self._heard[0] > _FRESH_SECONDS:
            self._heard = (self._clock(), _asked(f"{self._base}/health"))
        return self._heard[1]

    def unavailable(self, wanted: tuple[str, ...], setting: str, example: str) -> Unavailable | None:
        """Why the server is none of the kinds wanted, and what to type."""
        health, place = self.health(), shown(self._base)
        name = f"`sotto config set {setting} URL`"
        if health.trouble:
            return Unavailable(
                f"no server answers at {place} ({health.trouble})", f"Start it there, or name another: {name}."
            )
        if health.kind in (*wanted, SOTTOVOCE):
            return None
        what = f"a server of another kind ({health.kind})" if health.kind else "a server of another kind"
        return Unavailable(
            f"{place} is {what}, and {wanted[0]} is what {setting} is for",
            f"Name the right one: {name}, such as {example}.",
        )


def kind_of(said: object) -> Health:
    """The kind of server that answers `/health` so."""
    facts = said.get("data", said) if isinstance(said, Mapping) else None
    if not isinstance(facts, Mapping):
        return Health()
    name = str(facts.get("service") or "").lower()
    if name == "sottovoce":
        return Health(SOTTOVOCE, facts)
    if "ace-step" in name:
        return Health(ACE_STEP_GRADIO if "gradio" in name else ACE_STEP, facts)
    if "models_initialized" in facts:
        return Health(ACE_STEP, facts)
    models = facts.get("models_loaded")
    if isinstance(models, Mapping) and "musicgen" in models:
        return Health(MUSICGEN, facts)
    return Health(None, facts)


def shown(base: str) -> str:
    """An address as it may be shown: without a name and password that may stand in it."""
    from httpx import URL

    return str(URL(base).copy_with(userinfo=b"", path="/", query=None)).rstrip("/")


def _asked(url: str) -> Health:
    import httpx

    try:
        answer = httpx.get(url, timeout=_LONGEST_SECONDS, follow_redirects=False)
        return kind_of(answer.json()) if answer.status_code == 200 else Health()
    except ValueError:
        return Health()
    except httpx.InvalidURL as error:
        return Health(trouble=str(error))
    except httpx.TransportError as error:
        return Health(trouble=str(error) or type(error).__name__)

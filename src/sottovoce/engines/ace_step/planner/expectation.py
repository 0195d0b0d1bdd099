"""How long the language model is likely to take."""

from __future__ import annotations

from collections.abc import Mapping

from sottovoce.engines.ace_step.codes import CODES_A_SECOND
from sottovoce.engines.ace_step.options import PlannerSize

#: Tokens that a plan takes as a rule.
PLAN_TOKENS = 160
#: Tracks whose codes are written at once, for the sake of memory; each takes two rows.
TRACKS_AT_ONCE = 4
#: Seconds, until they were measured: of a token by device, and of loading by size.
_A_TOKEN = {"cuda": 0.03, "mps": 0.08, "cpu": 0.5}
_LOADING: Mapping[PlannerSize, float] = {"0.6B": 4.0, "1.7B": 8.0, "4B": 15.0}


def code_tokens(seconds: float, tracks: int) -> float:
    """Tokens, one after the other, that the codes of some tracks take."""
    return seconds * CODES_A_SECOND * -(-tracks // TRACKS_AT_ONCE)


def plan_share(seconds: float, tracks: int) -> float:
    """The part of a plan with codes, 0-1, that is over when the codes begin."""
    return PLAN_TOKENS / (PLAN_TOKENS + code_tokens(seconds, tracks))


def a_token(device: str) -> float:
    """Seconds that a token takes on a device."""
    return _A_TOKEN[device.partition(":")[0]]


def loading(size: PlannerSize) -> float:
    """Seconds that loading takes."""
    return _LOADING[size]

"""From scores to tokens: guidance, the choices there are, top-k, top-p, temperature, and at last the draw, in this order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Sampling:
    """How freely tokens are drawn: temperature (0: the likeliest), top-p (0-1, of the likeliest so much), top-k (None: all)."""

    temperature: float = 0.85
    top_p: float = 0.9
    top_k: int | None = None


#: As the model's authors draw plans and codes.
USUAL = Sampling()


def guided(scores: torch.Tensor, without: torch.Tensor, scale: float) -> torch.Tensor:
    """Scores led away from those without conditions; at 1 the scores themselves."""
    return scores if scale == 1 else without + scale * (scores - without)


def draw(scores: torch.Tensor, sampling: Sampling, generators: Sequence[torch.Generator]) -> list[int]:
    """A place for each row of scores [rows, choices], drawn by the generator of that row.

    Drawn on the processor, so that a seed means the same on every device that gives the same scores.
    """
    if sampling.temperature == 0:
        likeliest: list[int] = scores.argmax(-1).tolist()
        return likeliest
    ordered, places = scores.float().sort(dim=-1, descending=True, stable=True)
    ordered, places = ordered[:, : sampling.top_k].double().cpu(), places.cpu()
    shares = ordered.softmax(-1)
    kept = (shares.cumsum(-1) - shares < sampling.top_p).sum(-1).clamp(min=1)
    return [
        _drawn(ordered[row, : int(kept[row])] / sampling.temperature, places[row], generator)
        for row, generator in enumerate(generators)
    ]


def _drawn(scores: torch.Tensor, places: torch.Tensor, generator: torch.Generator) -> int:
    return int(places[int(torch.multinomial(scores.softmax(0), 1, generator=generator))])

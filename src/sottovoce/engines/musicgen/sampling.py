"""Tokens drawn one position after the other, in MusicGen's delayed pattern: each codebook begins one position after the one before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sottovoce import errors
from sottovoce.engines.musicgen.network import Session

#: Where a token is to be drawn.
_OPEN = -1


@dataclass(frozen=True)
class Taste:
    """How tokens are drawn: guidance (1: none), among how many likeliest, how boldly."""

    guidance: float
    top_k: int
    temperature: float


@dataclass(frozen=True)
class Layout:
    """A model's codebooks: how many, for how many channels (interleaved), and the token that stands where there is none."""

    codebooks: int
    sides: int
    pad: int

    @property
    def lags(self) -> tuple[int, ...]:
        """By how many positions each codebook comes late."""
        return tuple(codebook // self.sides for codebook in range(self.codebooks))

    def positions(self, frames: int) -> int:
        """How many positions so many frames take: one to begin with, and those of the latest codebook."""
        return 1 + frames + max(self.lags)

    def pattern(self, known: Tensor, frames: int) -> Tensor:
        """[codebooks, positions] of so many frames that begin with those known [codebooks, frames]; -1 where a token is to be drawn."""
        pattern = torch.full((self.codebooks, self.positions(frames)), self.pad, dtype=torch.long, device=known.device)
        for row, codes, lag in zip(pattern, known, self.lags, strict=True):
            row[1 + lag : 1 + lag + frames] = _OPEN
            row[1 + lag : 1 + lag + len(codes)] = codes
        return pattern

    def frames(self, tokens: Tensor) -> Tensor:
        """The frames [codebooks, frames] of a filled pattern."""
        count = tokens.shape[1] - self.positions(0)
        return torch.stack([row[1 + lag : 1 + lag + count] for row, lag in zip(tokens, self.lags, strict=True)])


def drawn(
    session: Session, pattern: Tensor, first: int, taste: Taste, generator: torch.Generator, done: Callable[[int], None]
) -> Tensor:
    """The pattern with every open place filled, from position `first` on; `done` hears of each position and may raise.

    ModelInferenceFailed if the network's scores are no numbers.
    """
    tokens, last = pattern.clone(), pattern.shape[1]
    scores = session.advance(tokens[:, :first], lambda: done(0))
    for position in range(first, last):
        token = _draw(scores, taste, generator)
        tokens[:, position] = torch.where(pattern[:, position] == _OPEN, token, pattern[:, position])
        done(position + 1 - first)
        if position + 1 < last:
            scores = session.advance(tokens[:, position : position + 1], lambda: None)
    return tokens


def _draw(scores: Tensor, taste: Taste, generator: torch.Generator) -> Tensor:
    """A token of each codebook from scores [rows, codebooks, vocabulary]: the steps of transformers' sampling, in its order."""
    if not torch.isfinite(scores).all():
        raise errors.ModelInferenceFailed("MusicGen's network gave scores that are no numbers")
    chosen = scores[0]
    if taste.guidance > 1:
        chosen = scores[1] + (scores[0] - scores[1]) * taste.guidance
    if taste.temperature != 1.0:
        chosen = chosen / taste.temperature
    least = torch.topk(chosen, min(taste.top_k, chosen.shape[-1]))[0][..., -1, None]
    likely = torch.softmax(chosen.masked_fill(chosen < least, -torch.inf), dim=-1)
    return torch.multinomial(likely, num_samples=1, generator=generator)[:, 0]

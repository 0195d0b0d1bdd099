"""A piece of music as codes: its windows one after the other, each going on from the end of the one before."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sottovoce.engines.musicgen.melody import chroma, excerpt
from sottovoce.engines.musicgen.model import Model
from sottovoce.engines.musicgen.network import Condition, Session
from sottovoce.engines.musicgen.sampling import Taste, drawn
from sottovoce.engines.musicgen.windows import FRAMES_A_SECOND, Window, windows


@dataclass(frozen=True, eq=False)
class Wish:
    """What is to be made: a caption, a length in seconds, a seed, how it is drawn, and a recording to follow at the codec's rate."""

    caption: str
    seconds: float
    seed: int
    taste: Taste
    melody: NDArray[np.float32] | None = None

    @property
    def windows(self) -> tuple[Window, ...]:
        """The windows it takes."""
        # Rounded first: 1.1 * 50 is a little more than 55.
        return windows(math.ceil(round(self.seconds * FRAMES_A_SECOND, 6)))


def codes(model: Model, wish: Wish, done: Callable[[int, int], None]) -> Tensor:
    """The codes [codebooks, frames] of a piece; `done` hears of each of its positions (which, of how many) and may raise.

    The generator is the piece's own and gives what torch's shared one gives at that seed, so nobody has to wait for it.
    """
    device, layout = model.network.device, model.layout
    generator = torch.Generator(device).manual_seed(wish.seed)
    steps = [layout.positions(window.frames) - 1 - window.context for window in wish.windows]
    made = torch.empty(layout.codebooks, 0, dtype=torch.long, device=device)
    condition = None
    for index, window in enumerate(wish.windows):
        if condition is None or wish.melody is not None:
            condition = _condition(model, wish, window)
        before = sum(steps[:index])
        frames = _window(
            model, made[:, window.start :], window, condition, _Drawing(wish.taste, generator, before, sum(steps), done)
        )
        made = torch.cat([made, frames[:, window.context :]], dim=1)
    return made


@dataclass(frozen=True, eq=False)
class _Drawing:
    """How a window is drawn, and how far the piece was before it."""

    taste: Taste
    generator: torch.Generator
    before: int
    total: int
    done: Callable[[int, int], None]

    def heard(self, count: int) -> None:
        """So many positions of this window are done."""
        self.done(self.before + count, self.total)


def _condition(model: Model, wish: Wish, window: Window) -> Condition:
    """What a window is to be like; a melody goes on from window to window."""
    tune = None
    if wish.melody is not None:
        rate = model.codec.rate
        tune = chroma(excerpt(wish.melody, window.start * rate // FRAMES_A_SECOND, rate), rate)
    return model.condition(wish.caption, tune, guided=wish.taste.guidance > 1)


def _window(model: Model, known: Tensor, window: Window, condition: Condition, drawing: _Drawing) -> Tensor:
    pattern = model.layout.pattern(known, window.frames)
    session = Session(model.network, condition, pattern.shape[1])
    first = 1 + window.context
    return model.layout.frames(drawn(session, pattern, first, drawing.taste, drawing.generator, drawing.heard))

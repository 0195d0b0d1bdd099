"""How long the parts of a run are likely to take: as they were measured with this pipeline, else by its size."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Protocol

#: Until it was measured: bytes a second that are read, operations a second by device, and passes that decoding is worth.
_READ_RATE = 1e9
_SPEEDS = {"cuda": 5e13, "mps": 3e12, "cpu": 2e11}
_DECODE_PASSES = 5.0
_FINISH_A_FRAME = 5e-4


class Work(Protocol):
    """What is to be done: latent frames of a track, passes of the network, and how many of them stand for one track a pass."""

    @property
    def frames(self) -> int:
        """Latent frames."""

    @property
    def passes(self) -> int:
        """Passes one after the other."""

    @property
    def passes_at_once(self) -> int:
        """The network's work for one track a pass."""


def expected(work: Work, tracks: int, numbers: int, device: str, learnt: Mapping[str, float]) -> dict[str, float]:
    """Seconds by stage, for a network of so many numbers; `learnt` are seconds a latent frame (and pass, where it renders)."""
    frames = work.frames * tracks
    one = learnt.get("render", numbers / _SPEEDS[device.partition(":")[0]])
    each = {
        "prepare": learnt.get("prepare", one),
        "render": one * work.passes_at_once * work.passes,
        "decode": learnt.get("decode", one * _DECODE_PASSES),
        "finish": learnt.get("finish", _FINISH_A_FRAME),
    }
    return {stage: seconds * frames for stage, seconds in each.items()}


def learn(work: Work, tracks: int, took: Mapping[str, float], learnt: MutableMapping[str, float]) -> None:
    """Take note of what a run took by stage."""
    for stage, seconds in took.items():
        passes = work.passes_at_once * work.passes if stage == "render" else 1
        learnt[stage] = seconds / (work.frames * tracks * passes)


def loading_share(size: int, rest: Mapping[str, float]) -> float:
    """The part of a whole run, 0-1, that reading so many bytes is likely to be."""
    seconds = size / _READ_RATE
    return seconds / (seconds + sum(rest.values()))

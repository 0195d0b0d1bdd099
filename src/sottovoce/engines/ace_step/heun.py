"""Heun's method over the pipeline's own schedule: each step is looked at from both its ends."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor


class FlowMatchHeunScheduler(FlowMatchEulerDiscreteScheduler):  # type: ignore[misc]
    """Takes the schedule as diffusers' Euler scheduler does, and runs each of its times but the first twice.

    diffusers' own Heun scheduler makes a schedule of its own and cannot be given one. The last step goes to 0, where the network says
    nothing, and stays Euler's: n steps are 2 n - 1 passes.
    """

    order = 2
    timesteps: Tensor

    def set_timesteps(self, *args: Any, **kwargs: Any) -> None:
        """As Euler's; `timesteps` then names each time as often as the network is asked there."""
        super().set_timesteps(*args, **kwargs)
        self.timesteps = torch.cat([self.timesteps[:1], self.timesteps[1:].repeat_interleave(2)])
        self._pass = 0
        self._start: tuple[Tensor, Tensor] | None = None

    def step(self, model_output: Tensor, timestep: Any, sample: Tensor, **_: Any) -> tuple[Tensor]:  # noqa: ARG002
        """The sample [batch, frames, channels] after a pass: first Euler's guess of the next time, then the mean of both slopes from its start."""
        at, second = (self._pass + 1) // 2, self._pass % 2 == 1
        self._pass += 1
        velocity = model_output.float()
        if second:
            assert self._start is not None, "every second pass has a first one"
            begun, first = self._start
            moved = begun + (self.sigmas[at] - self.sigmas[at - 1]) * (first + velocity) / 2
        else:
            begun = sample.float()
            self._start = (begun, velocity)
            moved = begun + (self.sigmas[at + 1] - self.sigmas[at]) * velocity
        return (moved.to(model_output.dtype),)

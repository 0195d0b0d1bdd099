"""A network on a device whose memory may not do: fewer chunks at once, and then the processor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sottovoce import errors
from sottovoce.engines.demucs.network import Network, Still


class Fitting:
    """A network for one job; `batch` is how many chunks went at once where not all did, `device` where it works by now.

    Where chunks do not fit, half as many are tried, down to one. Where not even one does, the processor takes over with `cpu_fallback`, and
    OutOfMemory is raised without it.
    """

    def __init__(self, network: Network, device: str, *, cpu_fallback: bool) -> None:
        self.rate, self.segment, self.fixed = network.rate, network.segment, network.fixed
        self.batch: int | None = None
        self._network, self._cpu_fallback = network, cpu_fallback
        # A job before this one may have left it on the processor.
        self.device = device

    @property
    def device(self) -> str:
        """Where it works."""
        return self._network.device

    @device.setter
    def device(self, device: str) -> None:
        self._network.device = device

    def input_frames(self, frames: int) -> int:
        """As the network says."""
        return self._network.input_frames(frames)

    def split(self, chunks: NDArray[np.float32], still: Still) -> NDArray[np.float32]:
        """Stems of chunks, in as many goes as it takes."""
        made: list[NDArray[np.float32]] = []
        first = 0
        while first < len(chunks):
            part = chunks[first : first + (self.batch or len(chunks))]
            stems = self._tried(part, still)
            if stems is None:
                self._retreat(len(part))
            else:
                made.append(stems)
                first += len(part)
        return np.concatenate(made)

    def _tried(self, part: NDArray[np.float32], still: Still) -> NDArray[np.float32] | None:
        """The stems, or None if there is a retreat; the error is gone by then, and with it what it held in memory."""
        try:
            return self._network.split(part, still)
        except errors.OutOfMemory:
            if len(part) == 1 and (self.device == "cpu" or not self._cpu_fallback):
                raise
            return None

    def _retreat(self, batch: int) -> None:
        if batch > 1:
            self.batch = batch // 2
        else:
            self.device = "cpu"

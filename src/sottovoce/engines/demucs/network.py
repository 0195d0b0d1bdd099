"""A network ready to run, as the block loop sees it: stereo chunks in, stems out; and the one that runs as demucs wrote it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import torch
from demucs.demucs import Demucs
from demucs.htdemucs import HTDemucs
from numpy.typing import NDArray

from sottovoce import errors
from sottovoce.engines.demucs.checkpoint import Module


class Network(Protocol):
    """Splits chunks of sound; `rate` in Hz, `segment` the chunk it was made for in frames, which is the only one if `fixed`."""

    rate: int
    segment: int
    fixed: bool

    def input_frames(self, frames: int) -> int:
        """How many frames it is given for a chunk of `frames`: the chunk lies in the middle of them."""

    def split(self, chunks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Stems [batch, stems, 2, frames] of chunks [batch, 2, frames]."""


class TorchNetwork:
    """The network as demucs wrote it, on any device torch has; with `reduced` its products are made in bfloat16."""

    def __init__(self, module: Module, device: str = "cpu", *, reduced: bool = False) -> None:
        self.rate = int(module.samplerate)
        self.segment = int(self.rate * module.segment)
        self.fixed = isinstance(module, HTDemucs)
        self._module = module.to(device)
        self._device, self._reduced = device, reduced

    def input_frames(self, frames: int) -> int:
        """HTDemucs has one length, Demucs the next that its strides divide, HDemucs takes any."""
        if isinstance(self._module, HTDemucs):
            return int(self._module.valid_length(frames))
        return int(self._module.valid_length(frames)) if isinstance(self._module, Demucs) else frames

    def split(self, chunks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Stems of chunks; OutOfMemory if the device cannot hold them."""
        with torch.inference_mode(), torch.autocast(self._device.split(":")[0], torch.bfloat16, enabled=self._reduced):
            try:
                stems = self._module(torch.from_numpy(chunks).to(self._device))
            except torch.OutOfMemoryError as error:
                raise errors.OutOfMemory(
                    f"{len(chunks)} chunks at once do not fit into the memory of {self._device}",
                    hint="Ask for a smaller batch, or for device cpu.",
                ) from error
        return np.asarray(stems.float().cpu().numpy(), np.float32)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """So many threads for torch while the context lasts."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)

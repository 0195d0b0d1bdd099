"""A network ready to run, as the block loop sees it: stereo chunks in, stems out; and the one that runs as demucs wrote it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeAlias

import numpy as np
import torch
from demucs.demucs import Demucs
from demucs.htdemucs import HTDemucs
from numpy.typing import NDArray
from torch import nn

from sottovoce import errors
from sottovoce.engines.demucs.checkpoint import Module

#: Called again and again while a network works; what it raises ends the work there and then.
Still: TypeAlias = Callable[[], None]
#: The layers before which it is called: each is short, and together they are most of the work.
_STEPS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.LayerNorm, nn.LSTM)


class Network(Protocol):
    """Splits chunks of sound; `rate` in Hz, `segment` the chunk it was made for in frames, which is the only one if `fixed`.

    `device` is where it works; it can be sent elsewhere between two calls, if it is one that runs there.
    """

    rate: int
    segment: int
    fixed: bool
    device: str

    def input_frames(self, frames: int) -> int:
        """How many frames it is given for a chunk of `frames`: the chunk lies in the middle of them."""

    def split(self, chunks: NDArray[np.float32], still: Still) -> NDArray[np.float32]:
        """Stems [batch, stems, 2, frames] of chunks [batch, 2, frames]; OutOfMemory if they are too many at once."""


class TorchNetwork:
    """The network as demucs wrote it, on any device torch has, where it stays between calls.

    With `reduced` its products are made in bfloat16, without it in true float32, which for graphics cards is not what torch does by itself.
    """

    def __init__(self, module: Module, device: str = "cpu", *, reduced: bool = False) -> None:
        self.rate = int(module.samplerate)
        self.segment = int(self.rate * module.segment)
        self.fixed = isinstance(module, HTDemucs)
        self.device = device
        self._module, self._reduced = module, reduced

    def input_frames(self, frames: int) -> int:
        """HTDemucs has one length, Demucs the next that its strides divide, HDemucs takes any."""
        if isinstance(self._module, HTDemucs):
            return int(self._module.valid_length(frames))
        return int(self._module.valid_length(frames)) if isinstance(self._module, Demucs) else frames

    def split(self, chunks: NDArray[np.float32], still: Still) -> NDArray[np.float32]:
        """Stems of chunks; OutOfMemory if the device cannot hold them, or the network itself."""
        try:
            module = self._module.to(self.device)
            with torch.inference_mode(), _arithmetic(self.device, reduced=self._reduced), _watched(module, still):
                stems = module(torch.from_numpy(chunks).to(self.device))
                return np.asarray(stems.float().cpu().numpy(), np.float32)
        except torch.OutOfMemoryError as error:
            raise errors.OutOfMemory(
                f"a batch of {len(chunks)} does not fit into the memory of {self.device}",
                hint="Say `--option device=cpu`, or `--option cpu_fallback=true` to go on there by itself.",
            ) from error


@contextmanager
def _arithmetic(device: str, *, reduced: bool) -> Iterator[None]:
    """How products are made while the context lasts, and always the same way."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if reduced else "highest")
    try:
        with (
            torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=reduced),
            torch.autocast(device.split(":", maxsplit=1)[0], torch.bfloat16, enabled=reduced),
        ):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def _watched(module: Module, still: Still) -> Iterator[None]:
    """Calls `still` before each step of the network while the context lasts."""
    steps = [part for part in module.modules() if isinstance(part, _STEPS)]
    hooks = [part.register_forward_pre_hook(lambda *_: still()) for part in steps]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """So many threads for torch while the context lasts."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)

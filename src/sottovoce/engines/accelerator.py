"""Where networks run: which device there is, how much memory is free on it, and the one random generator all of torch shares."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sottovoce import errors, machine

_SHARED = threading.RLock()


def resolved_device(asked: str) -> str:
    """`cpu`, `mps`, `cuda` or `cuda:1`; `auto` is a graphics card if there is one. InvalidParameter for one that is not here."""
    import torch

    if asked == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=asked)
    except (RuntimeError, AssertionError) as error:
        raise errors.InvalidParameter(
            f"there is no device {asked!r} here; use cpu", details={"torch": str(error).splitlines()[0]}
        ) from None
    return asked


def free_memory(device: str) -> int:
    """Bytes that can still be taken on a device."""
    import torch

    if device.startswith("cuda"):
        free, _ = torch.cuda.mem_get_info(device)
        return int(free)
    return machine.free_memory()


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """The one random generator that all of torch shares, at `seed` for the block and as before afterwards; others wait."""
    import torch

    cards = [torch.device(device)] if device.startswith("cuda") else []
    with _SHARED, torch.random.fork_rng(devices=cards):
        torch.manual_seed(seed)
        yield

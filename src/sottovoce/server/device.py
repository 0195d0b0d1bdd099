"""The device that engines with networks take by themselves, found without loading what runs them, which takes seconds."""

from __future__ import annotations

import ctypes
import platform
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_DRIVER = "libcuda.so.1"


@cache
def auto_device() -> str:
    """What `auto` comes to here: `cuda` or `mps` where torch can use such a graphics card, else `cpu`."""
    torch = find_spec("torch")
    if torch is None or torch.origin is None:
        return "cpu"
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return "mps"
    return "cuda" if _made_for_cuda(Path(torch.origin).with_name("version.py")) and _cards() else "cpu"


def _made_for_cuda(version: Path) -> bool:
    """Whether torch was built for graphics cards, as it says of itself."""
    said = version.read_text(encoding="utf-8") if version.is_file() else ""
    return bool(re.search(r"^cuda\b[^=]*= *['\"]", said, re.MULTILINE))


def _cards() -> int:
    """How many cards the driver gives to this process; none without a driver."""
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value

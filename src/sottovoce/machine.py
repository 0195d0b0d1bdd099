"""This machine, as recipes record it and work is sized by it."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

#: The libraries whose version can change the sound.
LIBRARIES = ("numpy", "scipy", "av", "soxr")


@cache
def processor() -> str:
    """The processor's name, as the system gives it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


@cache
def libraries() -> dict[str, str]:
    """Name and version of each library that shapes the sound."""
    return {name: version(name) for name in LIBRARIES}


def cores() -> int:
    """How many cores this process may use: those it is bound to, or fewer where a container's quota says so."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(bound, _quota() or bound))


def memory() -> int:
    """Bytes this machine has, or fewer where a container's limit says so."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = Path("/sys/fs/cgroup/memory.max")
    granted = limit.read_text(encoding="ascii").strip() if limit.exists() else "max"
    return whole if granted == "max" else min(whole, int(granted))


def free_memory() -> int:
    """Bytes that this process can still take: what the system has to give, or less where a container's limit says so."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    info = Path("/proc/meminfo")
    if info.exists():
        fields = dict(line.split(":", 1) for line in info.read_text(encoding="ascii").splitlines())
        free = int(fields["MemAvailable"].split()[0]) * 1024
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if not (limit.exists() and used.exists()) or (granted := limit.read_text(encoding="ascii").strip()) == "max":
        return free
    return max(0, min(free, int(granted) - int(used.read_text(encoding="ascii"))))


def _quota() -> int | None:
    """Whole cores granted by cgroup v2, if it grants a share."""
    limit = Path("/sys/fs/cgroup/cpu.max")
    if not limit.exists():
        return None
    quota, period = limit.read_text(encoding="ascii").split()
    return None if quota == "max" else int(quota) // int(period)

"""Real clips as arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from sottovoce.audio import Samples
from sottovoce.dsp.resample import resample
from sottovoce.media.decode import decode


@pytest.fixture(scope="session")
def clip(clips: Path) -> Callable[[str], Samples]:
    """Reads a real clip by name, at 48 kHz with two channels; each is decoded once."""

    @cache
    def read(name: str) -> Samples:
        audio = decode(clips / name, channels=2)
        samples = resample(audio.samples, audio.rate, 48_000)
        samples.flags.writeable = False
        return samples

    return read

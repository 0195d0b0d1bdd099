"""Sound with known content, and packets as they lie in a file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from sottovoce.audio import Audio


@pytest.fixture(scope="session")
def chord() -> Callable[..., Audio]:
    """`chord(rate, channels, frames)`: three tones below 2 kHz per channel, swelling, at about -12 dB."""

    def make(rate: int = 48_000, channels: int = 2, frames: int = 48_000) -> Audio:
        time = np.arange(frames) / rate
        swell = 0.6 + 0.4 * np.sin(2 * np.pi * 1.5 * time)
        tones = [
            sum(np.sin(2 * np.pi * (200 + 90 * channel) * part * time) for part in (1, 2, 3))
            for channel in range(channels)
        ]
        return Audio((0.1 * swell * np.array(tones)).astype(np.float32), rate)

    return make


@pytest.fixture(scope="session")
def clicks() -> Callable[..., Audio]:
    """`clicks(seconds, every, rate)`: a short pulse in the middle of each stretch of `every` seconds."""

    def make(seconds: float, every: float = 1.0, rate: int = 48_000) -> Audio:
        samples = np.zeros((2, round(seconds * rate)), np.float32)
        for start in np.arange(every / 2, seconds, every):
            first = round(start * rate)
            samples[:, first : first + rate // 1000] = 0.9
        return Audio(samples, rate)

    return make


@pytest.fixture(scope="session")
def onsets() -> Callable[[Audio], np.ndarray]:
    """`onsets(audio)`: where the pulses of `clicks` begin, in frames."""

    def find(audio: Audio) -> np.ndarray:
        loud = np.flatnonzero(audio.samples[0] > 0.45)
        return loud[np.insert(np.diff(loud) > audio.rate // 10, 0, True)]

    return find


@pytest.fixture(scope="session")
def picture_packets() -> Callable[[Path], list[str]]:
    """`picture_packets(path)`: the hash of each packet of the picture, in the order of the file."""

    def hashes(path: Path) -> list[str]:
        with av.open(str(path)) as container:
            return [hashlib.sha256(bytes(packet)).hexdigest() for packet in container.demux(video=0) if packet.size]

    return hashes

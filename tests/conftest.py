"""What many tests share."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray
from scipy.signal import lfilter

from sottovoce.audio import Audio, Samples

# How long an example takes says more of the machine than of the code.
settings.register_profile("sotto", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sotto")

REPOSITORY = Path(__file__).resolve().parent.parent


#: Seconds since 1970 after which no test marked `long` begins, and the last moment for any test; unset, all of them run.
UNTIL = float(os.environ.get("SOTTO_TEST_UNTIL", "inf"))
LAST = UNTIL + 25 * 60


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests come last, so that what time there is goes to the others first; of each kind, one file stays with one worker."""
    items.sort(key=_is_long)
    for item in items:
        file = item.nodeid.split("::")[0]
        item.add_marker(pytest.mark.xdist_group(f"{file}, long" if _is_long(item) else file))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if time.time() > (UNTIL if _is_long(item) else LAST):
        pytest.skip("the time is up (SOTTO_TEST_UNTIL)")


def _is_long(item: pytest.Item) -> bool:
    return item.get_closest_marker("long") is not None


@pytest.fixture(scope="session")
def clips() -> Path:
    """The folder of real clips; they lie outside the project."""
    folder = Path(os.environ.get("SOTTO_TEST_CLIPS", REPOSITORY.parent / "shared" / "audio"))
    if not folder.is_dir():
        pytest.skip(f"no real clips at {folder}; set SOTTO_TEST_CLIPS")
    return folder


class MakeVideo(Protocol):
    """Writes a small synthetic video and returns its path; the container follows the suffix (.mp4 .mov .mkv .webm).

    The picture is one colour with a slowly moving white box; at each of `cuts` (seconds) the colour changes. `audio` becomes its sound
    track (AAC, in WebM Opus at 48 kHz), beginning `sound_at` seconds after the picture.
    """

    def __call__(
        self,
        path: Path,
        seconds: float = ...,
        *,
        fps: int = ...,
        size: tuple[int, int] = ...,
        cuts: Sequence[float] = ...,
        audio: Audio | None = ...,
        gop: int = ...,
        sound_at: float = ...,
    ) -> Path: ...


@pytest.fixture(scope="session")
def make_video() -> MakeVideo:
    """A maker of small videos, see `MakeVideo`."""

    def make(
        path: Path,
        seconds: float = 2.0,
        *,
        fps: int = 10,
        size: tuple[int, int] = (64, 48),
        cuts: Sequence[float] = (),
        audio: Audio | None = None,
        gop: int = 10,
        sound_at: float = 0.0,
    ) -> Path:
        codec = "libvpx" if path.suffix == ".webm" else "libx264"
        with av.open(str(path), "w") as container:
            video = container.add_stream(codec, rate=fps, options=_FASTEST[codec])
            assert isinstance(video, VideoStream)
            video.width, video.height, video.pix_fmt = *size, "yuv420p"
            video.codec_context.gop_size = gop
            sound = None if audio is None else _add_sound(container, audio, path.suffix)
            for picture in _pictures(round(seconds * fps), fps, size, cuts):
                container.mux(video.encode(picture))
            container.mux(video.encode(None))
            if audio is not None and sound is not None:
                _write_sound(container, sound, audio, sound_at)
        return path

    return make


_FASTEST = {
    "libx264": {"preset": "ultrafast", "bf": "2", "sc_threshold": "0"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8"},
}
_COLOURS = ((40, 60, 160), (190, 60, 40), (40, 150, 60), (220, 200, 60), (120, 40, 140), (90, 90, 90))


def _pictures(count: int, fps: int, size: tuple[int, int], cuts: Sequence[float]) -> Iterator[av.VideoFrame]:
    width, height = size
    box = max(4, height // 6)
    for index in range(count):
        shot = sum(index / fps >= cut - 1e-9 for cut in cuts)
        pixels = np.empty((height, width, 3), np.uint8)
        pixels[:] = _COLOURS[shot % len(_COLOURS)]
        left = (index * max(1, width // 64)) % (width - box)
        pixels[box : 2 * box, left : left + box] = 255
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = index, Fraction(1, fps)
        yield frame


def _add_sound(container: OutputContainer, audio: Audio, suffix: str) -> AudioStream:
    layout = "mono" if audio.channels == 1 else "stereo"
    stream = container.add_stream("libopus" if suffix == ".webm" else "aac", rate=audio.rate, layout=layout)
    assert isinstance(stream, AudioStream)
    stream.bit_rate = 128_000
    return stream


def _write_sound(container: OutputContainer, stream: AudioStream, audio: Audio, sound_at: float) -> None:
    layout, offset = stream.layout.name, round(sound_at * audio.rate)
    packed = stream.codec_context.format.is_packed
    for start in range(0, audio.frames, 4096):
        block: NDArray[np.float32] = np.ascontiguousarray(audio.samples[:, start : start + 4096])
        shaped = np.ascontiguousarray(block.T).reshape(1, -1) if packed else block
        frame = av.AudioFrame.from_ndarray(shaped, format="flt" if packed else "fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = audio.rate, start + offset, Fraction(1, audio.rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


#: First three formants of six vowels in Hz (Peterson and Barney 1952).
VOWELS = (
    (730, 1090, 2440),
    (270, 2290, 3010),
    (300, 870, 2240),
    (530, 1840, 2480),
    (570, 840, 2410),
    (660, 1720, 2410),
)


@pytest.fixture(scope="session")
def babble() -> Callable[[float, int, int], Samples]:
    """Nonsense syllables from `(seconds, rate, seed)`: float32 [1, frames], loud from the first sample to the last."""

    def say(seconds: float, rate: int, seed: int) -> Samples:
        rng = np.random.default_rng(seed)
        spoken = np.zeros(0)
        while len(spoken) < seconds * rate:
            spoken = np.concatenate([spoken, _syllable(rng, rate)])
        return (0.5 * spoken[None, : round(seconds * rate)]).astype(np.float32)

    return say


def _syllable(rng: np.random.Generator, rate: int) -> Samples:
    """A hiss, then a gliding voice through a vowel's formants."""
    time = np.arange(round(rng.uniform(0.12, 0.24) * rate)) / rate
    pitch = rng.uniform(95, 140) * np.linspace(1.08, 0.9, len(time))
    voice = np.diff(np.floor(np.cumsum(pitch) / rate), prepend=0) + 0.02 * rng.standard_normal(len(time))
    for index, hertz in enumerate(VOWELS[rng.integers(len(VOWELS))]):
        radius = np.exp(-np.pi * (60 + 40 * index) / rate)
        voice = lfilter([1], [1, -2 * radius * np.cos(2 * np.pi * hertz / rate), radius**2], voice)
    hiss = 0.15 * np.hanning(round(0.06 * rate)) * rng.standard_normal(round(0.06 * rate))
    swell = np.minimum(1, np.minimum(time / 0.02, (time[-1] - time) / 0.04))
    return np.concatenate([hiss, voice / np.abs(voice).max() * swell])

"""Scoring in numbers: row 5 (a 10 min 1080p video in 5 % of its length, pictures bit-identical) and row 16 (60 min in sync).

    python bench/score.py [--rows 5,16] [--folder DIR]

The videos are synthetic: half a minute of moving shots, its packets repeated, with nonsense talk, bangs and pauses as sound. Row 15 is a
test (tests/tasks/test_score.py), since it needs no particular machine.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.packet import Packet
from av.video.stream import VideoStream
from threadpoolctl import threadpool_limits

from sottovoce.audio import Samples
from sottovoce.engines.catalog import GENERATORS, MOOD_READERS, Catalog
from sottovoce.machine import cores
from sottovoce.media.decode import FileReader
from sottovoce.tasks.outcome import Outcome, TaskRun
from sottovoce.tasks.request import validate
from sottovoce.tasks.score import Score, score

RATE = 48_000
SHOT, SHOTS = 5.0, 6
ENGINES = Catalog({GENERATORS.group: ("composer",), MOOD_READERS.group: ("keyframes",)})


def pictures(size: tuple[int, int], fps: int) -> Iterator[av.VideoFrame]:
    """Half a minute: six shots of a textured picture that pans."""
    rng = np.random.default_rng(1)
    width, height = size
    for shot in range(SHOTS):
        grain = rng.integers(0, 90, (height // 8, width // 4, 3)).repeat(8, axis=0).repeat(8, axis=1).astype(np.uint8)
        colour = rng.integers(20, 160, 3).astype(np.uint8)
        for index in range(round(SHOT * fps)):
            left = index * width // round(SHOT * fps)
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(grain[:, left : left + width] + colour), format="rgb24"
            )
            frame.pts, frame.time_base = round(shot * SHOT * fps) + index, Fraction(1, fps)
            yield frame


def talk(seconds: float) -> Iterator[Samples]:
    """Phrases of nonsense with pauses between, now and then a bang, over a room; a second at a time, never the same."""
    rng = np.random.default_rng(2)
    time_ = np.arange(RATE) / RATE
    for second in range(round(seconds)):
        block = 1e-3 * rng.standard_normal((2, RATE))
        if second % 12 < 5:
            pitch = 2 * np.pi * np.cumsum(110 + 25 * np.sin(2 * np.pi * (1.3 * time_ + rng.random()))) / RATE
            voice = np.sum([np.sin(k * pitch + k) / (1 + abs(k - 5)) for k in range(1, 24)], axis=0)
            block += 0.04 * voice * np.clip(np.sin(2 * np.pi * 4 * time_), 0, 1)
        if second % 60 == 30:
            block[:, : RATE // 4] += 0.3 * np.exp(-time_[: RATE // 4] * 20) * rng.standard_normal(RATE // 4)
        yield block.astype(np.float32)


def make_video(path: Path, seconds: float, *, size: tuple[int, int], fps: int, bitrate: int) -> Path:
    """A video whose half minute of pictures is encoded once and repeated, and whose sound is not repeated."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=fps, options={"preset": "veryfast", "bf": "0"})
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt, video.bit_rate = *size, "yuv420p", bitrate
        sound = container.add_stream("aac", rate=RATE, layout="stereo")
        assert isinstance(sound, AudioStream)
        packets = [packet for frame in pictures(size, fps) for packet in video.encode(frame)] + video.encode(None)
        repeat(container, packets, seconds)
        for second, block in enumerate(talk(seconds)):
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = RATE, second * RATE, Fraction(1, RATE)
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    return path


def repeat(container: av.container.OutputContainer, packets: list[Packet[VideoStream]], seconds: float) -> None:
    base = packets[0].time_base
    assert base is not None
    length = round(SHOT * SHOTS / base)
    starts = [(packet.pts or 0, packet.dts or 0) for packet in packets]
    for turn in range(round(seconds / (SHOT * SHOTS))):
        for packet, (pts, dts) in zip(packets, starts, strict=True):
            packet.pts, packet.dts, packet.time_base = pts + turn * length, dts + turn * length, base
            container.mux(packet)


def scored(video: Path, folder: Path) -> tuple[Outcome, float, float]:
    """The outcome, wall-clock seconds and processor seconds."""
    request = validate(Score, {"source": {"path": video}, "seed": 1}, local=True)
    wall, processor = time.perf_counter(), time.process_time()
    with threadpool_limits(1, user_api="blas"):  # type: ignore[no-untyped-call] # As Studio.run does.
        outcome = score(request, ENGINES, TaskRun(scratch=folder, threads=cores()))
    return outcome, time.perf_counter() - wall, time.process_time() - processor


def picture_hash(path: Path) -> str:
    digest = hashlib.sha256()
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            digest.update(bytes(packet))
    return digest.hexdigest()


def lag_at(before: Path, after: Path, moment: float) -> int:
    """By how many samples the sound around a moment comes later after scoring."""
    one, other = (excerpt(path, moment, moment + 8) for path in (before, after))
    size = 2 * len(one)
    likeness = np.fft.irfft(np.fft.rfft(other, size) * np.conj(np.fft.rfft(one, size)), size)
    found = int(np.argmax(likeness))
    return found if found < size // 2 else found - size


def excerpt(path: Path, start: float, end: float) -> Samples:
    """Seconds `start` to `end`, above the music's basses."""
    kept, heard = [], 0
    for block in FileReader(path, rate=RATE, channels=1).blocks(RATE):
        if start * RATE <= heard < end * RATE:
            kept.append(block[0])
        heard += block.shape[1]
    return np.diff(np.concatenate(kept))


def row_5(folder: Path) -> None:
    video = make_video(folder / "ten-minutes.mp4", 600, size=(1920, 1080), fps=30, bitrate=6_000_000)
    outcome, wall, processor = scored(video, folder)
    same = picture_hash(video) == picture_hash(outcome.files["output"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print("| row 5: 10 min, 1080p30, 6 Mbit/s | figure |\n|---|---|")
    print(f"| wall clock | {wall:.1f} s = {wall / 6:.1f} % of its length |\n| processor | {processor:.1f} s |")
    print(f"| pictures bit-identical | {same} |\n| peak memory | {peak:.0f} MiB |")
    print(
        f"| engine, dips, seconds ducked | {outcome.report['engine']}, {len(outcome.report['dips'])}, {outcome.report['seconds_ducked']} |\n"
    )


def row_16(folder: Path) -> None:
    video = make_video(folder / "an-hour.mp4", 3600, size=(320, 180), fps=25, bitrate=200_000)
    outcome, wall, _ = scored(video, folder)
    output = outcome.files["output"]
    lags = {moment: lag_at(video, output, moment) for moment in (0, 1800, 3588)}
    print("| row 16: 60 min | figure |\n|---|---|")
    print(
        f"| sound later by, at {', '.join(f'{moment} s' for moment in lags)} | {', '.join(map(str, lags.values()))} samples |"
    )
    print(
        f"| length of the sound | {FileReader(output).frames - 3600 * RATE:+d} samples |\n| wall clock | {wall:.0f} s |"
    )
    print(f"| peak memory | {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB |\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="5,16")
    parser.add_argument("--folder", type=Path, default=None)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        for row in given.rows.split(","):
            {"5": row_5, "16": row_16}[row](Path(folder))


if __name__ == "__main__":
    main()

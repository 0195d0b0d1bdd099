"""Broken files through probe, decode and survey: how many crash, hang, or leak an error that is not of the catalogue.

    python bench/fuzz.py [--files 10000] [--seed 1] [--json]

Small files of every kind are made with PyAV and broken: cut, bits flipped (anywhere, or in the header), stretches overwritten or repeated, wrong suffix.
The files are read in a child process, one after the other; if it dies, that is a crash, and the next child goes on.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

#: Seconds after which a file counts as slow, and after which its child is killed.
SLOW, HANGS = 5.0, 30
SOUNDS = {
    "pcm16.wav": ("pcm_s16le", "s16", 44_100, "stereo"),
    "float.wav": ("pcm_f32le", "flt", 48_000, "stereo"),
    "surround.wav": ("pcm_s24le", "s32", 48_000, "5.1"),
    "sound.aiff": ("pcm_s16be", "s16", 22_050, "mono"),
    "sound.flac": ("flac", "s16", 44_100, "stereo"),
    "sound.mp3": ("libmp3lame", "fltp", 44_100, "stereo"),
    "sound.opus": ("libopus", "flt", 48_000, "stereo"),
    "sound.m4a": ("aac", "fltp", 44_100, "stereo"),
    "sound.aac": ("aac", "fltp", 44_100, "stereo"),
    "sound.wma": ("wmav2", "fltp", 44_100, "stereo"),
    "sound.caf": ("pcm_s16le", "s16", 44_100, "stereo"),
}
VIDEOS = {
    "clip.mp4": ("libx264", "aac", "fltp"),
    "clip.mov": ("mpeg4", "aac", "fltp"),
    "clip.mkv": ("libx264", "libmp3lame", "fltp"),
    "clip.webm": ("libvpx", "libopus", "flt"),
    "clip.avi": ("mpeg4", "libmp3lame", "fltp"),
    "clip.ts": ("libx264", "aac", "fltp"),
    "clip.flv": ("flv", "libmp3lame", "fltp"),
}


@dataclass(frozen=True)
class Result:
    """What became of one file: ok, an error's code, or what leaked."""

    index: int
    seed: str
    damage: str
    outcome: str
    seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print the counts as JSON instead of a table")
    parser.add_argument("--child", nargs=2, metavar=("FIRST", "FOLDER"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        read_all(int(asked.child[0]), asked.files, asked.seed, Path(asked.child[1]))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        make_seeds(Path(folder))
        results = list(run(asked.files, asked.seed, Path(folder)))
    print(json.dumps(summary(results)) if asked.json else table(results))
    return 1 if summary(results)["bad"] else 0


def run(files: int, seed: int, folder: Path) -> Iterator[Result]:
    """Every file in children, a new one after each crash."""
    done = 0
    while done < files:
        command = [
            sys.executable,
            __file__,
            "--files",
            str(files),
            "--seed",
            str(seed),
            "--child",
            str(done),
            str(folder),
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            for line in child.stdout:
                result = Result(**json.loads(line))
                done = result.index + 1
                yield result
        if done < files:
            _, name, damage = broken(done, seed, folder)
            died = signal.Signals(-child.returncode).name if child.returncode < 0 else f"exit {child.returncode}"
            yield Result(done, name, damage, f"CRASH {died}", 0.0)
            done += 1


def read_all(first: int, files: int, seed: int, folder: Path) -> None:
    """The child: read the files from `first` on, a line of JSON for each."""
    for index in range(first, files):
        signal.alarm(HANGS)
        data, name, damage = broken(index, seed, folder)
        suffix = (
            Path(name).suffix
            if damage != "wrong suffix"
            else random.Random(index).choice([".mp3", ".wav", ".mp4", ".txt"])
        )
        path = folder / f"broken{suffix}"
        path.write_bytes(data)
        clock = time.monotonic()
        outcome = read(path)
        result = Result(index, name, damage, outcome, time.monotonic() - clock)
        print(json.dumps(asdict(result)), flush=True)
        path.unlink()


def read(path: Path) -> str:
    """Probe, decode and survey a file."""
    from sottovoce.errors import InputError
    from sottovoce.media.decode import FileReader
    from sottovoce.media.probe import probe
    from sottovoce.media.video import keyframes, survey

    def decode(path: Path) -> None:
        reader = FileReader(path)
        read = sum(block.shape[1] for block in reader.blocks(4096))
        assert read == reader.frames, "two passes must give one length"

    steps: list[Callable[[Path], Any]] = [probe, decode, survey, lambda path: keyframes(path, count=3)]
    outcomes = []
    for step in steps if path.suffix in {Path(name).suffix for name in VIDEOS} else steps[:2]:
        try:
            step(path)
            outcomes.append("ok")
        except InputError as error:
            outcomes.append(error.code)
        except Exception as error:  # noqa: BLE001 - what leaks is what is counted
            return f"LEAK {type(error).__name__}: {error}"[:200]
    return next((outcome for outcome in outcomes if outcome != "ok"), "ok")


def broken(index: int, seed: int, folder: Path) -> tuple[bytes, str, str]:
    """The file of this index: its bytes, the seed file it came from and what was done to it."""
    draw = random.Random(f"{seed}/{index}")
    name = draw.choice([*SOUNDS, *VIDEOS])
    data = bytearray((folder / name).read_bytes())
    damage = draw.choice(list(DAMAGES))
    return bytes(DAMAGES[damage](data, draw)), name, damage


def _cut(data: bytearray, draw: random.Random) -> bytearray:
    return data[: draw.randrange(len(data))]


def _flip(data: bytearray, draw: random.Random) -> bytearray:
    for _ in range(draw.choice([1, 5, 50, 500])):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return data


def _flip_header(data: bytearray, draw: random.Random) -> bytearray:
    for _ in range(draw.choice([1, 3, 10])):
        data[draw.randrange(min(len(data), 600))] ^= 1 << draw.randrange(8)
    return data


def _overwrite(data: bytearray, draw: random.Random) -> bytearray:
    start, size = draw.randrange(len(data)), draw.choice([4, 100, 5000])
    data[start : start + size] = draw.randbytes(size)
    return data


def _repeat(data: bytearray, draw: random.Random) -> bytearray:
    start, size = draw.randrange(len(data)), draw.choice([10, 1000])
    return data[: start + size] + data[start:]


def _noise(_: bytearray, draw: random.Random) -> bytearray:
    return bytearray(draw.randbytes(draw.randrange(1, 5000)))


DAMAGES: dict[str, Callable[[bytearray, random.Random], bytearray]] = {
    "cut": _cut,
    "bits flipped": _flip,
    "header flipped": _flip_header,
    "overwritten": _overwrite,
    "repeated": _repeat,
    "random bytes": _noise,
    "wrong suffix": lambda data, _: data,
}


def make_seeds(folder: Path) -> None:
    """A small whole file of every kind."""
    for name, (codec, samples, rate, layout) in SOUNDS.items():
        with av.open(str(folder / name), "w") as container:
            container.metadata["title"] = "Fuß und Füße"
            write_sound(container, open_sound(container, codec, samples, rate, layout))
    for name, (picture, sound, samples) in VIDEOS.items():
        with av.open(str(folder / name), "w") as container:
            video: Any = container.add_stream(picture, rate=10)
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            track = open_sound(container, sound, samples, 48_000, "stereo")
            for index in range(8):
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 30 * index, np.uint8), format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, 10)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
            write_sound(container, track)


def open_sound(container: Any, codec: str, samples: str, rate: int, layout: str) -> Any:
    stream = container.add_stream(codec, rate=rate, layout=layout)
    stream.codec_context.format, stream.bit_rate = samples, 128_000
    return stream


def write_sound(container: Any, stream: Any) -> None:
    rate, samples, layout = stream.rate, stream.format.name, stream.layout.name
    wave = 0.4 * np.sin(np.arange(rate * 4 // 10) * 0.05) * np.ones((stream.layout.nb_channels, 1))
    scale, kind = {"s16": (2**15, np.int16), "s32": (2**31, np.int32)}.get(samples, (1, np.float32))
    values = (wave * scale).astype(kind)
    shaped = values if samples.endswith("p") else values.T.reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(shaped), format=samples, layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def summary(results: list[Result]) -> dict[str, Any]:
    """Counts: all files, by outcome, how many are bad (crash, leak, slow), the slowest in seconds, and the bad ones themselves."""
    bad = [result for result in results if result.outcome.startswith(("CRASH", "LEAK")) or result.seconds > SLOW]
    return {
        "files": len(results),
        "outcomes": dict(collections.Counter(result.outcome.split(":")[0] for result in results)),
        "bad": len(bad),
        "slowest": round(max(result.seconds for result in results), 3),
        "worst": [asdict(result) for result in bad[:20]],
    }


def table(results: list[Result]) -> str:
    """The counts by kind of damage, for people."""
    whole = summary(results)
    outcomes = sorted(whole["outcomes"])
    lines = [f"{'damage':16}" + "".join(f"{outcome:>20}" for outcome in outcomes) + f"{'slowest, s':>14}"]
    for damage in DAMAGES:
        some = [result for result in results if result.damage == damage]
        counts = collections.Counter(result.outcome.split(":")[0] for result in some)
        slowest = max((result.seconds for result in some), default=0.0)
        lines.append(f"{damage:16}" + "".join(f"{counts[outcome]:>20}" for outcome in outcomes) + f"{slowest:>14.2f}")
    lines.append(
        f"{whole['files']} files, {whole['bad']} bad (crashed, leaked, or over {SLOW:g} s); slowest {whole['slowest']} s"
    )
    return "\n".join([*lines, *(str(one) for one in whole["worst"])])


if __name__ == "__main__":
    sys.exit(main())

"""Demucs in numbers: this engine against demucs 4.1.0 on the same weights in the same run (row 1), and its peak memory (row 3).

    python bench/separation.py [--seconds 40] [--threads 2] [--rounds 2] [--minutes 1,10]

The weights are random, of the real size and in the real layout, with every LayerScale at 0.3: speed does not depend on their values, and
with fresh LayerScales whole blocks could be left out unnoticed. Both sides take turns, and the best round of each counts.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from demucs.apply import apply_model
from demucs.htdemucs import HTDemucs
from safetensors.torch import save_file

from sottovoce.audio import ArrayReader, ArrayWriter, Audio, Samples, Stem
from sottovoce.dsp.resample import resample
from sottovoce.engines.base import Run
from sottovoce.engines.composer import Composer, ComposerOptions
from sottovoce.engines.demucs.checkpoint import load
from sottovoce.engines.demucs.engine import Demucs
from sottovoce.engines.demucs.options import DemucsConfig, DemucsOptions
from sottovoce.prompt import Prompt

RATE = 44_100
SOURCES = ["drums", "bass", "other", "vocals"]
WAYS: tuple[dict[str, Any], ...] = (
    {"runtime": "torch", "precision": "exact", "batch": 1},
    {"runtime": "openvino", "precision": "exact"},
    {"runtime": "openvino", "precision": "fast"},
)


class Looped:
    """A source of any length made of one piece over and over, never in memory as a whole."""

    def __init__(self, piece: Samples, seconds: float) -> None:
        self.piece, self.rate, self.channels, self.frames = piece, RATE, piece.shape[0], round(seconds * RATE)

    def blocks(self, frames: int) -> Iterator[Samples]:
        for start in range(0, self.frames, frames):
            at = np.arange(start, min(self.frames, start + frames)) % self.piece.shape[1]
            yield self.piece[:, at]


class Nowhere:
    """A sink that keeps nothing."""

    def write(self, stem: Stem, block: Samples) -> None:
        """Drop it."""


def make_weights(path: Path) -> None:
    """HTDemucs of the real size, 42 million parameters, as demucs writes it."""
    torch.manual_seed(0)
    network = HTDemucs(
        sources=SOURCES,
        channels=48,
        bottom_channels=512,
        t_layers=5,
        nfft=4096,
        dconv_mode=3,
        segment=Fraction(39, 5),
        samplerate=RATE,
    )
    for name, parameter in network.named_parameters():
        if name.endswith(".scale"):
            parameter.data[:] = 0.3
    kwargs = {key: value for key, value in network._init_args_kwargs[1].items() if key != "segment"}
    kwargs["segment"] = {"_type": "fraction", "numerator": 39, "denominator": 5}
    metadata = {"klass": "demucs.htdemucs.HTDemucs", "args": "[]", "kwargs": json.dumps(kwargs)}
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, path, metadata=metadata)


def music(seconds: float) -> Samples:
    """Lofi by the composer."""
    made = Composer().generate(Prompt("lofi", max(5.0, min(seconds, 600.0)), 0), ComposerOptions(style="lofi"), Run())
    return resample(made.audio.samples, made.audio.rate, RATE)[:, : round(seconds * RATE)]


def theirs(network: HTDemucs, sound: Samples, *, reduced: bool = False) -> Samples:
    """As `demucs.api.Separator` does it with shifts=0; `reduced` under torch's autocast."""
    wav = torch.from_numpy(sound)
    mean, deviation = wav.mean(0).mean(), wav.mean(0).std() + 1e-8
    with torch.autocast("cpu", torch.bfloat16, enabled=reduced):
        stems = apply_model(network, ((wav - mean) / deviation)[None], shifts=0)[0]
    return (stems.float() * deviation + mean).numpy()


def ours(engine: Demucs, sound: Samples, threads: int, way: dict[str, Any]) -> Samples:
    sink = ArrayWriter(RATE)
    options = DemucsOptions(threads=threads, **way)
    engine.separate(ArrayReader(Audio(sound, RATE)), sink, options, Run(threads=threads))
    stems = sink.stems()
    return np.stack([stems[Stem(name)].samples for name in SOURCES])


def apart(made: Samples, wanted: Samples) -> float:
    """Deviation in dB of the stems' power."""
    difference, power = (np.square(part, dtype=np.float64).sum() for part in (made - wanted, wanted))
    return float(10 * np.log10(difference / power + 1e-30))


def timed(call: Callable[[], Samples]) -> tuple[float, float, Samples]:
    """Seconds on the clock, seconds of processor, and the result."""
    clock, processor = time.perf_counter(), time.process_time()
    made = call()
    return time.perf_counter() - clock, time.process_time() - processor, made


def compare(folder: Path, asked: argparse.Namespace) -> None:
    weights, sound = folder / "full.safetensors", music(asked.seconds)
    torch.set_num_threads(asked.threads)
    network = load(weights)
    assert isinstance(network, HTDemucs)
    sides: dict[str, Callable[[], Samples]] = {
        "demucs 4.1.0": lambda: theirs(network, sound),
        "demucs, autocast bf16": lambda: theirs(network, sound, reduced=True),
    }
    for way in WAYS:
        engine = Demucs(DemucsConfig(model=str(weights), cache=folder / "cache"))
        ours(engine, sound[:, :RATE], asked.threads, way)
        sides[f"ours, {way['runtime']} {way['precision']}"] = (
            lambda engine=engine, way=way: ours(engine, sound, asked.threads, way)  # type: ignore[misc]
        )
    rounds = [{name: timed(side) for name, side in sides.items()} for _ in range(asked.rounds)]
    reference = rounds[0]["demucs 4.1.0"][2]
    clock, processor = ({name: min(one[name][kind] for one in rounds) for name in sides} for kind in (0, 1))
    print(f"{asked.seconds:g} s of music, {asked.threads} threads, best of {asked.rounds} rounds in turn")
    for name in sides:
        faster = [times["demucs 4.1.0"] / times[name] for times in (clock, processor)]
        print(
            f"  {name:24} {clock[name]:6.1f} s, {faster[0]:.2f}x by the clock, {faster[1]:.2f}x by the processor, "
            f"deviation {apart(rounds[0][name][2], reference):.1f} dB"
        )


def one_length(folder: Path, asked: argparse.Namespace) -> None:
    """Separate so many minutes in this process, and say what it took."""
    engine = Demucs(DemucsConfig(model=str(folder / "full.safetensors"), cache=folder / "cache"))
    options = DemucsOptions(threads=asked.threads, precision=asked.precision)
    started = time.perf_counter()
    engine.separate(Looped(music(30), 60 * asked.only_length), Nowhere(), options, Run(threads=asked.threads))
    took = time.perf_counter() - started
    print(
        f"  {asked.only_length:g} min {asked.precision}: {took / 60 / asked.only_length:.2f} s a second, {most_memory():.0f} MB at most"
    )


def most_memory() -> float:
    """MB this program had at most."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--minutes", default="1,10", help="lengths to measure the memory at; none: leave it out")
    parser.add_argument("--precision", default="exact")
    parser.add_argument("--folder", type=Path, help="where weights and compiled networks are kept for the next time")
    parser.add_argument(
        "--only-length", type=float, help="what this program calls itself with, in a process of its own"
    )
    asked = parser.parse_args()
    if asked.only_length is not None:
        one_length(asked.folder, asked)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "full.safetensors").exists():
            make_weights(folder / "full.safetensors")
        compare(folder, asked)
        for minutes in filter(None, asked.minutes.split(",")):
            for precision in ("exact", "fast"):
                again = [sys.executable, __file__, "--folder", str(folder), "--only-length", minutes]
                subprocess.run([*again, "--precision", precision, "--threads", str(asked.threads)], check=True)


if __name__ == "__main__":
    main()

"""Demucs in numbers, against demucs 4.1.0 on the same weights in the same run.

    python bench/separation.py [--rows 1,2,3,10] [--seconds 40] [--threads 2] [--rounds 2] [--minutes 1,10,60] [--trials 20] [--channels 48]
    python bench/separation.py --sensitivity [--chunk 7.8]

Row 1: one network, all stems. Row 2: one stem of htdemucs_ft, for which demucs runs four networks. Row 3: peak memory of the whole
command. Row 10: from a cancel until the memory is free. The sensitivity run removes each block in turn and says how much is missed.

The weights are random, of the real size and in the real layout, with every LayerScale at 0.3: speed does not depend on their values, and
with fresh LayerScales whole blocks could be left out unnoticed. Both sides take turns, and the best round of each counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from demucs.apply import BagOfModels, apply_model
from demucs.htdemucs import HTDemucs
from safetensors.torch import save_file

from sottovoce import errors
from sottovoce.audio import ArrayReader, ArrayWriter, Audio, Samples, Stem
from sottovoce.dsp.resample import resample
from sottovoce.engines.base import Run
from sottovoce.engines.composer import Composer, ComposerOptions
from sottovoce.engines.demucs.checkpoint import load
from sottovoce.engines.demucs.engine import Demucs
from sottovoce.engines.demucs.models import MODELS
from sottovoce.engines.demucs.options import DemucsConfig, DemucsOptions
from sottovoce.media.encode import Format, StemFiles
from sottovoce.progress import OnProgress, Progress, ignore
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


def make_weights(path: Path, channels: int) -> None:
    """HTDemucs as demucs writes it; with 48 channels of the real size, 42 million parameters."""
    torch.manual_seed(0)
    network = HTDemucs(
        sources=SOURCES,
        channels=channels,
        bottom_channels=512 * channels // 48 // 8 * 8,
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


def theirs(network: HTDemucs | BagOfModels, sound: Samples, *, reduced: bool = False) -> Samples:
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


class Everywhere:
    """One weights file for every network of a model."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def located(self, name: str, *, only: Collection[str] = (), progress: OnProgress = ignore) -> tuple[Path, ...]:
        """Links to the file under the names asked for."""
        del name, progress
        paths = tuple(self.path.with_name(name) for name in only)
        for path in paths:
            if not path.exists():
                path.hardlink_to(self.path)
        return paths


def one_stem(folder: Path, asked: argparse.Namespace) -> None:
    """Row 2: the vocals of htdemucs_ft, and beside them what one network of it takes either side."""
    weights, sound = folder / "full.safetensors", music(asked.seconds)
    torch.set_num_threads(asked.threads)
    network = load(weights)
    assert isinstance(network, HTDemucs)
    bag = BagOfModels([network] * 4, [list(map(float, row)) for row in MODELS["htdemucs_ft"].weights])
    engine = Demucs(DemucsConfig(model="htdemucs_ft", cache=folder / "cache"), Everywhere(weights))
    sides: dict[str, Callable[[], Samples]] = {
        "demucs": lambda: theirs(bag, sound),
        "one": lambda: theirs(network, sound),
    }
    for precision in ("exact", "fast"):
        vocals(engine, sound[:, :RATE], asked.threads, precision)
        sides[precision] = lambda precision=precision: vocals(engine, sound, asked.threads, precision)  # type: ignore[misc]
    rounds = [{name: timed(side)[:2] for name, side in sides.items()} for _ in range(asked.rounds)]
    best = {name: [min(one[name][kind] for one in rounds) for kind in (0, 1)] for name in sides}
    print(f"{asked.seconds:g} s of music, vocals of htdemucs_ft, best of {asked.rounds} rounds in turn")
    for precision in ("exact", "fast"):
        faster, single = ([best[side][kind] / best[precision][kind] for kind in (0, 1)] for side in ("demucs", "one"))
        print(
            f"  {precision:6} {faster[0]:.2f}x by the clock, {faster[1]:.2f}x by the processor; "
            f"{faster[0] / single[0]:.2f} and {faster[1] / single[1]:.2f} times what one network gains"
        )


def vocals(engine: Demucs, sound: Samples, threads: int, precision: str) -> Samples:
    sink = ArrayWriter(RATE)
    options = DemucsOptions.model_validate({"only": ["vocals"], "threads": threads, "precision": precision})
    engine.separate(ArrayReader(Audio(sound, RATE)), sink, options, Run(threads=threads))
    return sink.stems()[Stem("vocals")].samples


def memory(folder: Path, asked: argparse.Namespace) -> None:
    """Row 3: the most that `sotto separate` has in memory; the first run also converts the network and is not counted."""
    for number, minutes in enumerate([0.1, *map(float, filter(None, asked.minutes.split(",")))]):
        song = folder / f"{round(60 * minutes)}s"
        if not song.with_suffix(".flac").exists():
            with StemFiles(folder, rate=RATE, channels=2, form=Format("flac")) as sink:
                for block in Looped(music(30), 60 * minutes).blocks(1 << 18):
                    sink.write(Stem(song.name), block)
        seconds, most = command(folder, song.with_suffix(".flac"), asked)
        named = "with the conversion" if not number else asked.precision
        print(f"  {minutes:g} min, {named}: {seconds / 60 / minutes:.2f} s a second, {most:.0f} MB at most")


def command(folder: Path, song: Path, asked: argparse.Namespace) -> tuple[float, float]:
    """Seconds and MB at most of the whole command on one song."""
    sotto = Path(sys.executable).with_name("sotto")
    words = [str(sotto), "separate", str(song), "--engine", "demucs", "--model", str(folder / "full.safetensors")]
    words += ["--option", f"precision={asked.precision}", "--option", f"threads={asked.threads}"]
    words += ["-o", str(folder / f"{song.stem}_stems_{time.time_ns()}")]
    started = time.perf_counter()
    with subprocess.Popen(words, env=os.environ | {"HOME": str(folder)}, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} failed with {process.returncode}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def cancels(folder: Path, asked: argparse.Namespace) -> None:
    """Row 10: cancels at random moments of a minute of sound, from loading on; until the call is back and the memory is."""
    engine = Demucs(DemucsConfig(model=str(folder / "full.safetensors"), cache=folder / "cache"))
    options = DemucsOptions.model_validate({"threads": asked.threads, "precision": asked.precision})
    source, draw, waits, left = Looped(music(30), 60), np.random.default_rng(0), [], []
    started = time.perf_counter()
    cancelled(engine, source, options, first_chunks=2)
    span, before = time.perf_counter() - started, memory_now()
    for _ in range(asked.trials):
        moment = time.perf_counter() + draw.uniform(0, span)
        cancelled(engine, source, options, moment=moment)
        waits.append(time.perf_counter() - moment)
        left.append(memory_now() - before)
    print(f"{asked.trials} cancels in the first {span:.1f} s of a separation, {asked.precision}")
    print(f"  median {np.median(waits):.2f} s, p95 {np.percentile(waits, 95):.2f} s, longest {max(waits):.2f} s")
    print(f"  {before:.0f} MB after a run that was closed; {max(left):+.0f} MB at most after the cancelled ones")


def cancelled(
    engine: Demucs, source: Looped, options: DemucsOptions, *, moment: float = float("inf"), first_chunks: int = 1 << 30
) -> None:
    """Separate until a moment or a chunk, then close."""

    def stop(progress: Progress) -> None:
        if time.perf_counter() >= moment or (progress.step or 0) >= first_chunks:
            raise errors.Cancelled("enough")

    try:
        engine.separate(source, Nowhere(), options, Run(progress=stop, threads=options.threads or 1))
    except errors.Cancelled:
        engine.close()


def memory_now() -> float:
    """MB this program has in memory that are its own and no file's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("RssAnon:")[1].split()[0]) / 1024


def sensitivity(folder: Path, asked: argparse.Namespace) -> None:
    """Each block out in turn: how far the stems of one chunk are from those of the whole network, which must be more than -60 dB."""
    torch.set_num_threads(asked.threads)
    network = load(folder / "full.safetensors")
    assert isinstance(network, HTDemucs)
    network.segment = Fraction(asked.chunk).limit_denominator(100)
    sound = torch.from_numpy(music(10)[None, :, -int(network.segment * RATE) :])
    sound = (sound - sound.mean()) / sound.std()
    with torch.inference_mode():
        whole = network(sound).numpy()
        changes = {name: apart(network(sound).numpy(), whole) for name in without_each(network)}
    for name, change in sorted(changes.items(), key=lambda each: each[1]):
        print(f"  {change:6.1f} dB without {name}")
    least = min(changes.values())
    print(f"{len(changes)} blocks, each alone out of a chunk of {float(network.segment):g} s: {least:.1f} dB at least")
    if least <= -60:
        raise SystemExit("a block could be left out unnoticed")


def without_each(network: HTDemucs) -> Iterator[str]:
    """The blocks by name; each is out while it is the one at hand."""
    for name, parameter in network.named_parameters():
        if name.endswith(".scale"):
            kept = parameter.data.clone()
            parameter.data.zero_()
            yield name
            parameter.data.copy_(kept)


ROWS = {"1": compare, "2": one_stem, "3": memory, "10": cancels}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", default="1,2,3,10")
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--minutes", default="1,10", help="lengths to measure the memory at")
    parser.add_argument("--precision", default="exact", help="of rows 3 and 10")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--sensitivity", action="store_true", help="nothing but the run without each block")
    parser.add_argument("--chunk", type=float, default=7.8, help="seconds of sound for it")
    parser.add_argument("--channels", type=int, default=48, help="of the network; 48 is the real size")
    parser.add_argument("--folder", type=Path, help="where weights and compiled networks are kept for the next time")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "full.safetensors").exists():
            make_weights(folder / "full.safetensors", asked.channels)
        for run in [sensitivity] if asked.sensitivity else [ROWS[row] for row in asked.rows.split(",")]:
            run(folder, asked)


if __name__ == "__main__":
    main()

"""Foreign files looked at in a child process with limits: FFmpeg is C code, and what breaks it must not take a server along.

`python -m sottovoce.media.sandbox` is the child: its arguments are the question, one line of JSON on standard output is its answer.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sottovoce import errors
from sottovoce.audio import Samples
from sottovoce.media.container import corrupt, name_of
from sottovoce.media.decode import FileReader
from sottovoce.media.draft import writing
from sottovoce.media.encode import encode
from sottovoce.media.formats import Format
from sottovoce.media.probe import MediaInfo, VideoFacts, probe


@dataclass(frozen=True)
class Limits:
    """What a child may use: seconds of processor and of wall clock, bytes of memory and of output, and seconds of sound."""

    cpu_seconds: int = 60
    wall_seconds: float = 120.0
    memory_bytes: int = 2 << 30
    output_bytes: int = 16 << 30
    sound_seconds: float = 14_400.0


#: How Python and the loader say that the limit on memory was met.
_OUT_OF_MEMORY = ("MemoryError", "failed to map segment", "Cannot allocate memory")
#: Enough for four hours of sound, too little to hurt a machine.
USUAL = Limits()


def probe_in_child(path: Path, limits: Limits = USUAL) -> MediaInfo:
    """`probe.probe` in a child: its errors; CorruptMedia where the child crashes or reaches a limit; AudioTooLong."""
    facts = _ask(["probe", os.fspath(path)], path, limits)
    video = facts.pop("video")
    return MediaInfo(path=path, video=VideoFacts(**video) if video else None, **facts)


def decode_in_child(path: Path, output: Path, limits: Limits = USUAL) -> int:
    """Decode a file's sound in a child to `output`, a float WAV of the same rate and channels; how many frames it has.

    The output is there afterwards whole or not at all. Errors as `probe_in_child`, and OutputNotWritable or DiskFull.
    """
    with writing(output), TemporaryDirectory(prefix=".", dir=output.absolute().parent) as folder:
        made = Path(folder) / output.name
        frames = int(_ask(["decode", os.fspath(path), os.fspath(made)], path, limits)["frames"])
        made.replace(output)
    return frames


def _ask(question: list[str], path: Path, limits: Limits) -> dict[str, Any]:
    """The child's answer; the error it met, or what can be said of its end."""
    # -P: nothing may be imported from the current folder, where uploads could lie.
    command = [sys.executable, "-P", "-m", "sottovoce.media.sandbox", json.dumps(asdict(limits)), *question]
    most = limits.wall_seconds
    try:
        done = subprocess.run(command, capture_output=True, timeout=most, env=_environment(), check=False)  # noqa: S603 - ourselves
    except subprocess.TimeoutExpired as error:
        raise corrupt(path, f"could not be read within {most:g} seconds") from error
    if done.returncode == 0:
        return _understood(json.loads(done.stdout.splitlines()[-1]))
    complaint = done.stderr.decode(errors="replace").strip()
    if done.returncode > 0 and not any(words in complaint for words in _OUT_OF_MEMORY):
        raise errors.Internal(
            f"the process that reads {name_of(path)} failed", details={"complaint": complaint[-2000:]}
        )
    allowed = f"{limits.cpu_seconds} seconds of processor and {limits.memory_bytes >> 20} MB"
    raise corrupt(path, f"crashed the decoder, or could not be read with {allowed}")


def _understood(answer: dict[str, Any]) -> dict[str, Any]:
    if "code" not in answer:
        return answer
    kind = errors.catalogue()[answer["code"]]
    raise kind(answer["message"], hint=answer["hint"], details=answer["details"])


def _environment() -> dict[str, str]:
    """One thread for the numerics: each more costs address space, of which there is a limit."""
    return {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def _main(arguments: list[str]) -> None:
    """The child."""
    limits = Limits(**json.loads(arguments[0]))
    _obey(limits)
    try:
        answer = _answer(arguments[1:], limits)
    except errors.SottovoceError as error:
        answer = error.as_dict()
    print(json.dumps(answer))


def _obey(limits: Limits) -> None:
    """Set the limits; the address space counts from what the program itself takes, where the system tells it."""
    taken = Path("/proc/self/statm")
    own = int(taken.read_text().split()[0]) * resource.getpagesize() if taken.exists() else 0
    for kind, most in (
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_AS, own + limits.memory_bytes),
        (resource.RLIMIT_FSIZE, limits.output_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def _answer(question: list[str], limits: Limits) -> dict[str, Any]:
    path = Path(question[1])
    info = probe(path)
    _check_length(path, info.seconds, limits)
    if question[0] == "probe":
        return {name: value for name, value in asdict(info).items() if name != "path"}
    reader = _Bounded(FileReader(path), limits)
    encode(reader, Path(question[2]), Format("wav", bit_depth="float"))
    return {"frames": reader.frames}


class _Bounded:
    """A reader that refuses to go on for too long: lengths in headers can lie."""

    def __init__(self, reader: FileReader, limits: Limits) -> None:
        self._reader = reader
        self._limits = limits
        self.rate = reader.rate
        self.channels = reader.channels

    @property
    def frames(self) -> int:
        return self._reader.frames

    def blocks(self, frames: int) -> Iterator[Samples]:
        read = 0
        for block in self._reader.blocks(frames):
            read += block.shape[1]
            _check_length(self._reader.path, read / self.rate, self._limits)
            yield block


def _check_length(path: Path, seconds: float, limits: Limits) -> None:
    if seconds > limits.sound_seconds:
        raise errors.AudioTooLong(
            f"{name_of(path)} is longer than the {limits.sound_seconds:g} seconds that are allowed",
            hint="Cut it, or raise server.max_duration_seconds.",
        )


if __name__ == "__main__":
    _main(sys.argv[1:])

"""A take: one finished piece of generated music, inspected, written to the scratch folder, with its recipe."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sottovoce import errors
from sottovoce.audio import ArrayReader, Audio, Stem
from sottovoce.dsp.inspect import Inspection, inspect
from sottovoce.engines.base import Generated, Generator
from sottovoce.engines.catalog import Ran
from sottovoce.machine import libraries, processor
from sottovoce.media.encode import Format, encode, sha256_pcm
from sottovoce.prompt import Prompt
from sottovoce.recipe import AudioFacts, Batch, EngineUsed, Recipe
from sottovoce.tasks.outcome import MadeTrack, TaskRun
from sottovoce.tasks.request import Request
from sottovoce.tasks.side_by_side import Overheard
from sottovoce.version import __version__

#: How generated and mixed audio is kept.
LOSSLESS = Format("flac", bit_depth="24")


@dataclass(frozen=True, eq=False)
class Take:
    """What an engine made, what the inspection says of it, when it was begun and how many seconds it took."""

    generated: Generated
    inspection: Inspection
    started: datetime
    seconds: float


def inspect_take(audio: Audio, prompt: Prompt) -> Inspection:
    """The checks every take passes; OutputRejected names what is wrong."""
    report = inspect(audio, expected_frames=round(prompt.seconds * audio.rate), target_lufs=prompt.loudness)
    if not report.passed:
        faults = "; ".join(fault.message for fault in report.faults if fault.hard)
        raise errors.OutputRejected(f"the take with seed {prompt.seed} failed its inspection: {faults}")
    return report


def file_take(ran: Ran[Generator, Take], request: Request, batch: Batch, run: TaskRun, *, title: str) -> MadeTrack:
    """Write a take's audio, stems and MIDI to the scratch folder, and its recipe; `title` serves if the engine found none."""
    take, name = ran.result, f"take-{batch.index + 1}"
    audio = run.scratch / f"{name}.flac"
    run.report("write", 92)
    written = Overheard(ArrayReader(take.generated.audio), sha256_pcm)
    encode(written, audio, LOSSLESS)
    return MadeTrack(
        title=take.generated.title or title,
        audio=audio,
        recipe=recipe_of(ran, request, batch, run, digest=written.result()),
        stems=_write_stems(take.generated, name, run),
        midi=_write_midi(take.generated, run.scratch / f"{name}.mid"),
    )


def recipe_of(ran: Ran[Generator, Take], request: Request, batch: Batch, run: TaskRun, *, digest: str) -> Recipe:
    """Everything needed to make the take again, and the hash of its samples to know it by."""
    take, engine = ran.result, ran.engine
    return Recipe(
        sottovoce=__version__,
        kind=request.kind,
        request=request.model_dump(mode="json"),
        engine=EngineUsed(name=engine.name, version=engine.version, options=dict(take.generated.options)),
        skipped=ran.skipped,
        seed=batch.seeds[batch.index],
        batch=batch,
        device="cpu",
        cpu=processor(),
        libraries=libraries(),
        precision="float32",
        threads=run.threads,
        started=take.started.isoformat(timespec="seconds"),
        seconds=round(take.seconds, 3),
        inspection=take.inspection.model_dump(mode="json"),
        audio=audio_facts(take.generated.audio, take.inspection, digest=digest),
        sections=take.generated.sections,
        tempo_map=take.generated.tempo_map,
        key=take.generated.key,
        notes=take.generated.notes,
    )


def audio_facts(audio: Audio, inspection: Inspection, *, digest: str) -> AudioFacts:
    """The finished audio in numbers."""
    return AudioFacts(
        sha256_pcm=digest,
        rate=audio.rate,
        channels=audio.channels,
        frames=audio.frames,
        lufs=inspection.lufs,
        true_peak_db=inspection.true_peak_db,
    )


def _write_stems(generated: Generated, name: str, run: TaskRun) -> dict[Stem, Path]:
    paths = {}
    for stem, reader in generated.stems.items():
        run.report(f"write {stem}", 94)
        paths[stem] = run.scratch / f"{name}-{stem}.flac"
        encode(reader, paths[stem], LOSSLESS)
    return paths


def _write_midi(generated: Generated, path: Path) -> Path | None:
    if generated.midi is None:
        return None
    path.write_bytes(generated.midi)
    return path

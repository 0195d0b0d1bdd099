"""A take: one finished piece of generated music, inspected, written to the scratch folder, with its recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sottovoce.audio import ArrayReader, Audio, AudioReader, Stem
from sottovoce.dsp.inspect import Inspection
from sottovoce.engines.base import Generated, Generator
from sottovoce.engines.catalog import Catalog, Ran
from sottovoce.machine import libraries, processor
from sottovoce.media.encode import Format, StemFiles, encode, sha256_pcm
from sottovoce.progress import within
from sottovoce.recipe import AudioFacts, Batch, EngineUsed, Recipe, Rejected
from sottovoce.tasks.outcome import MadeTrack, TaskRun
from sottovoce.tasks.request import UploadRef, recorded
from sottovoce.tasks.separate import Separate, split_into
from sottovoce.tasks.side_by_side import Overheard
from sottovoce.version import __version__

if TYPE_CHECKING:
    from sottovoce.tasks.generate import Generate

#: How generated and mixed audio is kept.
LOSSLESS = Format("flac", bit_depth="24")
_LONGEST_TITLE = 80


@dataclass(frozen=True, eq=False)
class Take:
    """What an engine made, what the inspection says of it, its seed, when it was begun, its seconds of work, and the takes it replaces."""

    generated: Generated
    inspection: Inspection
    seed: int
    started: datetime
    seconds: float
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True)
class _Stems:
    """Stem files of a take, and the engine that split them off where its maker gave none."""

    paths: Mapping[Stem, Path]
    separator: EngineUsed | None = None


def file_take(ran: Ran[Generator, Take], request: Generate, batch: Batch, engines: Catalog, run: TaskRun) -> MadeTrack:
    """Write a take's audio, stems and MIDI to the scratch folder, and its recipe; stems that its engine does not give are split off it."""
    take, name = ran.result, f"take-{batch.index + 1}"
    audio = run.scratch / f"{name}.flac"
    run.report("write", 2)
    written = Overheard(ArrayReader(take.generated.audio), sha256_pcm)
    encode(written, audio, LOSSLESS)
    stems = _stems(take.generated, name, request, engines, run)
    return MadeTrack(
        title=take.generated.title or request.prompt[:_LONGEST_TITLE],
        audio=audio,
        recipe=_recipe(ran, request, batch, run, digest=written.result(), separator=stems.separator),
        stems=stems.paths,
        midi=_write_midi(take.generated, run.scratch / f"{name}.mid"),
    )


def _recipe(
    ran: Ran[Generator, Take],
    request: Generate,
    batch: Batch,
    run: TaskRun,
    *,
    digest: str,
    separator: EngineUsed | None,
) -> Recipe:
    """Everything needed to make the take again, and the hash of its samples to know it by."""
    take, made = ran.result, ran.result.generated
    return Recipe(
        sottovoce=__version__,
        kind=request.kind,
        request=recorded(request),
        engine=_used(ran.engine, made),
        skipped=ran.skipped,
        separator=separator,
        rejected=take.rejected,
        seed=take.seed,
        batch=batch,
        device=made.device,
        cpu=processor(),
        libraries=libraries(),
        precision=made.precision,
        threads=run.threads,
        started=take.started.isoformat(timespec="seconds"),
        seconds=round(take.seconds, 3),
        inspection=take.inspection.model_dump(mode="json"),
        audio=audio_facts(made.audio, take.inspection, digest=digest),
        sections=made.sections,
        tempo_map=made.tempo_map,
        key=made.key,
        notes=made.notes,
    )


def _used(engine: Generator, made: Generated) -> EngineUsed:
    return EngineUsed(
        name=engine.name,
        version=engine.version,
        model=made.model,
        revision=made.revision,
        sha256=made.sha256,
        options=dict(made.options),
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


def _stems(generated: Generated, name: str, request: Generate, engines: Catalog, run: TaskRun) -> _Stems:
    """The engine's own stems, or where it gives none those of the first separator that can; none if none were asked for."""
    if generated.stems:
        return _Stems({stem: _write_stem(stem, reader, name, run) for stem, reader in generated.stems.items()})
    if not request.stems:
        return _Stems({})
    source = ArrayReader(generated.audio)

    def files(engine: str) -> StemFiles:
        return StemFiles(run.scratch / f"{name}-{engine}", rate=source.rate, channels=source.channels, form=LOSSLESS)

    splitting = TaskRun(within(run.progress, 5, 100), seed=run.seed, threads=run.threads, scratch=run.scratch)
    split = split_into(Separate(source=UploadRef(upload=name)), source, files, engines, splitting)
    options = dict(split.separation.options)
    used = EngineUsed(
        name=split.engine.name, version=split.engine.version, model=split.separation.model, options=options
    )
    return _Stems(split.sink.paths, used)


def _write_stem(stem: Stem, reader: AudioReader, name: str, run: TaskRun) -> Path:
    run.report(f"write {stem}", 50)
    path = run.scratch / f"{name}-{stem}.flac"
    encode(reader, path, LOSSLESS)
    return path


def _write_midi(generated: Generated, path: Path) -> Path | None:
    if generated.midi is None:
        return None
    path.write_bytes(generated.midi)
    return path

"""Stems of finished separations as WAV files, wherever they lie: with the job, or with the track of the library they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sottovoce import errors
from sottovoce.audio import Stem
from sottovoce.engines.catalog import AUTO, SEPARATORS, parse_engine
from sottovoce.jobs.job import Job
from sottovoce.library.track import Track
from sottovoce.server.asked import House
from sottovoce.studio import Studio


def track_of(job: Job) -> str | None:
    """The track of the library that a job separates."""
    source = job.request.get("source")
    return source.get("track") if isinstance(source, Mapping) else None


def stems_of(studio: Studio, job: Job) -> dict[Stem, Path]:
    """The files of a job's stems, in the format they were kept in; none before it is done."""
    if job.kind != "separate" or job.result is None:
        return {}
    track, report = track_of(job), job.result["report"]
    if track is None:
        return {Stem(stem): studio.job_folder(job.id) / name for stem, name in job.result["stems"].items()}
    found = studio.library.stems(track, report["engine"])
    return {stem: path for stem, path in found.items() if stem in report["stems"]}


def wav_of(house: House, job: Job, stem: str) -> Path:
    """One of these as a WAV file; StemNotFound if there is none."""
    path = stems_of(house.studio, job).get(Stem(stem))
    track = track_of(job)
    if path is None or (track is None and path.suffix != ".wav"):
        raise errors.StemNotFound(f"Stem {stem[:40]!r} not found", hint="")
    return path if track is None else as_wav(house, house.studio.library.get(track), path)


def as_wav(house: House, track: Track, path: Path) -> Path:
    """A stem of a track as a WAV file; it is made when first asked for."""
    # Stems lie under the hash of their bytes and were made here, whoever made the track.
    stem = replace(track, audio=path, sha256=path.stem, kind="separate", recipe_json=None)
    with house.decoding.taken():
        return house.renditions.get(stem, "wav")


def check_separator(studio: Studio, engine: str = AUTO, model: str | None = None) -> None:
    """InvalidBackend for an engine there is not; InvalidParameter if none that may be asked has a model of that name."""
    auto = parse_engine(engine) == AUTO
    if auto and model is None:
        return
    refusals: list[errors.SottovoceError] = []
    for name in studio.engines.order(SEPARATORS) if auto else (engine,):
        try:
            studio.engines.get(SEPARATORS, name).stems_of(model)
        except (errors.RequestError, errors.EngineError) as error:
            refusals.append(error)
        else:
            return
    raise errors.InvalidParameter(f"no separator has a model {model!r}") if auto else refusals[0]

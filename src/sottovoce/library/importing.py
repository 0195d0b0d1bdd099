"""Bringing in the user's own music: looked at, measured, and copied; the original stays as it is."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sottovoce import errors
from sottovoce.audio import AudioReader, Samples
from sottovoce.dsp.key import key
from sottovoce.dsp.loudness import LoudnessMeter
from sottovoce.dsp.peaks import TruePeakMeter
from sottovoce.dsp.tempo import tempo
from sottovoce.library.track import NewTrack
from sottovoce.media.decode import FileReader
from sottovoce.media.probe import MediaInfo, probe

IMPORT = "import"
#: Endings by which a folder is searched for music.
SUFFIXES = frozenset({".mp3", ".wav", ".flac", ".m4a", ".ogg", ".oga", ".opus", ".aac"})

_ANALYSIS_RATE = 22_050
_ANALYSIS_SECONDS = 120
#: Below these a tempo or a key is a guess and not kept.
_SURE_OF_TEMPO, _SURE_OF_KEY = 0.3, 0.05


@dataclass(frozen=True)
class _Levels:
    """Length in samples, loudness in LUFS and true peak in dBTP (None for silence)."""

    frames: int
    lufs: float | None
    true_peak_db: float | None


def read_file(path: Path, *, title: str | None = None, tags: Iterable[str] = ()) -> NewTrack:
    """A file of music as a track to be filed, with length, loudness, tempo and key measured; its own tags give title and genre.

    InputUnreadable, UnsupportedFormat (also for a video) or CorruptMedia.
    """
    info = probe(path)
    if info.has_video:
        raise errors.UnsupportedFormat(
            f"{path} is a video; the library keeps sound", hint="Import its sound as an audio file."
        )
    reader = FileReader(path)
    levels = _levels(reader)
    if levels.frames == 0:
        raise errors.CorruptMedia(f"{path} holds no sound")
    bpm, tonality = _music(path)
    return NewTrack(
        title=title or info.tags.get("title") or path.stem or IMPORT,
        kind=IMPORT,
        audio=path,
        seconds=levels.frames / reader.rate,
        rate=reader.rate,
        channels=reader.channels,
        words=_words(info),
        genre=(info.tags.get("genre") or "").strip()[:60] or None,
        lufs=levels.lufs,
        true_peak_db=levels.true_peak_db,
        bpm=bpm,
        key=tonality,
        tags=tuple(tags),
        keep_files=True,
    )


def files_in(path: Path) -> list[Path]:
    """The file itself, or all music files in a folder and the folders in it; InputUnreadable if there are none."""
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if not found:
        raise errors.InputUnreadable(f"no music was found in {path}", hint=f"Looked for {' '.join(sorted(SUFFIXES))}.")
    return found


def _levels(reader: AudioReader) -> _Levels:
    loudness, peak, frames = LoudnessMeter(reader.rate, reader.channels), TruePeakMeter(reader.channels), 0
    for block in reader.blocks(reader.rate):
        loudness.push(block)
        peak.push(block)
        frames += block.shape[1]
    measured, highest = loudness.integrated(), peak.peak()
    return _Levels(
        frames,
        lufs=round(measured, 2) if math.isfinite(measured) else None,
        true_peak_db=round(20 * math.log10(highest), 2) if highest > 0 else None,
    )


def _music(path: Path) -> tuple[float | None, str | None]:
    """Tempo and key of the first two minutes, where they are clear; less than a second has neither."""
    samples = _beginning(FileReader(path, rate=_ANALYSIS_RATE, channels=1))
    if samples.shape[1] < _ANALYSIS_RATE:
        return None, None
    pulse, tonality = tempo(samples, _ANALYSIS_RATE), key(samples, _ANALYSIS_RATE)
    return (
        round(pulse.bpm, 1) if pulse.confidence >= _SURE_OF_TEMPO else None,
        tonality.key if tonality.margin >= _SURE_OF_KEY else None,
    )


def _beginning(reader: AudioReader) -> Samples:
    blocks = [np.zeros((reader.channels, 0), np.float32)]
    for block in reader.blocks(_ANALYSIS_RATE):
        blocks.append(block)
        if len(blocks) > _ANALYSIS_SECONDS:
            break
    return np.concatenate(blocks, axis=1)


def _words(info: MediaInfo) -> str:
    """What the file's tags say that one may search for."""
    said = (info.tags.get(name) for name in ("artist", "album", "genre", "comment"))
    return ", ".join(word.strip() for word in said if word and word.strip())[:1000]

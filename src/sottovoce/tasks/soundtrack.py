"""The music of a score: made by an engine or taken from a file, and brought to exactly the length of the clip."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from sottovoce import errors
from sottovoce.audio import DELIVERY_RATE, ArrayReader, Audio, AudioReader, Samples, Stem, read_all
from sottovoce.dsp.crossfade import equal_power, loop_to
from sottovoce.dsp.loudness import LoudnessMeter
from sottovoce.dsp.tempo import tempo
from sottovoce.engines.catalog import Catalog
from sottovoce.media.decode import FileReader
from sottovoce.moods import Genre, MoodName
from sottovoce.progress import within
from sottovoce.recipe import Skipped
from sottovoce.tasks.generate import Generate, make_tracks
from sottovoce.tasks.mixture import rechunked
from sottovoce.tasks.outcome import MadeTrack, TaskRun
from sottovoce.tasks.request import LONGEST_SECONDS, SHORTEST_SCENE, SHORTEST_SECONDS, Scene
from sottovoce.tasks.separate import head

#: Parts of a soundtrack that is longer than an engine's piece overlap by so many seconds.
_OVERLAP = 4.0
#: A part may end this much earlier or later than planned, in seconds, where that puts the join on a cut.
_STRAY = 20.0
#: So many seconds of a song beyond the clip's end are read, to find its beats there.
_BEYOND = 10.0
#: Music that is cut needs no fade of its own if the mix fades it out over so many seconds.
_FADE_ENOUGH = 0.5


@dataclass(frozen=True, eq=False)
class Soundtrack:
    """Music of exactly the clip's length (48 kHz stereo), its loudness in LUFS, and where it comes from; its maker's stems, if it kept any."""

    reader: AudioReader
    lufs: float
    engine: str | None = None
    skipped: tuple[Skipped, ...] = ()
    takes: tuple[MadeTrack, ...] = ()
    take: int | None = None
    notes: tuple[str, ...] = ()
    stems: Mapping[Stem, AudioReader] = field(default_factory=dict)


@dataclass(frozen=True)
class Wish:
    """What music to make: words, mood, engine (and those to try first), seed, how many versions, the times of cuts in seconds, stems or not."""

    words: str
    mood: MoodName | None
    genre: Genre | None
    engine: str
    first: tuple[str, ...]
    seed: int
    versions: int
    cuts: tuple[float, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    stems: bool = False
    scenes: tuple[Scene, ...] = ()


def from_file(path: Path, frames: int, *, fade_out: float) -> Soundtrack:
    """A file's music, looped on beats or ended with a fade to fit `frames` samples at 48 kHz; its tempo stays as it is.

    `fade_out` is how many seconds the mix fades it out anyway. The file's own errors where it is missing, unreadable or empty: nothing
    takes its place.
    """
    reader = FileReader(path, rate=DELIVERY_RATE, channels=2)
    song = read_all(head(reader, frames / DELIVERY_RATE + _BEYOND)).samples
    if not song.any():
        raise errors.CorruptMedia(
            f"{path.name} is silent, so it cannot be the music", hint="Give another --music file."
        )
    ends_itself = song.shape[1] >= frames and fade_out >= _FADE_ENOUGH
    fitted = ArrayReader(Audio(song[:, :frames], DELIVERY_RATE)) if ends_itself else _fitted(song, frames)
    return Soundtrack(fitted, _lufs(fitted), notes=_fitted_note(song.shape[1], frames))


def made(wish: Wish, frames: int, engines: Catalog, run: TaskRun) -> Soundtrack:
    """Every version asked for, and the best of them by its inspection as the soundtrack."""
    parts = plan(frames / DELIVERY_RATE, wish.cuts)
    made_parts = [_part(wish, number, parts, engines, run) for number in range(len(parts))]
    versions = list(zip(*made_parts, strict=True))
    best = min(range(len(versions)), key=lambda index: (_faults(versions[index]), index))
    chosen = versions[best]
    reader = _joined([FileReader(track.audio) for track in chosen], frames)
    lufs = chosen[0].recipe.audio.lufs if len(chosen) == 1 else None
    return Soundtrack(
        reader,
        _lufs(reader) if lufs is None else lufs,
        engine=chosen[0].recipe.engine.name,
        skipped=chosen[0].recipe.skipped,
        takes=tuple(track for version in versions for track in version),
        take=best + 1,
        notes=tuple(dict.fromkeys(note for track in chosen for note in track.recipe.notes)),
        stems=_stems(chosen, frames),
    )


def plan(seconds: float, cuts: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """Start and end in seconds of each part of a soundtrack; neighbours overlap, and meet on a cut where one is near."""
    count = max(1, math.ceil((seconds - _OVERLAP) / (LONGEST_SECONDS - _OVERLAP - 2 * _STRAY)))
    if seconds <= LONGEST_SECONDS:
        return ((0.0, seconds),)
    planned = [seconds * index / count for index in range(1, count)]
    joins = [min(cuts, key=lambda cut: abs(cut - at), default=at) for at in planned]
    joins = [join if abs(join - at) <= _STRAY else at for join, at in zip(joins, planned, strict=True)]
    starts = [0.0, *(join - _OVERLAP / 2 for join in joins)]
    ends = [*(join + _OVERLAP / 2 for join in joins), seconds]
    return tuple(zip(starts, ends, strict=True))


def _part(
    wish: Wish, number: int, parts: Sequence[tuple[float, float]], engines: Catalog, run: TaskRun
) -> tuple[MadeTrack, ...]:
    """Every version of one part of the soundtrack."""
    start, end = parts[number]
    request = _request(wish, start, end, seed=wish.seed + number * wish.versions)
    share = within(run.progress, 100 * number / len(parts), 100 * (number + 1) / len(parts))
    folder = run.scratch / f"part-{number + 1}"
    folder.mkdir(exist_ok=True)
    part = replace(run, progress=share, scratch=folder)
    tracks = make_tracks(request, engines, part, first=wish.first, stems_welcome=wish.stems)
    return tuple(
        replace(track, tags=("score", _place(index + 1, number + 1, len(parts)))) for index, track in enumerate(tracks)
    )


def _place(take: int, part: int, parts: int) -> str:
    """The tag that finds a take again; one in parts can only be made anew."""
    return f"take-{take}" if parts == 1 else f"take-{take}-part-{part}-of-{parts}"


def _request(wish: Wish, start: float, end: float, *, seed: int) -> Generate:
    frames = round(end * DELIVERY_RATE) - round(start * DELIVERY_RATE)
    return Generate(
        prompt=wish.words,
        duration=max(SHORTEST_SECONDS, frames / DELIVERY_RATE),
        engine=wish.engine,
        seed=seed % 2**32,
        mood=wish.mood,
        genre=wish.genre,
        versions=wish.versions,
        cues=tuple(cut - start for cut in wish.cuts if start < cut < end)[:500],
        scenes=_scenes(wish.scenes, start, end),
        options=wish.options,
    )


def _scenes(scenes: Sequence[Scene], start: float, end: float) -> tuple[Scene, ...]:
    """Those that have room in a part of the soundtrack, by its own clock; one that goes on at its start, or nearly begins there, begins it."""
    begun = [scene.model_copy(update={"start": 0.0}) for scene in scenes if scene.start < start + SHORTEST_SCENE]
    later = [scene for scene in scenes if start + SHORTEST_SCENE <= scene.start <= end - SHORTEST_SCENE]
    return (*begun[-1:], *(scene.model_copy(update={"start": scene.start - start}) for scene in later))


def _faults(version: Sequence[MadeTrack]) -> int:
    return sum(len(track.recipe.inspection.get("faults", ())) for track in version)


def _joined(parts: Sequence[AudioReader], frames: int) -> AudioReader:
    """The parts one after the other, or as much of the only one as is needed."""
    return Joined(tuple(parts), frames) if len(parts) > 1 else head(parts[0], frames / DELIVERY_RATE)


def _stems(parts: Sequence[MadeTrack], frames: int) -> dict[Stem, AudioReader]:
    """The stems of the whole; a part without one of them is silent there, and a part without any leaves none."""
    if not all(part.stems for part in parts):
        return {}
    names = dict.fromkeys(stem for part in parts for stem in part.stems)
    return {stem: _joined([_stem(part, stem) for part in parts], frames) for stem in names}


def _stem(part: MadeTrack, stem: Stem) -> AudioReader:
    if stem in part.stems:
        return FileReader(part.stems[stem], rate=DELIVERY_RATE, channels=2)
    return Silence(part.recipe.audio.frames)


def _fitted(song: Samples, frames: int) -> AudioReader:
    beats = tempo(song, DELIVERY_RATE).beats
    lengths = [round((end - start) * DELIVERY_RATE) for start, end in plan(frames / DELIVERY_RATE, ())]
    parts = [Fitted(song, length, beats) for length in lengths]
    return _joined(parts, frames) if len(parts) > 1 else ArrayReader(read_all(parts[0]))


@dataclass(frozen=True, eq=False)
class Fitted:
    """An `AudioReader` over music (48 kHz) looped on its beats (seconds) or faded out to exactly `frames`."""

    song: Samples
    frames: int
    beats: tuple[float, ...]
    rate: int = DELIVERY_RATE

    @property
    def channels(self) -> int:
        """How many channels."""
        return int(self.song.shape[0])

    def blocks(self, frames: int) -> Iterator[Samples]:
        """Consecutive blocks of `frames` samples from the start; the last one may be shorter, none is empty."""
        fitted = loop_to(self.song, self.rate, self.frames, beats=self.beats)
        return ArrayReader(Audio(fitted, self.rate)).blocks(frames)


@dataclass(frozen=True)
class Silence:
    """An `AudioReader` over `frames` of silence."""

    frames: int
    rate: int = DELIVERY_RATE
    channels: int = 2

    def blocks(self, frames: int) -> Iterator[Samples]:
        """Consecutive blocks of `frames` samples from the start; the last one may be shorter, none is empty."""
        for first in range(0, self.frames, frames):
            yield np.zeros((self.channels, min(frames, self.frames - first)), np.float32)


@dataclass(frozen=True, eq=False)
class Joined:
    """An `AudioReader` over parts that overlap by four seconds with equal-power crossfades; `frames` is the whole length."""

    parts: tuple[AudioReader, ...]
    frames: int

    @property
    def rate(self) -> int:
        """Rate in Hz."""
        return self.parts[0].rate

    @property
    def channels(self) -> int:
        """How many channels."""
        return self.parts[0].channels

    def blocks(self, frames: int) -> Iterator[Samples]:
        """Consecutive blocks of `frames` samples from the start; the last one may be shorter, none is empty."""
        return rechunked(self._pieces(), frames)

    def _pieces(self) -> Iterator[Samples]:
        overlap = round(_OVERLAP * self.rate)
        tail: Samples | None = None
        for part in self.parts:
            blocks = part.blocks(overlap)
            first = next(blocks)
            held = first if tail is None else equal_power(tail, first, overlap)
            for block in blocks:
                yield held[:, : block.shape[1]]
                held = np.concatenate([held, block], axis=1)[:, -overlap:]
            tail = held
        if tail is not None:
            yield tail


def _lufs(reader: AudioReader) -> float:
    meter = LoudnessMeter(reader.rate, reader.channels)
    for block in reader.blocks(1 << 18):
        meter.push(block)
    return meter.integrated()


def _fitted_note(there: int, frames: int) -> tuple[str, ...]:
    if there == frames:
        return ()
    if there > frames:
        return (f"the music is longer than the clip, so it ends with a fade at {frames / DELIVERY_RATE:.1f} s",)
    return (f"the music lasts {there / DELIVERY_RATE:.1f} s, so it was looped on its beats",)

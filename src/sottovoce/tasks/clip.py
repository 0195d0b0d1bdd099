"""The clip of a score: what it is, what was heard in it and what is to be seen."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sottovoce.audio import DELIVERY_RATE, AudioReader, Stem
from sottovoce.engines.base import Run
from sottovoce.engines.catalog import Catalog
from sottovoce.media.decode import FileReader
from sottovoce.media.encode import Format, StemFiles
from sottovoce.media.probe import MediaInfo
from sottovoce.media.video import Survey, survey
from sottovoce.tasks.listening import Heard, listen
from sottovoce.tasks.outcome import TaskRun
from sottovoce.tasks.request import Source
from sottovoce.tasks.separate import Separate, split_into
from sottovoce.tasks.side_by_side import Ahead

_STEMS = Format("flac", bit_depth="24")


@dataclass(frozen=True, eq=False)
class Clip:
    """A video or recording: its length in samples at 48 kHz, what was heard (None without sound) and seen (None if nobody looked)."""

    info: MediaInfo
    frames: int
    heard: Heard | None
    seen: Survey | None
    notes: tuple[str, ...] = ()

    @property
    def sound(self) -> FileReader:
        """Its sound as it is mixed: 48 kHz stereo."""
        return FileReader(self.info.path, rate=DELIVERY_RATE, channels=2)


@dataclass(frozen=True, eq=False)
class VoiceStems:
    """A clip split into its voices and everything else, and what to say of how that was done."""

    voice: AudioReader
    rest: AudioReader
    notes: tuple[str, ...]


def open_clip(info: MediaInfo, run: Run, *, stems: VoiceStems | None, look: bool) -> Clip:
    """Hear the clip through, and look at its pictures meanwhile if `look`; the file's own errors if it cannot be read."""
    with ThreadPoolExecutor(1) as beside:
        pictures = beside.submit(survey, info.path) if look and info.has_video else None
        heard = _heard(info, stems, run) if info.has_sound else None
        seen = pictures.result() if pictures else None
    frames = round(info.seconds * DELIVERY_RATE) if info.has_video else heard.frames if heard else 0
    return Clip(info, frames, heard, seen, stems.notes if stems else ())


def voice_stems(source: Source, separator: str, engines: Catalog, run: TaskRun) -> VoiceStems:
    """Split the clip's voices off into the scratch folder, by the separator asked for or the first that can."""
    sound = FileReader(run.locate(source))

    def files(engine: str) -> StemFiles:
        return StemFiles(run.scratch / f"stems-{engine}", rate=sound.rate, channels=sound.channels, form=_STEMS)

    vocals, rest = Stem("vocals"), Stem("no_vocals")
    split = split_into(Separate(source=source, engine=separator, only=(vocals, rest)), sound, files, engines, run)
    skipped = [f"{skip.engine} did not separate the voices: {skip.reason}" for skip in split.skipped]
    paths = split.sink.paths
    return VoiceStems(
        FileReader(paths[vocals]),
        FileReader(paths[rest]),
        (*skipped, f"voices found in the vocals split off by {split.engine.name}"),
    )


def _heard(info: MediaInfo, stems: VoiceStems | None, run: Run) -> Heard:
    sound = Ahead(FileReader(info.path, rate=DELIVERY_RATE, channels=2))
    voice, rest = (stems.voice, stems.rest) if stems else (None, None)
    return listen(sound, info.seconds, run, voice=voice, rest=rest)

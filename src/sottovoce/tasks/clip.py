"""The clip of a score: what it is, what was heard in it and what is to be seen."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from sottovoce.audio import DELIVERY_RATE, Audio, AudioReader, Stem
from sottovoce.dsp.resample import StreamResampler
from sottovoce.dsp.speech import RATE as SPEECH_RATE
from sottovoce.engines.base import Run
from sottovoce.engines.catalog import Catalog
from sottovoce.media.decode import FileReader
from sottovoce.media.encode import Format, StemFiles
from sottovoce.media.probe import MediaInfo
from sottovoce.media.video import Survey, survey
from sottovoce.progress import OnProgress, ignore
from sottovoce.tasks.listening import Heard, listen
from sottovoce.tasks.mood import Excerpt
from sottovoce.tasks.outcome import TaskRun
from sottovoce.tasks.request import Source
from sottovoce.tasks.separate import Separate, split_into
from sottovoce.tasks.side_by_side import Ahead
from sottovoce.tasks.spool import Spool, spooled

_STEMS = Format("flac", bit_depth="24")
#: The clip is read in blocks of so many seconds.
_SECONDS_AT_ONCE = 4


@dataclass(frozen=True, eq=False)
class Clip:
    """A video or recording: its length in samples at 48 kHz, its sound as it is mixed (48 kHz stereo), what of it tells the mood, its pictures.

    Without sound there is none of both, and None is seen if nobody looked.
    """

    info: MediaInfo
    frames: int
    sound: AudioReader | None
    excerpt: Audio | None
    seen: Survey | None
    stems: VoiceStems | None = None

    def heard(self, wanted: OnProgress = ignore) -> Heard | None:
        """What is heard in it (None without sound), listened to now; `wanted` is called meanwhile and may raise."""
        if self.sound is None:
            return None
        voice, rest = (self.stems.voice, self.stems.rest) if self.stems else (None, None)
        return listen(self.sound, self.info.seconds, Run(wanted), voice=voice, rest=rest)


@dataclass(frozen=True, eq=False)
class VoiceStems:
    """A clip split into its voices and everything else, and what to say of how that was done."""

    voice: AudioReader
    rest: AudioReader
    notes: tuple[str, ...]


def open_clip(info: MediaInfo, run: TaskRun, *, stems: VoiceStems | None, look: bool) -> Clip:
    """Decode the clip's sound, and look at its pictures meanwhile if `look`; the file's own errors if it cannot be read."""
    with ThreadPoolExecutor(1) as beside:
        pictures = beside.submit(survey, info.path) if look and info.has_video else None
        sound, part = _decoded(info, run) if info.has_sound else (None, None)
        seen = pictures.result() if pictures else None
    frames = round(info.seconds * DELIVERY_RATE) if info.has_video else sound.frames if sound else 0
    return Clip(info, frames, sound, part, seen, stems)


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


def _decoded(info: MediaInfo, run: TaskRun) -> tuple[Spool, Audio]:
    """The clip's sound in the scratch folder, and the stretches of it that tell its mood."""
    source = Ahead(FileReader(info.path, rate=DELIVERY_RATE, channels=2))
    spool = Spool(run.scratch / "clip.f32", source.rate, source.channels)
    resampler, part = StreamResampler(source.rate, SPEECH_RATE, 1, quality="high"), Excerpt(SPEECH_RATE, info.seconds)
    done = 0
    for block in spooled(source, spool.path, block=_SECONDS_AT_ONCE * source.rate):
        run.report("listen", min(100.0, 100 * done / source.rate / max(info.seconds, 1)))
        part.push(resampler.push(block.mean(axis=0, keepdims=True, dtype=np.float32)))
        done += block.shape[1]
    part.push(resampler.flush())
    return spool, part.audio()

"""The clip of a score: what it is, what was heard in it and what is to be seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from sottovoce import errors
from sottovoce.audio import DELIVERY_RATE, Audio, AudioReader, Samples, Stem
from sottovoce.dsp.resample import StreamResampler
from sottovoce.dsp.speech import RATE as SPEECH_RATE
from sottovoce.engines.base import Run
from sottovoce.engines.catalog import SEPARATORS, Catalog, parse_engine
from sottovoce.media.decode import FileReader
from sottovoce.media.probe import MediaInfo
from sottovoce.media.video import Survey, survey
from sottovoce.progress import OnProgress, ignore
from sottovoce.recipe import Skipped
from sottovoce.tasks.listening import Heard, listen
from sottovoce.tasks.mood import Excerpt
from sottovoce.tasks.outcome import TaskRun
from sottovoce.tasks.request import Source
from sottovoce.tasks.separate import Separate, separate
from sottovoce.tasks.side_by_side import Ahead
from sottovoce.tasks.spool import Spool, spooled

#: Asked for as the separator, it leaves the clip whole.
NONE = "none"
#: Separators that leave too much else in the vocals to find voices in them better than in the clip itself.
_COARSE = ("classical",)
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
    key: Key

    def heard(self, wanted: OnProgress = ignore) -> Heard | None:
        """What is heard in it (None without sound), listened to now; `wanted` is called meanwhile and may raise."""
        if self.sound is None:
            return None
        voice, rest = (self.key.stems.voice, self.key.stems.rest) if self.key.stems else (None, None)
        return listen(self.sound, self.info.seconds, Run(wanted), voice=voice, rest=rest)


@dataclass(frozen=True, eq=False)
class VoiceStems:
    """A clip split into its voices and everything else, and by which engine and model."""

    voice: AudioReader
    rest: AudioReader
    engine: str
    model: str | None


@dataclass(frozen=True)
class Key:
    """What lowers the music: the voices in a clip's stems, or (None) in its own sound; and which separators were passed over."""

    stems: VoiceStems | None = None
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()


def open_clip(info: MediaInfo, run: TaskRun, *, key: Key, look: bool) -> Clip:
    """Decode the clip's sound, and look at its pictures meanwhile if `look`; the file's own errors if it cannot be read."""
    with ThreadPoolExecutor(1) as beside:
        pictures = beside.submit(survey, info.path) if look and info.has_video else None
        sound, part = _decoded(info, run) if info.has_sound else (None, None)
        seen = pictures.result() if pictures else None
    frames = round(info.seconds * DELIVERY_RATE) if info.has_video else sound.frames if sound else 0
    return Clip(info, frames, sound, part, seen, key)


def voice_key(source: Source, separator: str | None, engines: Catalog, run: TaskRun) -> Key:
    """Split the clip's voices off into the scratch folder, by the separator asked for (`auto`: the first that can; `none`: not at all).

    Where nothing was asked for, by the first of the user's order that is a network, free and can; if there is none, the clip stays whole.
    """
    if separator is not None:
        return Key() if parse_engine(separator) == NONE else _split(source, separator, engines, run)
    skipped: list[tuple[str, errors.SottovoceError]] = []
    for name in engines.order(SEPARATORS):
        if name in _COARSE:
            continue
        try:
            _refuse_paid(name, engines)
            return _after(skipped, _split(source, name, engines, run))
        except (errors.EngineError, errors.RequestError) as error:
            skipped.append((name, error))
    return _after(skipped, Key())


def _refuse_paid(name: str, engines: Catalog) -> None:
    if engines.ready(SEPARATORS, name).capabilities.paid:
        raise errors.InvalidParameter(f"{name} is paid for", hint=f"--separator {name} takes it.")


def _after(skipped: Sequence[tuple[str, errors.SottovoceError]], key: Key) -> Key:
    """The key, and who was passed over before it; only those that were ready and failed are worth a note."""
    skips = tuple(Skipped(engine=name, reason=error.message, cure=error.hint) for name, error in skipped)
    failed = {
        name for name, error in skipped if not isinstance(error, errors.BackendNotInstalled | errors.RequestError)
    }
    notes = _notes([skip for skip in skips if skip.engine in failed])
    return replace(key, skipped=(*skips, *key.skipped), notes=(*notes, *key.notes))


def _split(source: Source, separator: str, engines: Catalog, run: TaskRun) -> Key:
    """The key by a separator; a clip that was separated before, by a score or by itself, is not separated again."""
    vocals, rest = Stem("vocals"), Stem("no_vocals")
    done = separate(Separate(source=source, engine=separator, only=(vocals, rest)), engines, run)
    told, back = done.report, -done.report["gain_db"]
    skipped = tuple(Skipped.model_validate(skip) for skip in told["skipped"])
    voice, other = (_Raised(FileReader(done.stems[stem]), back) for stem in (vocals, rest))
    origin = "kept from an earlier separation by" if told["cached"] else "split off by"
    notes = (*_notes(skipped), f"voices found in the vocals {origin} {told['engine']}")
    return Key(VoiceStems(voice, other, told["engine"], told["model"]), skipped, notes)


@dataclass(frozen=True, eq=False)
class _Raised:
    """An `AudioReader` over another, raised by `gain_db`: stems that were turned down to fit a file, at the level of their clip."""

    source: AudioReader
    gain_db: float

    @property
    def rate(self) -> int:
        return self.source.rate

    @property
    def channels(self) -> int:
        return self.source.channels

    @property
    def frames(self) -> int:
        return self.source.frames

    def blocks(self, frames: int) -> Iterator[Samples]:
        gain = np.float32(10 ** (self.gain_db / 20))
        return (block * gain for block in self.source.blocks(frames))


def _notes(skipped: Sequence[Skipped]) -> tuple[str, ...]:
    return tuple(f"{skip.engine} did not separate the voices: {skip.reason}" for skip in skipped)


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

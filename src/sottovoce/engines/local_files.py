"""Music from the user's own folder: picked by mood, words, measured tempo and length, cut or looped to the exact length, never re-timed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from sottovoce import errors
from sottovoce.audio import DELIVERY_RATE, Audio, Samples
from sottovoce.dsp.crossfade import loop_to
from sottovoce.dsp.key import key
from sottovoce.dsp.limiter import limit
from sottovoce.dsp.loudness import gain_for, integrated
from sottovoce.dsp.tempo import Tempo, tempo
from sottovoce.engines.base import Capabilities, EngineOptions, Generated, Run, Unavailable
from sottovoce.media.decode import FileReader
from sottovoce.media.probe import MediaInfo, probe
from sottovoce.moods import MOODS
from sottovoce.prompt import Prompt
from sottovoce.recipe import TempoPoint
from sottovoce.version import __version__

SUFFIXES = frozenset((".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac", ".aif", ".aiff", ".wma"))
#: Moods that can stand in for one another.
FAMILIES = tuple(
    frozenset(names.split())
    for names in (
        "calm peaceful mysterious",
        "energetic exciting dramatic",
        "happy playful uplifting inspiring",
        "nostalgic sad melancholic",
        "tender romantic",
    )
)
_TEMPO_WORDS = {"slow": 72.0, "medium": 100.0, "fast": 132.0}
_OPENED, _MEASURED = 40, 12
_MEASURED_SECONDS, _MEASURED_RATE = 45.0, 22_050
#: Files within this much of the best score are as good; the seed draws among them.
_AS_GOOD = 0.25
_CEILING_DB = -1.0
T = TypeVar("T")


class LocalFilesConfig(BaseModel):
    """The engine's part of the section `audio`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    local_music_dir: Annotated[Path, Field(description="folder of music files; its folders may be named by mood")] = (
        Path("~/Music/Memories")
    )


@dataclass(frozen=True)
class Candidate:
    """A file with the words of its folders and name, and how well it suits the prompt so far."""

    path: Path
    words: frozenset[str]
    score: float = 0.0


class LocalFiles:
    """Picks a file of the user's and makes it exactly as long as asked; the same seed and folder give the same music."""

    name: ClassVar[str] = "local-files"
    title: ClassVar[str] = "Your own music"
    version: ClassVar[str] = __version__
    Config: ClassVar[type[LocalFilesConfig]] = LocalFilesConfig
    section: ClassVar[str | None] = "audio"
    Options: ClassVar[type[EngineOptions]] = EngineOptions
    capabilities: ClassVar[Capabilities] = Capabilities(
        seconds=(1.0, float("inf")),
        rate=DELIVERY_RATE,
        tasks=("generate",),
        needs="music files in the folder audio.local_music_dir",
        licence="that of your files",
        quality="your own recordings",
    )

    def __init__(self, config: LocalFilesConfig, weights: object = None, device: str = "cpu") -> None:
        self.config, self.weights, self.device = config, weights, device
        self._folder = config.local_music_dir.expanduser()
        self._seen: dict[tuple[str, Path, int, int], Any] = {}

    def unavailable(self) -> Unavailable | None:
        """The folder is missing, or has no music."""
        cure = "Put music there, in folders named by mood if you like, or name another folder: `sotto config set audio.local_music_dir FOLDER`."
        if not self._folder.is_dir():
            return Unavailable(f"the folder {self._folder} does not exist", cure)
        if next(iter(_music_in(self._folder)), None) is None:
            return Unavailable(f"the folder {self._folder} has no music files", cure)
        return None

    def close(self) -> None:
        """Forget what was measured."""
        self._seen.clear()

    def generate(self, prompt: Prompt, options: EngineOptions, run: Run) -> Generated:  # noqa: ARG002
        """The best file that can be read, at 48 kHz stereo; files that cannot are named in the notes."""
        notes: list[str] = []
        for candidate in self._ranked(prompt, run, notes):
            run.report("read", 40)
            try:
                return self._fitted(candidate, prompt, run, notes)
            except errors.InputError as error:
                notes.append(f"skipped {candidate.path.name}: {error.message}")
        raise errors.BackendNotInstalled(
            f"no file in {self._folder} can be read ({'; '.join(notes) or 'it is empty'})",
            hint="Replace the files named, or choose another folder with `sotto config set audio.local_music_dir FOLDER`.",
        )

    def _ranked(self, prompt: Prompt, run: Run, notes: list[str]) -> list[Candidate]:
        """The files that suit the prompt, best first, those equally good in the seed's order."""
        draw = np.random.default_rng(prompt.seed)
        files = [Candidate(path, _words_of(path.relative_to(self._folder))) for path in _music_in(self._folder)]
        files = [replace(file, score=_by_words(file, prompt)) for file in files]
        files = [files[index] for index in draw.permutation(len(files))]
        files = _best(files)[:_OPENED]
        files = [better for file in files if (better := self._by_length(file, prompt, notes)) is not None]
        wish = _tempo_wish(prompt)
        if wish is not None:
            files = _best(files)[:_MEASURED]
            for index, file in enumerate(files):
                run.report("measure", 40 * index / len(files), step=index + 1, total=len(files))
                files[index] = self._by_tempo(file, wish, notes)
        return _best(files)

    def _by_length(self, file: Candidate, prompt: Prompt, notes: list[str]) -> Candidate | None:
        """Scored by how much of the asked length it fills, and by its tags; None if it cannot be opened or has no sound."""
        try:
            info: MediaInfo = self._once("probe", file.path, probe)
        except errors.InputError as error:
            notes.append(f"skipped {file.path.name}: {error.message}")
            return None
        if not info.has_sound or info.seconds <= 0:
            notes.append(f"skipped {file.path.name}: it has no sound")
            return None
        tagged = frozenset(_tokens(" ".join(info.tags.get(name, "") for name in ("genre", "comment"))))
        words = replace(file, words=file.words | tagged)
        return replace(words, score=_by_words(words, prompt) + min(1.0, info.seconds / prompt.seconds))

    def _by_tempo(self, file: Candidate, wish: tuple[float, bool], notes: list[str]) -> Candidate:
        try:
            found: Tempo = self._once("tempo", file.path, _measured)
        except errors.InputError as error:
            notes.append(f"no tempo of {file.path.name}: {error.message}")
            return file
        return replace(file, score=file.score + 2 * _nearness(found.bpm, wish[0], exact=wish[1]))

    def _once(self, what: str, path: Path, measure: Callable[[Path], T]) -> T:
        """A measurement, remembered until the file changes."""
        try:
            status = path.stat()
        except OSError as error:
            raise errors.InputUnreadable(f"{path.name} cannot be read: {error.strerror}") from error
        place = (what, path, status.st_mtime_ns, status.st_size)
        if place not in self._seen:
            self._seen[place] = measure(path)
        found: T = self._seen[place]
        return found

    def _fitted(self, chosen: Candidate, prompt: Prompt, run: Run, notes: list[str]) -> Generated:
        frames = round(prompt.seconds * DELIVERY_RATE)
        music = _opening(chosen.path, DELIVERY_RATE, 2, frames + 1)
        if not music.any():
            raise errors.CorruptMedia(f"{chosen.path.name} is silent")
        run.report("fit", 60)
        pulse = tempo(music, DELIVERY_RATE)
        fitted = loop_to(music, DELIVERY_RATE, frames, beats=pulse.beats)
        run.report("finish", 80)
        info: MediaInfo = self._once("probe", chosen.path, probe)
        sha256: str = self._once("sha256", chosen.path, _sha256)
        return Generated(
            Audio(_levelled(fitted, prompt.loudness), DELIVERY_RATE),
            tempo_map=_tempo_map(pulse),
            key=_key_name(music),
            title=info.tags.get("title") or chosen.path.stem,
            notes=(f"{chosen.path.name}, {_fit(music.shape[1], frames)}; sha256 {sha256}", *notes),
        )


def _music_in(folder: Path) -> Iterable[Path]:
    """Its music files, deep down too, in a fixed order; hidden ones are left out."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in SUFFIXES and not hidden and path.is_file():
            yield path


def _tokens(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def _words_of(path: Path) -> frozenset[str]:
    return frozenset(_tokens(" ".join([*path.parts[:-1], path.stem])))


def _by_words(file: Candidate, prompt: Prompt) -> float:
    """3 for the mood by name, 1.5 for one of its family, up to 1 for words in common."""
    words = frozenset(_tokens(f"{prompt.words} {prompt.genre or ''}"))
    moods = {prompt.mood} if prompt.mood else words & set(MOODS)
    family = {name for names in FAMILIES for name in names if names & moods}
    suits = 3.0 if moods & file.words else 1.5 if family & file.words else 0.0
    return suits + min(1.0, 0.5 * len((words - set(MOODS)) & file.words))


def _best(files: list[Candidate]) -> list[Candidate]:
    """By falling score, in steps within which the given order stays."""
    top = max((file.score for file in files), default=0.0)
    return sorted(files, key=lambda file: int((top - file.score) / _AS_GOOD))


def _tempo_wish(prompt: Prompt) -> tuple[float, bool] | None:
    """The tempo in bpm, and whether it was asked for as a number; None if nothing says how fast."""
    if prompt.bpm is not None:
        return prompt.bpm, True
    named = [_TEMPO_WORDS[word] for word in _tokens(prompt.words) if word in _TEMPO_WORDS]
    return (named[0], False) if named else None


def _nearness(found: float, asked: float, *, exact: bool) -> float:
    """1 for the asked tempo (half and double too, where it was a number), towards 0 away from it."""
    if found <= 0:
        return 0.0
    octaves = abs(np.log2(found / asked))
    apart, width = (abs(octaves - round(octaves)), 0.05) if exact else (octaves, 0.3)
    return float(np.exp(-0.5 * (apart / width) ** 2))


def _measured(path: Path) -> Tempo:
    return tempo(_opening(path, _MEASURED_RATE, 1, round(_MEASURED_SECONDS * _MEASURED_RATE)), _MEASURED_RATE)


def _opening(path: Path, rate: int, channels: int, frames: int) -> Samples:
    """The first frames of a file, fewer if it is shorter; CorruptMedia if there are none."""
    blocks: list[Samples] = []
    for block in FileReader(path, rate=rate, channels=channels).blocks(1 << 18):
        blocks.append(block)
        if sum(part.shape[1] for part in blocks) >= frames:
            break
    if not blocks:
        raise errors.CorruptMedia(f"{path.name} has no samples")
    return np.concatenate(blocks, axis=1)[:, :frames]


def _fit(there: int, asked: int) -> str:
    if there == asked:
        return "as it is"
    return "cut and faded out" if there > asked else f"{there / DELIVERY_RATE:.1f} s long, so looped on its beats"


def _levelled(music: Samples, loudness: float | None) -> Samples:
    """At the asked loudness in LUFS, or its own, with true peaks below -1 dBTP."""
    gain = 1.0 if loudness is None else gain_for(loudness, integrated(music, DELIVERY_RATE))
    limited, _ = limit(music * np.float32(gain), DELIVERY_RATE, ceiling_db=_CEILING_DB)
    return limited


def _tempo_map(pulse: Tempo) -> tuple[TempoPoint, ...]:
    if not pulse.beats:
        return ()
    return (TempoPoint(seconds=pulse.beats[0], beat=0, bpm=round(pulse.bpm, 3)),)


def _key_name(music: Samples) -> str | None:
    found = key(music[:, : 120 * DELIVERY_RATE], DELIVERY_RATE)
    return found.key if found.strength > 0.6 else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

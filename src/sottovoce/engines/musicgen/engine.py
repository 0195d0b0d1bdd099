"""The engine: MusicGen's networks in loops of our own, so that it is quick, heard token by token, and stops at once."""

from __future__ import annotations

import gc
import threading
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

from sottovoce import errors
from sottovoce.audio import DELIVERY_RATE, Audio, AudioReader, Samples
from sottovoce.dsp.limiter import limit
from sottovoce.dsp.loudness import gain_for, integrated
from sottovoce.dsp.mixdown import fade
from sottovoce.dsp.resample import resample
from sottovoce.engines.accelerator import resolved_device
from sottovoce.engines.base import Capabilities, EngineOptions, Generated, Run, Unavailable
from sottovoce.engines.captions import musicgen_caption
from sottovoce.engines.musicgen.melody import heard
from sottovoce.engines.musicgen.options import GUIDANCE, MODELS, LocalMusicgenConfig, MusicgenOptions
from sottovoce.progress import OnProgress, ignore, within
from sottovoce.prompt import Prompt
from sottovoce.version import __version__

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from sottovoce.engines.musicgen.model import Model
    from sottovoce.engines.musicgen.piece import Wish
    from sottovoce.weights.store import Snapshot

SHORTEST_SECONDS, LONGEST_SECONDS = 1.0, 600.0
USUAL_LUFS = -16.0
_CEILING_DB = -1.0
_FADE_SECONDS = 1.0
_PACKAGES = ("torch", "transformers", "safetensors")
_INSTALL = "pip install 'sottovoce[musicgen]'"
_LICENCE = "CC-BY-NC-4.0"
_NON_COMMERCIAL = "MusicGen's weights are non-commercial (CC-BY-NC-4.0), and so is what may be done with this track"
#: Percent of the work at which loading ends, and drawing tokens.
_LOADED, _DRAWN = 5.0, 90.0


class Weights(Protocol):
    """Where weights lie."""

    def snapshot(self, name: str, progress: OnProgress = ignore) -> Snapshot:
        """A model as a folder, fetched where that is allowed; MODEL_NOT_FOUND otherwise."""


@dataclass(frozen=True)
class Chosen:
    """Which model it is: its name, its folder, and how it is told from others."""

    name: str
    folder: Path
    revision: str | None
    sha256: str | None


@dataclass
class _Loaded:
    """The model that is in memory, and what it was loaded for."""

    key: tuple[Path, str, str] | None = None
    model: Model | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Musicgen:
    """Instrumental music by MusicGen; the same prompt, options and seed give the same music.

    Several versions are made one after the other: networks round otherwise in a batch, and a take would not be the one its seed gives alone.
    """

    name: ClassVar[str] = "musicgen"
    title: ClassVar[str] = "MusicGen"
    version: ClassVar[str] = __version__
    Config: ClassVar[type[LocalMusicgenConfig]] = LocalMusicgenConfig
    section: ClassVar[str | None] = "musicgen"
    Options: ClassVar[type[MusicgenOptions]] = MusicgenOptions
    capabilities: ClassVar[Capabilities] = Capabilities(
        seconds=(SHORTEST_SECONDS, LONGEST_SECONDS),
        rate=32_000,
        tasks=("generate", "cover", "reference"),
        needs="torch, transformers, and weights of 2.4 GB and more",
        licence=_LICENCE,
        quality="neural, instrumental; small for processors, large for cards; non-commercial weights",
    )

    def __init__(self, config: LocalMusicgenConfig, weights: Weights | None = None, device: str = "auto") -> None:
        self.config, self.weights, self.device = config, weights, device
        self._loaded = _Loaded()

    def unavailable(self) -> Unavailable | None:
        """Whether it is switched on and its packages are here; weights are asked for when their model is known."""
        if not self.config.enabled:
            return Unavailable("it is switched off", "sotto config set musicgen.enabled true")
        if self.config.mode == "api":
            return Unavailable("musicgen.mode is api, so only servers are asked", "sotto config set musicgen.mode auto")
        missing = [name for name in _PACKAGES if find_spec(name) is None]
        return Unavailable(f"the packages {', '.join(missing)} are missing", _INSTALL) if missing else None

    def close(self) -> None:
        """Forget the model."""
        with self._loaded.lock:
            self._forget()

    def generate(self, prompt: Prompt, options: EngineOptions, run: Run) -> Generated:
        """One take of exactly `round(prompt.seconds * 48000)` frames; `run.progress` hears of every token and may stop it there.

        InvalidDuration outside 1-600 s, InvalidParameter for what the model cannot do; errors of loading as `model.load` says.
        """
        assert isinstance(options, MusicgenOptions)
        name = _refused(prompt, options, self.config)
        with self._loaded.lock:
            run.report("load", 0)
            chosen = self._chosen(name, within(run.progress, 0, _LOADED / 2))
            device = resolved_device(self.device)
            model = self._model(chosen, device, options, within(run.progress, _LOADED / 2, _LOADED))
            _follows(model, prompt, chosen)
            return _Making(prompt, options, run, model, chosen).made()

    def _chosen(self, name: str, progress: OnProgress) -> Chosen:
        if name not in MODELS:
            from sottovoce.engines.musicgen.model import fingerprint

            folder = Path(name).expanduser()
            return Chosen(folder.name, folder, None, fingerprint(folder) if any(folder.glob("*.safetensors")) else None)
        if self.weights is None:
            raise errors.ModelNotFound(f"the weights of musicgen-{name} are not here", hint=_pull(name))
        found = self.weights.snapshot(f"musicgen-{name}", progress)
        hashes = [file.sha256 for file in found.model.files if file.name.endswith(".safetensors")]
        return Chosen(name, found.folder, found.model.revision, hashes[0] if len(hashes) == 1 else None)

    def _model(self, chosen: Chosen, device: str, options: MusicgenOptions, progress: OnProgress) -> Model:
        from sottovoce.engines.musicgen.model import load

        key = (chosen.folder, device, options.precision)
        if self._loaded.key != key or self._loaded.model is None:
            self._forget()
            report = Run(progress).report
            self._loaded.model = load(
                chosen.folder, device, options.precision, lambda share: report("load", 100 * share)
            )
            self._loaded.key = key
        return self._loaded.model

    def _forget(self) -> None:
        self._loaded.key = self._loaded.model = None
        # Modules of transformers hold one another, and would stay until some later collection.
        gc.collect()


@dataclass(frozen=True, eq=False)
class _Making:
    """One take on its way."""

    prompt: Prompt
    options: MusicgenOptions
    run: Run
    model: Model
    chosen: Chosen

    def made(self) -> Generated:
        """The finished take; OutOfMemory if the device cannot hold what it takes."""
        import torch

        from sottovoce.engines.musicgen.model import torch_threads

        wish = self._wish()
        with torch.inference_mode(), torch_threads(self.run.threads):
            try:
                sound = self._decoded(self._codes(wish))
            except torch.OutOfMemoryError as error:
                raise errors.OutOfMemory(
                    f"{self.chosen.name} does not fit into the memory of {self.model.network.device}",
                    hint="Take a smaller model, or the device cpu.",
                ) from error
        self.run.report("finish", 97)
        audio = Audio(finished(sound, self.model.codec.rate, self.prompt), DELIVERY_RATE)
        self.run.report("finish", 100)
        return self._generated(audio, wish)

    @property
    def guidance(self) -> float:
        """How closely it keeps to the words."""
        return GUIDANCE if self.options.guidance is None else self.options.guidance

    def _wish(self) -> Wish:
        from sottovoce.engines.musicgen.piece import Wish
        from sottovoce.engines.musicgen.sampling import Taste

        source = melody_of(self.prompt)
        return Wish(
            caption=musicgen_caption(self.prompt),
            seconds=self.prompt.seconds,
            seed=self.prompt.seed,
            taste=Taste(self.guidance, self.options.top_k, self.options.temperature),
            melody=None if source is None else heard(source, self.model.codec.rate),
        )

    def _codes(self, wish: Wish) -> torch.Tensor:
        from sottovoce.engines.musicgen.piece import codes

        def done(step: int, total: int) -> None:
            percent = _LOADED + (_DRAWN - _LOADED) * step / total
            self.run.report("generate", percent, step=step, total=total)

        return codes(self.model, wish, done)

    def _decoded(self, codes: torch.Tensor) -> NDArray[np.float32]:
        def done(share: float) -> None:
            self.run.report("decode", _DRAWN + (97 - _DRAWN) * share)

        return self.model.codec.decode(codes, self.model.layout.sides, done)

    def _generated(self, audio: Audio, wish: Wish) -> Generated:
        options = self.options.model_dump() | {
            "model": self.chosen.name,
            "guidance": self.guidance,
            "precision": "fast" if self.model.precision == "bfloat16" else "exact",
            "windows": len(wish.windows),
            "caption": wish.caption,
        }
        return Generated(
            audio,
            options=options,
            notes=tuple(self._notes(len(wish.windows))),
            model=f"musicgen-{self.chosen.name}" if self.chosen.name in MODELS else self.chosen.name,
            revision=self.chosen.revision,
            sha256=self.chosen.sha256,
            device=self.model.network.device,
            precision=self.model.precision,
        )

    def _notes(self, windows: int) -> list[str]:
        notes = [_NON_COMMERCIAL]
        if windows > 1:
            notes.append(f"made in {windows} windows of 30 s, each going on from the last 12 s of the one before")
        if self.prompt.lyrics:
            notes.append("MusicGen makes instrumental music; the lyrics are not sung")
        if self.prompt.edit is not None and self.prompt.edit.strength < 1:
            notes.append("MusicGen follows a melody wholly or not at all; the strength was not used")
        return notes


def finished(sound: NDArray[np.float32], rate: int, prompt: Prompt) -> Samples:
    """Sound [1 or 2, frames] as it is delivered: 48 kHz stereo of the exact length, faded out at its end, at the asked loudness or -16 LUFS.

    ModelInferenceFailed if it is no numbers.
    """
    if not np.isfinite(sound).all():
        raise errors.ModelInferenceFailed("MusicGen's codec gave samples that are no numbers")
    stereo = np.repeat(sound, 2, axis=0) if sound.shape[0] == 1 else sound
    frames = round(prompt.seconds * DELIVERY_RATE)
    music = resample(stereo, rate, DELIVERY_RATE)[:, :frames]
    music = np.pad(music, ((0, 0), (0, frames - music.shape[1])))
    music = fade(music, DELIVERY_RATE, 0.0, min(_FADE_SECONDS, prompt.seconds / 3))
    target = USUAL_LUFS if prompt.loudness is None else prompt.loudness
    gain = np.float32(gain_for(target, integrated(music, DELIVERY_RATE)))
    return limit(music * gain, DELIVERY_RATE, ceiling_db=_CEILING_DB)[0]


def melody_of(prompt: Prompt) -> AudioReader | None:
    """The recording whose melody is to be followed."""
    return prompt.edit.source if prompt.edit is not None else prompt.reference


def _refused(prompt: Prompt, options: MusicgenOptions, config: LocalMusicgenConfig) -> str:
    """The model to take; InvalidDuration, InvalidParameter for what no model of MusicGen can do."""
    if not SHORTEST_SECONDS <= prompt.seconds <= LONGEST_SECONDS:
        raise errors.InvalidDuration(
            f"MusicGen makes {SHORTEST_SECONDS:g} to {LONGEST_SECONDS:g} seconds, not {prompt.seconds:g}"
        )
    if prompt.edit is not None and prompt.edit.task != "cover":
        raise errors.InvalidParameter(f"MusicGen cannot {prompt.edit.task} music; it can cover it")
    if prompt.edit is not None and prompt.reference is not None:
        raise errors.InvalidParameter("MusicGen follows one melody; leave out the reference or the cover")
    usual = config.model if melody_of(prompt) is None or "melody" in config.model else "melody"
    name = options.model or usual
    if name not in MODELS and not Path(name).expanduser().is_dir():
        raise errors.InvalidParameter(
            f"MusicGen has no model {name!r}; there are {', '.join(MODELS)}, or give a folder of your own"
        )
    return name


def _follows(model: Model, prompt: Prompt, chosen: Chosen) -> None:
    if melody_of(prompt) is not None and not model.moments:
        raise errors.InvalidParameter(f"{chosen.name} follows no melody", hint="Take --model melody.")


def _pull(name: str) -> str:
    return f"sotto models pull musicgen-{name}"

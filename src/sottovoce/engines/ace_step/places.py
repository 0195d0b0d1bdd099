"""Where a model lies: in the store, converted from what its authors publish, or in a folder of the user's own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from sottovoce import errors
from sottovoce.engines.ace_step.conversion import Weights, prepared
from sottovoce.engines.ace_step.presets import Preset, is_folder
from sottovoce.progress import OnProgress
from sottovoce.weights.download import sha256_of

#: The parts that are always there.
PARTS = ("transformer", "condition_encoder", "text_encoder", "vae", "tokenizer")
_CONVERTED = frozenset(("acestep-v15-base", "acestep-v15-sft"))


@dataclass(frozen=True)
class Place:
    """A model's folder in diffusers' layout, and what tells it from others: a revision, or the hash of its files."""

    name: str
    folder: Path
    revision: str | None = None
    sha256: str | None = None

    @property
    def has_audio_tokenizer(self) -> bool:
        """Whether it can hear music as codes, which covers and plans need."""
        return all(
            (self.folder / part / "config.json").is_file() for part in ("audio_tokenizer", "audio_token_detokenizer")
        )


def place_of(model: str, preset: Preset, weights: Weights | None, progress: OnProgress) -> Place:
    """The place of a model, fetched or converted where that is allowed; MODEL_NOT_FOUND, MODEL_LOAD_FAILED."""
    if is_folder(model):
        return _own(Path(model).expanduser())
    if weights is None:
        raise errors.ModelNotFound(
            f"the weights of {preset.name} are not here", hint=f"Type `sotto models pull {preset.name}`."
        )
    if preset.name in _CONVERTED:
        folder = prepared(weights, preset.name, progress)
        return Place(preset.name, folder, revision=folder.name.partition("@")[2].partition("-")[0])
    snapshot = weights.snapshot(preset.name, progress)
    return Place(preset.name, snapshot.folder, revision=snapshot.model.revision)


def _own(folder: Path) -> Place:
    missing = [part for part in PARTS if not (folder / part).is_dir()]
    if missing:
        raise errors.ModelNotFound(
            f"{folder} is no ACE-Step model in diffusers layout: it has no {', '.join(missing)}",
            hint="Give the folder that holds model_index.json, transformer/, vae/ and the others.",
        )
    return Place(folder.name, folder, sha256=_hash_of(folder))


def _hash_of(folder: Path) -> str:
    """One hash over the files that make the sound: their names and their own hashes."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".json", ".safetensors") and path.is_file())
    lines = (f"{path.relative_to(folder).as_posix()} {sha256_of(path)}\n" for path in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()

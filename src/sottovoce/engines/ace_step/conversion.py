"""ACE-Step as its authors publish it, brought into diffusers' layout: tensors are renamed and sorted into parts, never computed with.

Published: one `model.safetensors` with the prefixes `decoder.`, `encoder.`, `tokenizer.` and `detokenizer.`, a `config.json`, and
`silence_latent.pt`; beside it the folders `vae` and `Qwen3-Embedding-0.6B`. diffusers: a folder for each part, with a config of its own.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from sottovoce import errors
from sottovoce.engines.ace_step.tensors import Entry, entries, entries_of, write
from sottovoce.progress import OnProgress, Progress, ignore, within
from sottovoce.weights.download import check_space, sha256_of
from sottovoce.weights.store import CONVERTED, Snapshot

#: Goes up when the same files are to be converted differently.
VERSION = 1
TEXT_ENCODER = "Qwen3-Embedding-0.6B"
_DONE = "converted.json"
_WEIGHTS = "diffusion_pytorch_model.safetensors"
_PARTS = {
    "decoder.": "transformer",
    "encoder.": "condition_encoder",
    "tokenizer.": "audio_tokenizer",
    "detokenizer.": "audio_token_detokenizer",
}
_RENAMED = {
    ".q_proj.": ".to_q.",
    ".k_proj.": ".to_k.",
    ".v_proj.": ".to_v.",
    ".o_proj.": ".to_out.0.",
    ".q_norm.": ".norm_q.",
    ".k_norm.": ".norm_k.",
    ".proj_in.1.": ".proj_in_conv.",
    ".proj_out.1.": ".proj_out_conv.",
}
#: What the layers of every part have in common.
_SHARED = ("head_dim", "rope_theta", "attention_bias", "attention_dropout", "rms_norm_eps", "sliding_window")
_HEADS = ("num_attention_heads", "num_key_value_heads", "hidden_size", "intermediate_size")
_OWN = {
    "transformer": (
        *_HEADS, "num_hidden_layers", "in_channels", "audio_acoustic_hidden_dim", "patch_size", "layer_types", "encoder_hidden_size",
        "is_turbo", "model_version",
    ),
    "condition_encoder": (
        "text_hidden_dim", "timbre_hidden_dim", "num_lyric_encoder_hidden_layers", "num_timbre_encoder_hidden_layers",
    ),
    "audio_tokenizer": (
        "audio_acoustic_hidden_dim", "pool_window_size", "fsq_dim", "fsq_input_levels", "fsq_input_num_quantizers",
        "num_attention_pooler_hidden_layers",
    ),
    "audio_token_detokenizer": ("audio_acoustic_hidden_dim", "pool_window_size", "num_attention_pooler_hidden_layers"),
}  # fmt: skip
_CLASSES = {
    "transformer": "AceStepTransformer1DModel",
    "condition_encoder": "AceStepConditionEncoder",
    "audio_tokenizer": "AceStepAudioTokenizer",
    "audio_token_detokenizer": "AceStepAudioTokenDetokenizer",
}


class Weights(Protocol):
    """Where the published files lie, and where converted ones may."""

    @property
    def folder(self) -> Path:
        """The models folder."""

    def with_parts(self, name: str) -> tuple[str, ...]:
        """The names of the models that make up one, itself at last."""

    def snapshot(self, name: str, progress: OnProgress = ignore) -> Snapshot:
        """A model that is here as a whole."""


def prepared(weights: Weights, name: str, progress: OnProgress = ignore) -> Path:
    """The folder of a published model in diffusers' layout, converted if it is not yet; errors as of the store's `located`.

    ModelLoadFailed where an earlier conversion was damaged on disk.
    """
    *parts, own = (weights.snapshot(part, within(progress, 0, 50)) for part in weights.with_parts(name))
    target = weights.folder / CONVERTED / f"{name}@{own.model.revision}-{VERSION}"
    if not (target / _DONE).exists():
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        shutil.rmtree(draft, ignore_errors=True)
        try:
            convert(own.folder, parts[0].folder, draft, within(progress, 50, 100))
            shutil.rmtree(target, ignore_errors=True)
            draft.replace(target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    else:
        _check(target)
    return target


def convert(published: Path, parts: Path, target: Path, progress: OnProgress = ignore) -> None:
    """Write a pipeline in diffusers' layout to `target` (which is new), from a published model and the folder with `vae` and text encoder.

    Weights keep their bits. ModelLoadFailed for files that are damaged or of another layout, DiskFull, and whatever `progress` raises.
    """
    config = _config(published / "config.json")
    tensors = sorted_into_parts(entries_of(published))
    target.mkdir(parents=True)
    check_space(target, sum(entry.end - entry.start for part in tensors.values() for entry in part.values()))
    silence = _silence(published / "silence_latent.pt", target, next(iter(tensors["condition_encoder"].values())).dtype)
    tensors["condition_encoder"]["silence_latent"] = silence
    for index, (part, wanted) in enumerate(tensors.items()):
        folder = target / part
        folder.mkdir()
        own = within(progress, 90 * index / len(tensors), 90 * (index + 1) / len(tensors))
        _write_part(folder, wanted, own)
        (folder / "config.json").write_text(json.dumps(part_config(part, config), indent=2) + "\n", encoding="utf-8")
    silence.path.unlink()
    _place_parts(parts, target)
    progress(Progress("check", 95))
    _finish(target, tuple(tensors))


def sorted_into_parts(published: Mapping[str, Entry]) -> dict[str, dict[str, Entry]]:
    """The tensors of each part under diffusers' names; parts that are not there are left out, the first two must be."""
    found: dict[str, dict[str, Entry]] = {}
    for name, entry in published.items():
        prefix = next((prefix for prefix in _PARTS if name.startswith(prefix)), None)
        if prefix is not None:
            found.setdefault(_PARTS[prefix], {})[_renamed(name.removeprefix(prefix))] = entry
        elif name == "null_condition_emb":
            found.setdefault("condition_encoder", {})[name] = entry
    missing = {"transformer", "condition_encoder"} - set(found)
    if missing:
        raise errors.ModelLoadFailed(
            f"this is no published ACE-Step model: nothing of it belongs to the {min(missing)}"
        )
    return found


def part_config(part: str, published: Mapping[str, Any]) -> dict[str, Any]:
    """A part's own config; parts but the transformer have the encoder's sizes where those differ (as in XL)."""
    said = dict(published)
    if part != "transformer":
        said.update({name: said[f"encoder_{name}"] for name in _HEADS if said.get(f"encoder_{name}") is not None})
    names = (*_SHARED, *_HEADS, *_OWN[part]) if part != "transformer" else (*_SHARED, *_OWN[part])
    return {"_class_name": _CLASSES[part], **{name: said[name] for name in names if said.get(name) is not None}}


def _renamed(name: str) -> str:
    dotted = f".{name}"
    for theirs, ours in _RENAMED.items():
        dotted = dotted.replace(theirs, ours)
    return dotted.removeprefix(".")


def _config(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise errors.ModelLoadFailed(f"{path} cannot be read: {error}") from error
    if not isinstance(said, dict) or "hidden_size" not in said:
        raise errors.ModelLoadFailed(f"{path} describes no network of ACE-Step")
    return said


def _silence(path: Path, target: Path, dtype: str) -> Entry:
    """The latent of silence [1, channels, frames] as a tensor [1, frames, channels] in a file of its own, in the type of the rest."""
    import torch
    from safetensors.torch import save_file

    try:
        latent = torch.load(path, "cpu", weights_only=True)
        kind = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}[dtype]
        turned = latent.transpose(1, 2).to(kind).contiguous()
    except (OSError, RuntimeError, EOFError, KeyError, AttributeError, IndexError, pickle.UnpicklingError) as error:
        raise errors.ModelLoadFailed(f"{path} is no latent of silence, or is damaged") from error
    place = target / "silence.safetensors"
    save_file({"silence_latent": turned}, place)
    return entries(place)["silence_latent"]


def _write_part(folder: Path, tensors: dict[str, Entry], progress: OnProgress) -> None:
    whole = max(1, sum(entry.end - entry.start for entry in tensors.values()))

    def report(done: int) -> None:
        progress(Progress(f"convert {folder.name}", 100 * done / whole))

    write(folder / _WEIGHTS, tensors, report)


def _place_parts(parts: Path, target: Path) -> None:
    """The parts that are published as they are needed: the same bytes, without a second copy where the disk can do that."""
    for name, places in {"vae": ("vae",), TEXT_ENCODER: ("text_encoder", "tokenizer")}.items():
        for path in sorted((parts / name).iterdir()):
            for place in places:
                if place == "tokenizer" and (path.suffix == ".safetensors" or path.name == "config.json"):
                    continue
                (target / place).mkdir(exist_ok=True)
                _same(path, target / place / path.name)


def _same(path: Path, place: Path) -> None:
    try:
        os.link(path.resolve(), place)
    except OSError:
        shutil.copy2(path, place)


def _finish(target: Path, made: tuple[str, ...]) -> None:
    """The index, and at last the hashes by which the conversion is known to be whole."""
    library = {part: ["diffusers", _CLASSES[part]] for part in made}
    index = {
        "_class_name": "AceStepPipeline",
        **library,
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "Qwen3Model"],
        "tokenizer": ["transformers", "AutoTokenizer"],
        "vae": ["diffusers", "AutoencoderOobleck"],
    }
    (target / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    hashes = {f"{part}/{_WEIGHTS}": sha256_of(target / part / _WEIGHTS) for part in made}
    (target / _DONE).write_text(json.dumps({"version": VERSION, "sha256": hashes}, indent=2) + "\n", encoding="utf-8")


def _check(target: Path) -> None:
    said = json.loads((target / _DONE).read_text(encoding="utf-8"))["sha256"]
    for name, expected in said.items():
        path = target / name
        if not path.is_file() or sha256_of(path) != expected:
            raise errors.ModelLoadFailed(
                f"{path} is damaged", hint=f"Remove {target}; it is made again from the published files."
            )

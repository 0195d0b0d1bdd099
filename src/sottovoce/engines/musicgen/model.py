"""A MusicGen model from a folder in transformers' layout: checked, loaded without any network, its words turned into what the music is like."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sottovoce import errors
from sottovoce.engines.accelerator import free_memory
from sottovoce.engines.musicgen.codec import Codec
from sottovoce.engines.musicgen.network import Condition, Network
from sottovoce.engines.musicgen.options import Precision
from sottovoce.engines.musicgen.sampling import Layout

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_KINDS = {"musicgen": "MusicgenForConditionalGeneration", "musicgen_melody": "MusicgenMelodyForConditionalGeneration"}
#: What a run takes besides the weights, in bytes.
_WORK = 1 << 29


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded model: the network, the codec, the layout of its codebooks, and how many moments of melody it takes (0: it follows none)."""

    network: Network
    codec: Codec
    layout: Layout
    moments: int
    precision: str
    _words: Any
    _tokenizer: Any

    def condition(self, caption: str, melody: NDArray[np.float32] | None, *, guided: bool) -> Condition:
        """What the music is to be like, by a caption and, where the model follows one, a melody [moments, 12] (None: none)."""
        text = self._said(caption)
        nothing = torch.zeros_like(text)
        if not self.moments:
            return Condition(torch.cat([text, nothing]) if guided else text, attended=True)
        tune, none = self._tune(melody)
        asked = torch.cat([tune, text], dim=1)
        return Condition(torch.cat([asked, torch.cat([none, nothing], dim=1)]) if guided else asked, attended=False)

    def _said(self, caption: str) -> Tensor:
        tokens = self._tokenizer([caption], return_tensors="pt").to(self.network.device)
        with torch.inference_mode():
            states: Tensor = self._words.text_encoder(
                input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
            ).last_hidden_state
            project = getattr(self._words, "enc_to_dec_proj", None)
            return states if project is None else project(states)

    def _tune(self, melody: NDArray[np.float32] | None) -> tuple[Tensor, Tensor]:
        """A melody and the lack of one (C all the time, as in the training), as hidden states of the length the model takes."""
        classes = int(self._words.config.num_chroma)
        none = torch.zeros(1, self.moments, classes, device=self.network.device)
        none[..., 0] = 1
        tune = none
        if melody is not None:
            heard = torch.from_numpy(melody)[None].to(self.network.device)
            tune = heard.repeat(1, -(-self.moments // heard.shape[1]), 1)[:, : self.moments]
        with torch.inference_mode():
            project = self._words.audio_enc_to_dec_proj
            return project(tune), project(none)


def load(folder: Path, device: str, precision: Precision, done: Callable[[float], None]) -> Model:
    """The model in a folder of safetensors files, on a device; `done` hears the share of the work, and may raise.

    WeightsRefused for pickled weights, ModelNotFound for none, ModelLoadFailed for damaged files or too little memory.
    """
    _check(folder, device)
    whole, tokenizer = _read(folder)
    done(0.6)
    return assembled(whole, tokenizer, device, precision, done)


def assembled(whole: Any, tokenizer: Any, device: str, precision: Precision, done: Callable[[float], None]) -> Model:
    """A model of transformers' (its parts are taken over) made ready on a device."""
    dtype = torch.bfloat16 if is_fast(precision, device) else torch.float32
    config, decoder = whole.config.decoder, whole.decoder
    whole.text_encoder.to(device)
    for name in ("enc_to_dec_proj", "audio_enc_to_dec_proj"):
        if hasattr(whole, name):
            getattr(whole, name).to(device)
    codec = Codec(whole.audio_encoder, device)
    done(0.7)
    whole.decoder = whole.audio_encoder = None
    network = Network(decoder, device, dtype)
    done(1.0)
    return Model(
        network=network,
        codec=codec,
        layout=Layout(config.num_codebooks, config.audio_channels, int(config.pad_token_id)),
        moments=int(getattr(whole.config, "chroma_length", 0)),
        precision="bfloat16" if dtype == torch.bfloat16 else "float32",
        _words=whole,
        _tokenizer=tokenizer,
    )


def is_fast(precision: Precision, device: str) -> bool:
    """Whether the network runs in bfloat16: where that is asked for, or where it is quicker and nothing was."""
    if precision != "auto":
        return precision == "fast"
    return has_bfloat16() if device == "cpu" else device.startswith("cuda")


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def fingerprint(folder: Path) -> str:
    """The SHA-256 of a model's weights; of several files, that of their hashes in the order of their names."""
    hashes = [_sha256(path, path.stat().st_mtime_ns) for path in sorted(folder.glob("*.safetensors"))]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """So many threads for torch while the context lasts."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@cache
def _sha256(path: Path, changed: int) -> str:  # noqa: ARG001 - a changed file is another one
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(folder: Path, device: str) -> None:
    weights = [path.stat().st_size for path in folder.glob("*.safetensors")]
    if not (folder / "config.json").is_file():
        raise errors.ModelNotFound(
            f"{folder.name} is no folder of a MusicGen model: it has no config.json",
            hint="Give a folder in transformers' layout, or one of the models of `sotto models list`.",
        )
    if not weights:
        pickled = next((path.name for ending in ("*.bin", "*.th", "*.pt") for path in folder.glob(ending)), None)
        if pickled:
            raise errors.WeightsRefused(
                f"{pickled} could run code; only safetensors files are read", hint="Save the model with safetensors."
            )
        raise errors.ModelNotFound(f"{folder.name} has no .safetensors file", hint="`sotto models pull musicgen`")
    needed, there = sum(weights) + _WORK, free_memory(device)
    if needed > there:
        raise errors.ModelLoadFailed(
            f"{folder.name} needs {needed / 1e9:.1f} GB on {device}, and {there / 1e9:.1f} GB are free",
            hint="Close other programs, or take --model small.",
        )


def _read(folder: Path) -> tuple[Any, Any]:
    import transformers
    from safetensors import SafetensorError

    transformers.utils.logging.disable_progress_bar()
    try:
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
        if config.model_type not in _KINDS:
            raise errors.ModelLoadFailed(f"{folder.name} holds a {config.model_type} model, not MusicGen", hint="")
        kind = getattr(transformers, _KINDS[config.model_type])
        # Parts that are not in the file are drawn at random first, from the generator that all share.
        with torch.random.fork_rng(devices=[]):
            whole = kind.from_pretrained(folder, local_files_only=True, use_safetensors=True, dtype=torch.float32)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise errors.ModelLoadFailed(
            f"{folder.name} cannot be loaded: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
            hint="`sotto models verify` finds damaged files; `sotto models pull` fetches them anew.",
        ) from error
    return whole.eval().requires_grad_(requires_grad=False), tokenizer

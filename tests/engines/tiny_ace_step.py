"""ACE-Step's pipeline with random weights, small enough for tests, in diffusers' layout and in the one it is published in."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AceStepAudioTokenDetokenizer,
    AceStepAudioTokenizer,
    AceStepConditionEncoder,
    AceStepPipeline,
    AceStepTransformer1DModel,
    AutoencoderOobleck,
    FlowMatchEulerDiscreteScheduler,
)
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3Model

from sottovoce import errors
from sottovoce.progress import OnProgress, ignore
from sottovoce.weights.manifest import Model
from sottovoce.weights.store import Snapshot

LATENT = 8
_HEADS: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "rope_theta": 10000.0,
    "sliding_window": 16,
}
_WORDS = "<pad> <unk> # Instruction Caption Metas - : bpm N A piano calm warm seconds duration Lyric Languages en [ ] Instrumental"


def tokenizer() -> PreTrainedTokenizerFast:
    """Words as numbers; what it does not know is one number."""
    words = {word: index for index, word in enumerate(_WORDS.split())}
    made = Tokenizer(WordLevel(words, unk_token="<unk>"))
    made.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", unk_token="<unk>")


def pipeline(*, turbo: bool = True, seed: int = 1, hears: bool = True) -> AceStepPipeline:
    """A pipeline at 48 kHz and 25 latent frames a second; `hears`: with the audio tokenizer that covers need."""
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*weight_norm", FutureWarning)
        return _built(turbo=turbo, hears=hears)


def _built(*, turbo: bool, hears: bool) -> AceStepPipeline:
    words = tokenizer()
    text = Qwen3Config(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
        vocab_size=len(words), max_position_embeddings=4096,
    )  # fmt: skip
    pool = {
        **_HEADS,
        "audio_acoustic_hidden_dim": LATENT,
        "pool_window_size": 5,
        "num_attention_pooler_hidden_layers": 1,
    }
    encoder = AceStepConditionEncoder(
        **_HEADS,
        text_hidden_dim=32,
        timbre_hidden_dim=LATENT,
        num_lyric_encoder_hidden_layers=2,
        num_timbre_encoder_hidden_layers=2,
    )
    encoder.silence_latent.normal_(0, 0.1)
    made = AceStepPipeline(
        vae=AutoencoderOobleck(
            encoder_hidden_size=2 * LATENT, downsampling_ratios=[2, 4, 4, 6, 10], channel_multiples=[1, 1, 1, 1, 1],
            decoder_channels=4, decoder_input_channels=LATENT, audio_channels=2, sampling_rate=48000,
        ),
        text_encoder=Qwen3Model(text),
        tokenizer=words,
        transformer=AceStepTransformer1DModel(
            **_HEADS, num_hidden_layers=2, in_channels=3 * LATENT, audio_acoustic_hidden_dim=LATENT, patch_size=2, is_turbo=turbo,
            model_version="turbo" if turbo else "base",
        ),
        condition_encoder=encoder,
        scheduler=FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=1.0),
        audio_tokenizer=AceStepAudioTokenizer(**pool, fsq_dim=32, fsq_input_levels=[4, 4, 4]) if hears else None,
        audio_token_detokenizer=AceStepAudioTokenDetokenizer(**pool) if hears else None,
    )  # fmt: skip
    made.set_progress_bar_config(disable=True)
    made.vae.enable_tiling()
    for part in (made.vae, made.text_encoder, made.transformer, encoder):
        part.eval()
    return made


def save(folder: Path, **of: Any) -> Path:
    """A pipeline's folder as diffusers writes it."""
    pipeline(**of).save_pretrained(folder, safe_serialization=True)
    return folder


_BACK = {
    ".to_q.": ".q_proj.", ".to_k.": ".k_proj.", ".to_v.": ".v_proj.", ".to_out.0.": ".o_proj.", ".norm_q.": ".q_norm.",
    ".norm_k.": ".k_norm.", ".proj_in_conv.": ".proj_in.1.", ".proj_out_conv.": ".proj_out.1.",
}  # fmt: skip
_PREFIXES = {
    "transformer": "decoder.",
    "condition_encoder": "encoder.",
    "audio_tokenizer": "tokenizer.",
    "audio_token_detokenizer": "detokenizer.",
}


def published(folder: Path, **of: Any) -> tuple[Path, Path]:
    """The same pipeline as its authors publish it: a folder with one file of weights, and a folder with the parts beside it."""
    ready = save(folder / "ready", **of)
    own, parts = folder / "own", folder / "parts"
    own.mkdir()
    tensors, config = {}, dict[str, Any]()
    for part, prefix in _PREFIXES.items():
        for name, tensor in load_file(ready / part / "diffusion_pytorch_model.safetensors").items():
            tensors[_published_name(name, prefix)] = tensor
        config |= json.loads((ready / part / "config.json").read_text())
    silence = tensors.pop("encoder.silence_latent")
    tensors["null_condition_emb"] = tensors.pop("encoder.null_condition_emb")
    torch.save(silence.transpose(1, 2).contiguous(), own / "silence_latent.pt")
    save_file(tensors, own / "model.safetensors")
    transformer = json.loads((ready / "transformer" / "config.json").read_text())
    config |= {name: transformer[name] for name in ("layer_types", "is_turbo", "model_version", "num_hidden_layers")}
    (own / "config.json").write_text(json.dumps({**config, "layer_types": ["sliding_attention", "full_attention"]}))
    shutil.copytree(ready / "vae", parts / "vae")
    shutil.copytree(ready / "text_encoder", parts / "Qwen3-Embedding-0.6B")
    for path in (ready / "tokenizer").iterdir():
        shutil.copy(path, parts / "Qwen3-Embedding-0.6B" / path.name)
    return own, parts


def _published_name(name: str, prefix: str) -> str:
    dotted = f".{name}"
    for ours, theirs in _BACK.items():
        dotted = dotted.replace(ours, theirs)
    return prefix + dotted.removeprefix(".")


class Folder:
    """A store of models that are folders, by name."""

    def __init__(self, folder: Path, models: dict[str, Path], parts: dict[str, tuple[str, ...]] | None = None) -> None:
        self.folder, self._models, self._parts = folder, models, parts or {}

    def with_parts(self, name: str) -> tuple[str, ...]:
        """The parts that were given, and the model."""
        return (*self._parts.get(name, ()), name)

    def snapshot(self, name: str, progress: OnProgress = ignore) -> Snapshot:
        """The folder of that name; MODEL_NOT_FOUND if there is none."""
        if name not in self._models:
            raise errors.ModelNotFound(f"{name} is not here", hint=f"`sotto models pull {name}`")
        model = Model(
            name=name, repository="someone/Tiny", revision="a" * 40, include=("*",), licence="MIT", quality="", memory_mb=1,
            advice="",
        )  # fmt: skip
        return Snapshot(model, self._models[name])

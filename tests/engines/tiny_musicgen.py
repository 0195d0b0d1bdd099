"""MusicGen models that are small enough for tests, with random weights, in folders of transformers' layout."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    EncodecConfig,
    MusicgenConfig,
    MusicgenDecoderConfig,
    MusicgenForConditionalGeneration,
    MusicgenMelodyConfig,
    MusicgenMelodyDecoderConfig,
    MusicgenMelodyForConditionalGeneration,
    PreTrainedTokenizerFast,
    T5Config,
)

from sottovoce import errors
from sottovoce.progress import OnProgress, ignore
from sottovoce.weights.manifest import Model
from sottovoce.weights.store import Snapshot

VOCABULARY = 64
WORDS = ("calm", "piano", "happy", "rain", "genre", "lofi", "bpm", "drums")


def text_encoder() -> T5Config:
    """A text encoder of another width than the decoder's, so that its states are projected."""
    return T5Config(vocab_size=99, d_model=24, d_ff=32, d_kv=6, num_layers=2, num_heads=4)


def codec() -> EncodecConfig:
    """32 kHz, 50 frames a second, four codebooks; a codec that is not causal, as MusicGen's."""
    return EncodecConfig(
        sampling_rate=32_000,
        upsampling_ratios=[8, 5, 4, 4],
        num_filters=4,
        compress=2,
        hidden_size=16,
        codebook_size=VOCABULARY,
        codebook_dim=16,
        target_bandwidths=[1.2],
        use_causal_conv=False,
        use_conv_shortcut=False,
        audio_channels=1,
        chunk_length_s=None,
    )


def decoder(kind: type, channels: int = 1) -> Any:
    """Two layers."""
    return kind(
        vocab_size=VOCABULARY,
        hidden_size=32,
        num_hidden_layers=2,
        ffn_dim=64,
        num_attention_heads=4,
        num_codebooks=4 * channels,
        audio_channels=channels,
        pad_token_id=VOCABULARY,
        bos_token_id=VOCABULARY,
    )


def model(kind: str = "mono", seed: int = 1) -> Any:
    """`mono`, `stereo` or `melody`, with weights large enough that every part is heard."""
    torch.manual_seed(seed)
    parts = {"text_encoder": text_encoder(), "audio_encoder": codec()}
    if kind == "melody":
        melody = MusicgenMelodyConfig(
            **parts, decoder=decoder(MusicgenMelodyDecoderConfig), num_chroma=12, chroma_length=235
        )
        made: Any = MusicgenMelodyForConditionalGeneration(melody)
    else:
        plain = MusicgenConfig(**parts, decoder=decoder(MusicgenDecoderConfig, 2 if kind == "stereo" else 1))
        made = MusicgenForConditionalGeneration(plain)
    made.eval()
    for parameter in made.parameters():
        if parameter.dim() > 1:
            parameter.data.mul_(3)
    for quantizer in made.audio_encoder.quantizer.layers:
        # A fresh codebook is all zeros: every code would sound the same.
        quantizer.codebook.embed.normal_()
    settings = made.generation_config
    settings.pad_token_id = settings.bos_token_id = settings.decoder_start_token_id = VOCABULARY
    settings.do_sample, settings.guidance_scale = True, 3.0
    return made


def tokenizer() -> PreTrainedTokenizerFast:
    """Some words, each a token, ended as T5 ends them."""
    ids = {"<pad>": 0, "</s>": 1, "<unk>": 2} | {word: 3 + index for index, word in enumerate(WORDS)}
    words = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=512
    )


def save(made: Any, folder: Path) -> Path:
    """A model with its tokenizer in a folder, as transformers writes them."""
    made.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


class Folder:
    """A store that has one folder for every model it is asked for, except those `missing`."""

    def __init__(self, path: Path, missing: tuple[str, ...] = ()) -> None:
        self.path, self.missing, self.asked = path, missing, list[str]()

    def snapshot(self, name: str, progress: OnProgress = ignore) -> Snapshot:
        """The folder."""
        self.asked.append(name)
        if name in self.missing:
            raise errors.ModelNotFound(f"the model {name} is not here", hint=f"sotto models pull {name}")
        known = Model(
            name=name,
            repository="facebook/tiny",
            revision="0" * 40,
            licence="CC-BY-NC-4.0",
            quality="none",
            memory_mb=1,
            advice="for tests",
        )
        return Snapshot(known, self.path)


def copied(folder: Path, to: Path) -> Path:
    """A copy that can be damaged."""
    shutil.copytree(folder, to)
    return to

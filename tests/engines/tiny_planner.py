"""ACE-Step's planner small enough for tests: a Qwen3 with random weights, and a byte-level tokenizer with its marks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from sottovoce.progress import OnProgress, ignore
from sottovoce.weights.manifest import Model
from sottovoce.weights.store import Listed, Snapshot

CODES = 64
#: As Qwen's cuts text: single digits, punctuation with the ends of lines after it.
_CUT = Regex(r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
_MERGES = [("Ġ", "m"), ("Ġm", "i"), ("Ġm", "a"), (".", "Ċ"), ("Ċ", "Ċ"), ("Ġ", "Ċ"), ("t", "h"), ("Ġ", "Ġ"), ("e", "n")]


def tokenizer() -> PreTrainedTokenizerFast:
    """Every byte a token, some pairs, the marks, and 64 codes after them."""
    texts = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in _MERGES)]
    made = Tokenizer(models.BPE({text: index for index, text in enumerate(texts)}, _MERGES))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(_CUT, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(
        [AddedToken(mark, special=True) for mark in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")]
    )
    codes = [f"<|audio_code_{number}|>" for number in range(CODES)]
    made.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in ("<think>", "</think>", *codes)])
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|im_end|>", pad_token="<|endoftext|>")


def network(seed: int = 1) -> Any:
    """Two layers, the head tied to the embedding, with weights large enough that what was written is heard."""
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=len(tokenizer()) + 13,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
    )
    made = Qwen3ForCausalLM(config).eval()
    for parameter in made.parameters():
        if parameter.dim() > 1:
            parameter.data.mul_(8)
    return made


def save(folder: Path, seed: int = 1) -> Path:
    """A folder in transformers' layout."""
    network(seed).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


class Shelf:
    """A store that has one folder, for the planner of every size."""

    def __init__(self, folder: Path, *, here: bool = True) -> None:
        self.path, self.here = folder, here

    def snapshot(self, name: str, progress: OnProgress = ignore) -> Snapshot:
        """The folder."""
        return Snapshot(_known(name), self.path)

    def models(self) -> list[Listed]:
        """The usual size."""
        return [Listed(_known("acestep-5hz-lm-1.7b"), self.here, 1)]


def _known(name: str) -> Model:
    return Model(
        name=name,
        repository="ACE-Step/tiny",
        revision="0" * 40,
        licence="MIT",
        quality="none",
        memory_mb=1,
        advice="for tests",
    )

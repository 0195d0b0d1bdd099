"""The language model in memory, read from a folder with nothing in it run, and texts on their way through it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from weakref import WeakValueDictionary

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache
from transformers.utils import logging as transformers_logging

from sottovoce import errors
from sottovoce.engines.accelerator import free_memory
from sottovoce.engines.ace_step.planner.vocabulary import Ids, Vocabulary
from sottovoce.engines.ace_step.tensors import entries_of

#: Tokens that the models were trained on at once.
CONTEXT = 4096
_BYTES = {"bfloat16": 2, "float32": 4}
#: What libraries and the memory of a text take beside the weights.
_BESIDE = 1 << 30
_DAMAGED = (SafetensorError, OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, ImportError)

_LOADED: WeakValueDictionary[tuple[Path, str, str], LanguageModel] = WeakValueDictionary()
_LOADING = threading.Lock()


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A network that goes on with a text, its tokens, and where and how precisely it runs."""

    network: Any
    vocabulary: Vocabulary
    device: str
    precision: str

    def scores(self, states: torch.Tensor, tokens: Ids | None = None) -> torch.Tensor:
        """How likely each token is after each row of `states` [rows, width]: [rows, tokens], of some tokens or of all."""
        head = self.network.get_output_embeddings().weight
        with torch.inference_mode():
            return (states @ _rows(head, tokens).T).float()


class Texts:
    """Texts that are read side by side, and what the network remembers of them; to be closed."""

    def __init__(self, model: LanguageModel, texts: Sequence[Sequence[int]]) -> None:
        self._model = model
        self._cache: Any = DynamicCache(config=model.network.config)
        longest = max(map(len, texts))
        padding = torch.tensor([longest - len(text) for text in texts], device=model.device)
        self._length, self._padding = 0, padding
        self._first = [[0] * (longest - len(text)) + list(text) for text in texts]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cache = None

    def begin(self) -> torch.Tensor:
        """Read the texts themselves; the state after each: [texts, width]."""
        return self.read(self._first)

    def read(self, tokens: Sequence[Sequence[int]]) -> torch.Tensor:
        """Go on with as many tokens for every text; the state after each: [texts, width]."""
        ids = torch.tensor(tokens, device=self._model.device)
        start, self._length = self._length, self._length + ids.shape[1]
        places = torch.arange(self._length, device=ids.device)
        seen = places[None] >= self._padding[:, None]
        positions = (places[None, start:] - self._padding[:, None]).clamp(min=0)
        with torch.inference_mode():
            read = self._model.network.get_decoder()(
                input_ids=ids,
                attention_mask=seen.long() if self._padding.any() else None,
                position_ids=positions,
                past_key_values=self._cache,
                use_cache=True,
            )
            states: torch.Tensor = read.last_hidden_state[:, -1]
        return states

    def copied(self, times: int) -> None:
        """Each text so many times from here on, copies beside one another."""
        self._cache.batch_repeat_interleave(times)
        self._padding = self._padding.repeat_interleave(times)


def resident(folder: Path, device: str, precision: str) -> LanguageModel:
    """The model of a folder, loaded unless someone holds it already; ModelLoadFailed for files that are damaged or do not fit."""
    with _LOADING:
        key = (folder.resolve(), device, precision)
        model = _LOADED.get(key)
        if model is None:
            model = _LOADED[key] = _load(folder, device, precision)
        return model


@contextmanager
def threads_of(count: int) -> Iterator[None]:
    """So many threads of the processor for the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch ran out of memory, on a card or on the processor."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _load(folder: Path, device: str, precision: str) -> LanguageModel:
    needed = sum(entry.numbers for entry in entries_of(folder).values()) * _BYTES[precision] + _BESIDE
    free = free_memory(device)
    if needed > free:
        raise errors.ModelLoadFailed(
            f"ACE-Step's planner needs {needed / 1e9:.1f} GB of memory on {device}, and {free / 1e9:.1f} GB are free there",
            hint="Type `sotto config set ace_step.lm_model_size 0.6B`, or close other programs.",
            details={"needed": needed, "free": free, "device": device},
        )
    with _reading(folder):
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        network, found = AutoModelForCausalLM.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            dtype=getattr(torch, precision),
            output_loading_info=True,
        )
        _check_whole(found)
        return LanguageModel(network.to(device).eval(), Vocabulary(tokenizer), device, precision)


def _check_whole(found: Any) -> None:
    """What a file lacks would be made up at random, and only logged."""
    missing = sorted(found["missing_keys"])
    if missing:
        raise ValueError(f"{len(missing)} tensors are missing, such as {missing[0]}")


def _rows(head: torch.Tensor, tokens: Ids | None) -> torch.Tensor:
    """The head's rows of some tokens: no copy where they lie side by side."""
    if tokens is None:
        return head
    first, last = int(tokens[0]), int(tokens[-1])
    if last - first + 1 == len(tokens) and bool((tokens[1:] > tokens[:-1]).all()):
        return head[first : last + 1]
    return head[torch.from_numpy(tokens).to(head.device)]


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """Says what was wrong with a folder; transformers keeps its own words to itself."""
    transformers_logging.disable_progress_bar()
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise errors.ModelLoadFailed(
            "no memory is left for ACE-Step's planner", hint="Close other programs."
        ) from error
    except _DAMAGED as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise errors.ModelLoadFailed(f"the planner in {folder} cannot be used: {reason}") from error
    finally:
        logger.setLevel(level)

"""The language model's tokens: which are words, which end a line, which are codes of music."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sottovoce import errors
from sottovoce.engines.ace_step.planner.prompts import CLOSING, OPENING

Ids = NDArray[np.int64]
Kept = TypeVar("Kept")

#: The codebook has so many entries, though there are tokens for more.
CODEBOOK = 64_000
_CODE = re.compile(r"<\|audio_code_(\d+)\|>")
_END = "<|im_end|>"
#: How the tokens of a byte-level tokenizer are written.
_SPACE, _NEWLINE, _RETURN, _TICK = "Ġ", "Ċ", "č", "`"


class Vocabulary:
    """A tokenizer of the planner's; ModelLoadFailed for any other."""

    def __init__(self, tokenizer: Any) -> None:
        known: dict[str, int] = tokenizer.get_vocab()
        added = set(tokenizer.get_added_vocab())
        self._tokenizer = tokenizer
        self._remembered: dict[str, Any] = {}
        #: The token of each code, by its number.
        self.codes = _codes(known)
        self.end = _one(known, _END)
        self.newline = _one(known, _NEWLINE)
        for mark in (OPENING, CLOSING):
            _one(known, mark)
        plain = {text: token for text, token in known.items() if text not in added and _CODE.fullmatch(text) is None}
        words = {text: token for text, token in plain.items() if _is_word(text)}
        #: What captions are written with, and what a line of theirs begins with.
        self.words = _ids(words.values())
        self.words_indented = _ids(
            token for text, token in words.items() if text.startswith(_SPACE) and _NEWLINE not in text
        )
        #: What lyrics are written with, and their end.
        self.text = _ids((*plain.values(), self.end))
        self._ends = frozenset(token for text, token in plain.items() if text.endswith(_NEWLINE))
        self._spaced = frozenset(token for text, token in plain.items() if text.startswith(_SPACE))

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, with its marks as marks."""
        tokens: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of some tokens, marks included."""
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text

    def ends_line(self, token: int) -> bool:
        """Whether a new line begins after it."""
        return token in self._ends

    def begins_with_space(self, token: int) -> bool:
        """Whether it indents the line that it begins."""
        return token in self._spaced

    def remembered(self, name: str, make: Callable[[], Kept]) -> Kept:
        """What was made of this vocabulary under a name, made at the first call."""
        if name not in self._remembered:
            self._remembered[name] = make()
        kept: Kept = self._remembered[name]
        return kept


def code_text(codes: Sequence[int]) -> str:
    """Codes as the music network takes them."""
    return "".join(f"<|audio_code_{code}|>" for code in codes)


def _codes(known: dict[str, int]) -> Ids:
    found = {int(match[1]): token for text, token in known.items() if (match := _CODE.fullmatch(text))}
    numbers = sorted(number for number in found if number < CODEBOOK)
    if not numbers or numbers[-1] != len(numbers) - 1:
        raise errors.ModelLoadFailed("the tokenizer has no tokens for ACE-Step's codes of music")
    return _ids(found[number] for number in numbers)


def _is_word(text: str) -> bool:
    return _TICK not in text and _RETURN not in text and _NEWLINE not in text.rstrip(_NEWLINE)


def _one(known: dict[str, int], text: str) -> int:
    if text not in known:
        raise errors.ModelLoadFailed(f"the tokenizer is not that of ACE-Step's planner: it has no {text!r}")
    return known[text]


def _ids(tokens: Any) -> Ids:
    return np.fromiter(tokens, np.int64)

"""What may be written next: metadata line by line in their order, each with a value that there is; words where words belong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np

from sottovoce.engines.ace_step.planner.prompts import CLOSING, OPENING
from sottovoce.engines.ace_step.planner.vocabulary import Ids, Vocabulary
from sottovoce.engines.ace_step.presets import FASTEST_BPM, LANGUAGES, LONGEST_SECONDS, SHORTEST_SECONDS, SLOWEST_BPM

METERS = ("2", "3", "4", "6")
KEYS = tuple(
    f"{letter}{sign} {mode}" for letter in "ABCDEFG" for sign in ("", "#", "b", "♯", "♭") for mode in ("major", "minor")
)
#: The lines of the metadata in their order; None: free words.
FIELDS: Mapping[str, Sequence[str] | None] = {
    "bpm": tuple(map(str, range(SLOWEST_BPM, FASTEST_BPM + 1))),
    "caption": None,
    "duration": tuple(map(str, range(int(SHORTEST_SECONDS), int(LONGEST_SECONDS) + 1))),
    "keyscale": KEYS,
    "language": tuple(sorted(LANGUAGES)),
    "timesignature": METERS,
}
MOST_CAPTION_TOKENS = 512

#: Tells which of some tokens is the likeliest; of all that there are, if none are given.
Best = Callable[[Ids | None], int]

_NONE: Ids = np.zeros(0, np.int64)


class Part(Protocol):
    """A part of what is written; `taken` are its tokens so far."""

    def choices(self, taken: Sequence[int], best: Best) -> Ids:
        """The tokens that may come next; none: it is over."""

    def only(self, taken: Sequence[int]) -> int | None:
        """The one token that must come next, if that is so whatever is likely."""

    def is_over(self, taken: Sequence[int]) -> bool:
        """Whether nothing may come next, whatever is likely."""


@dataclass(frozen=True)
class Trie:
    """One of some texts, each as its tokens; `greedy` takes the likeliest at each turn instead of drawing."""

    texts: tuple[tuple[int, ...], ...]
    greedy: bool = False

    @cached_property
    def _next(self) -> dict[tuple[int, ...], Ids]:
        found: dict[tuple[int, ...], dict[int, None]] = {}
        for text in self.texts:
            for index, token in enumerate(text):
                found.setdefault(text[:index], {})[token] = None
        return {start: np.fromiter(tokens, np.int64) for start, tokens in found.items()}

    def choices(self, taken: Sequence[int], best: Best) -> Ids:
        """What the texts go on with that begin as what was taken."""
        choices = self._next.get(tuple(taken), _NONE)
        return np.array([best(choices)]) if self.greedy and len(choices) > 1 else choices

    def only(self, taken: Sequence[int]) -> int | None:
        """Where all of them go on alike."""
        choices = self._next.get(tuple(taken), _NONE)
        return int(choices[0]) if len(choices) == 1 else None

    def is_over(self, taken: Sequence[int]) -> bool:
        """At the end of a text."""
        return tuple(taken) not in self._next


@dataclass(frozen=True)
class Caption:
    """Free words that may go on in indented lines, `most` tokens at most; a line that the model would not indent is not theirs."""

    vocabulary: Vocabulary
    most: int = MOST_CAPTION_TOKENS

    def choices(self, taken: Sequence[int], best: Best) -> Ids:
        """Words; at the beginning of a line only those that indent it, or none."""
        vocabulary = self.vocabulary
        if not taken:
            return vocabulary.words_indented
        if not vocabulary.ends_line(taken[-1]):
            return vocabulary.words
        return vocabulary.words_indented if vocabulary.begins_with_space(best(None)) else _NONE

    def only(self, taken: Sequence[int]) -> int | None:
        """The end of the line, once there are enough words."""
        return self.vocabulary.newline if len(taken) >= self.most else None

    def is_over(self, taken: Sequence[int]) -> bool:
        """At the end of a line, once there are enough words."""
        return len(taken) >= self.most and self.vocabulary.ends_line(taken[-1])


@dataclass(frozen=True)
class Lyrics:
    """Free text up to the model's own end, at most so many tokens."""

    vocabulary: Vocabulary
    most: int

    def choices(self, taken: Sequence[int], best: Best) -> Ids:  # noqa: ARG002
        """Any words, or the end."""
        return self.vocabulary.text

    def only(self, taken: Sequence[int]) -> int | None:  # noqa: ARG002
        """Nothing is certain."""
        return None

    def is_over(self, taken: Sequence[int]) -> bool:
        """After the end, or enough words."""
        return len(taken) >= self.most or taken[-1:] == [self.vocabulary.end]


@dataclass
class Walk:
    """The way through some parts, token by token; `written` is what was taken of all of them."""

    parts: Sequence[Part]
    written: list[int] = field(default_factory=list)
    _at: int = 0
    _taken: list[int] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether all parts are written."""
        return self._at == len(self.parts)

    def forced(self) -> list[int]:
        """Take all tokens that must come next whatever is likely."""
        forced: list[int] = []
        while not self.is_over:
            part = self.parts[self._at]
            if part.is_over(self._taken):
                self._go_on()
                continue
            token = part.only(self._taken)
            if token is None:
                break
            self.take(token)
            forced.append(token)
        return forced

    def choices(self, best: Best) -> Ids:
        """The tokens that may come next; none: all is written."""
        while not self.is_over:
            choices = self.parts[self._at].choices(self._taken, best)
            if len(choices):
                return choices
            self._go_on()
        return _NONE

    def take(self, token: int) -> None:
        """Go on with one of the choices."""
        self.written.append(token)
        self._taken.append(token)

    def _go_on(self) -> None:
        self._at, self._taken = self._at + 1, []


def metadata(vocabulary: Vocabulary, settled: Mapping[str, str]) -> list[Part]:
    """The block with all its lines, those in `settled` as they are there."""
    parts: list[Part] = [_texts(vocabulary, (f"{OPENING}\n",))]
    for name, values in FIELDS.items():
        if name in settled:
            parts.append(_texts(vocabulary, (f"{name}: {_on_one_line(settled[name])}\n",)))
        elif values is None:
            parts += [_texts(vocabulary, (f"{name}:",)), Caption(vocabulary)]
        else:
            parts.append(_lines(vocabulary, name, values))
    return [*parts, _texts(vocabulary, (CLOSING,))]


def _lines(vocabulary: Vocabulary, name: str, values: Iterable[str]) -> Trie:
    lines = (f"{name}: {value}\n" for value in values)
    return vocabulary.remembered(name, lambda: _texts(vocabulary, lines, greedy=name == "language"))


def _texts(vocabulary: Vocabulary, texts: Iterable[str], *, greedy: bool = False) -> Trie:
    return Trie(tuple(tuple(vocabulary.encode(text)) for text in texts), greedy)


def _on_one_line(value: str) -> str:
    return " ".join(value.split())

"""What the language model was trained to read, to the byte, and the block of metadata it writes, as text and as values."""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml

OPENING, CLOSING = "<think>", "</think>"
NO_INPUT = "NO USER INPUT"
INSTRUMENTAL = "[Instrumental]"

_GENERATE = "Generate audio semantic tokens based on the given conditions:"
_FORMAT = "Format the user's input into a more detailed and specific musical description:"
#: Words that a tokenizer would take for marks of its own; nobody's lyrics may end a turn.
_MARKS = re.compile(r"<\|[^|<>]*\|>|</?think>")
_NUMBERS = ("bpm", "duration", "timesignature")


def plan_prompt(caption: str, lyrics: str) -> str:
    """Up to where the metadata begin (`<think>`)."""
    return _turns(_GENERATE, _conditions(caption, lyrics))


def codes_prompt(caption: str, lyrics: str, block: str) -> str:
    """Up to where the codes begin; the assistant's turn stays open, as in training."""
    return f"{_turns(_GENERATE, _conditions(caption, lyrics))}{block}\n\n"


def codes_prompt_without(negative: str = "") -> str:
    """The same without any condition, which guidance leads away from; `negative` says what is not wanted."""
    return f"{_turns(_GENERATE, _plain(negative).strip() or NO_INPUT)}{metadata_block({})}\n\n"


def format_prompt(caption: str, lyrics: str) -> str:
    """Up to where a better description begins (`<think>`)."""
    words = _conditions(_plain(caption).strip() or NO_INPUT, _plain(lyrics).strip() or INSTRUMENTAL)
    return _turns(_FORMAT, words.removesuffix("\n"))


def metadata_block(values: Mapping[str, str | int]) -> str:
    """Metadata as the model writes them before codes: YAML by name, digits as numbers, `4/4` as 4."""
    settled = {name: _settled(name, value) for name, value in values.items()}
    text = yaml.dump(settled, allow_unicode=True, sort_keys=True).strip() if settled else ""
    return f"{OPENING}\n{text}\n{CLOSING}"


def parse_block(text: str) -> dict[str, str]:
    """The fields between the marks as they were written; indented lines go on with the line before."""
    fields: dict[str, str] = {}
    name = None
    for line in text.partition(OPENING)[2].partition(CLOSING)[0].split("\n"):
        if not line.startswith(" ") and ":" in line:
            name, _, value = line.partition(":")
            fields[name] = _clean(value)
        elif name is not None:
            fields[name] = _clean(f"{fields[name]} {line}")
    return {name: _unquoted(value) for name, value in fields.items() if value}


def parse_lyrics(text: str) -> str:
    """What follows the metadata, without its headline; empty if there is nothing."""
    lines = text.partition(CLOSING)[2].strip().split("\n")
    if lines[0].strip() == "# Lyric":
        lines = lines[1:]
    return "".join(letter for letter in "\n".join(lines) if letter == "\n" or _is_readable(letter)).strip()


def _turns(instruction: str, words: str) -> str:
    return (
        f"<|im_start|>system\n# Instruction\n{instruction}\n\n<|im_end|>\n"
        f"<|im_start|>user\n{words}<|im_end|>\n"
        f"<|im_start|>assistant\n"
    )


def _conditions(caption: str, lyrics: str) -> str:
    return f"# Caption\n{_plain(caption)}\n\n# Lyric\n{_plain(lyrics)}\n"


def _plain(words: str) -> str:
    return _MARKS.sub("", words)


def _settled(name: str, value: str | int) -> str | int:
    text = str(value).partition("/")[0] if name == "timesignature" else value
    return int(text) if name in _NUMBERS and str(text).isdigit() else text


def _clean(text: str) -> str:
    return " ".join("".join(letter if _is_readable(letter) else " " for letter in text).split())


def _is_readable(letter: str) -> bool:
    """Half of a letter, which a token can end in, comes out as U+FFFD."""
    return letter.isprintable() and letter != "\ufffd"


def _unquoted(text: str) -> str:
    """YAML puts long words into quotes where they hold a colon."""
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    return text[1:-1].replace('\\"', '"') if len(text) > 1 and text[0] == text[-1] == '"' else text

"""Prompts said better or invented: by the configured LLM, else from our own tables."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from sottovoce import errors
from sottovoce.engines.captions import tags_of
from sottovoce.moods import GENRES, MOODS
from sottovoce.prompt import TIME_SIGNATURES, Key, Prompt, parse_key
from sottovoce.server.dialects.ace_step_fields import Lenient, sung
from sottovoce.server.enhancing import Better, better
from sottovoce.studio import Studio
from sottovoce.tasks.request import LARGEST_SEED, LONGEST_LYRICS, LONGEST_PROMPT

_INSTRUMENTAL = "[Instrumental]"
_METERS = {meter.split("/")[0]: meter for meter in TIME_SIGNATURES}
_LENGTHS = (30.0, 60.0, 90.0, 120.0, 180.0)


@dataclass(frozen=True)
class Sample:
    """An invented wish, and the seed it comes back with."""

    words: str
    key: Key
    seconds: float
    seed: int


def sample_of(seed: int | None) -> Sample:
    """A mood and a genre by the seed; a drawn one if there is none."""
    seed = secrets.randbelow(LARGEST_SEED + 1) if seed is None else seed
    drawn = Random(seed)
    mood, genre = drawn.choice(MOODS), drawn.choice(GENRES)
    key = Key(drawn.randrange(12), minor=drawn.random() < 0.5)
    return Sample(f"{mood} {genre} music", key, drawn.choice(_LENGTHS), seed)


def prompt_of(fields: Mapping[str, Any]) -> Prompt:
    """The prompt in the fields of `/format_input`, with the values that are to stay; InvalidPrompt if it is empty or too long."""
    said = Lenient(fields)
    words, lyrics = said.text("prompt"), sung(said.text("lyrics"))
    if not words:
        raise errors.InvalidPrompt("the prompt is empty", hint="Say what the music should be like.")
    if len(words) > LONGEST_PROMPT or len(lyrics or "") > LONGEST_LYRICS:
        raise errors.InvalidPrompt(f"at most {LONGEST_PROMPT} characters, and {LONGEST_LYRICS} of lyrics, are taken")
    try:
        key = parse_key(said.text("key_scale"))
    except ValueError:
        key = None
    return Prompt(
        words,
        seconds=said.positive("audio_duration") or 60.0,
        seed=0,
        lyrics=lyrics,
        language=said.text("vocal_language", "en"),
        bpm=said.positive("bpm"),
        key=key,
        time_signature=_METERS.get(said.text("time_signature").partition("/")[0]),
    )


def formatted(made: Better, *, seconds: float | None) -> dict[str, Any]:
    """What `/format_input` answers; `seconds` only where the client said so."""
    said = made.said
    return {
        "caption": said.words,
        "lyrics": said.lyrics or _INSTRUMENTAL,
        "bpm": None if said.bpm is None else round(said.bpm),
        "key_scale": str(said.key) if said.key else "",
        "time_signature": (said.time_signature or "").split("/")[0],
        "duration": seconds,
        "vocal_language": said.language or (made.prompt.language if said.lyrics else "unknown"),
        "engine": made.by,
        "notes": list(made.notes),
    }


def invented(sample: Sample, studio: Studio, *, simple: bool) -> dict[str, Any]:
    """What `/create_random_sample` answers, in the short or the long form; the same seed gives the same without an LLM."""
    head = {"seed": sample.seed}
    if simple:
        short = {"description": sample.words, "instrumental": True, "vocal_language": "unknown"}
        return head | short | {"engine": "tables", "notes": ["drawn from built-in tables"]}
    prompt = Prompt(sample.words, seconds=sample.seconds, seed=sample.seed, key=sample.key)
    said = formatted(better(prompt, studio), seconds=sample.seconds)
    bpm, meter = said["bpm"] or tags_of(prompt).bpm, said["time_signature"] or "4"
    again = {
        "bpm": None if bpm is None else round(bpm),
        "keyscale": said["key_scale"],
        "timesignature": meter,
        "time_signature": meter,
        "language": said["vocal_language"],
    }
    return head | {"think": False} | said | again

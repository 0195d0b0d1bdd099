"""What every request shares: frozen, unknown fields refused, inputs named by `Source`.

A request is the command's options, the JSON body, the RPC params, the job's payload and part of the recipe. Paths are valid only where the
validation context says `local=True` (command line, Python).
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from sottovoce import errors
from sottovoce.audio import Stem, parse_stem
from sottovoce.moods import Genre, MoodName
from sottovoce.prompt import TIME_SIGNATURES, parse_key

SHORTEST_SECONDS, LONGEST_SECONDS = 5.0, 600.0
#: Less than this many seconds of a mood is no section of the music.
SHORTEST_SCENE = 8.0
LONGEST_PROMPT = 1000
LONGEST_LYRICS = 4096
LARGEST_SEED = 2**32 - 1


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TrackRef(_Value):
    """A track of the library, by id."""

    track: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")


class UploadRef(_Value):
    """A file that was uploaded, by id."""

    upload: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")


class LocalFile(_Value):
    """A file on this machine; refused unless the validation context says `local=True`."""

    path: Path

    @field_validator("path")
    @classmethod
    def _only_here(cls, path: Path, info: ValidationInfo) -> Path:
        if not (info.context or {}).get("local"):
            raise ValueError("a path can only be named on this machine itself; upload the file and name its id")
        return path


class KnownFile(_Value):
    """A file as a recipe names it: by what is in it."""

    name: str = Field(max_length=255)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Scene(_Value):
    """From `start` on, the music has this mood and genre, and is described by `words` in place of the prompt, as far as they are given."""

    start: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False, description="seconds")]
    mood: MoodName | None = None
    genre: Genre | None = None
    words: Annotated[str | None, Field(max_length=LONGEST_PROMPT)] = None


Source = TrackRef | UploadRef | LocalFile | KnownFile


class Request(_Value):
    """Base of all requests."""

    kind: str


def recorded(request: Request) -> dict[str, Any]:
    """A request as recipes keep it: files of this machine by their content and name, never by a path."""
    fields = request.model_dump(mode="json")
    for name in type(request).model_fields:
        value = getattr(request, name)
        if isinstance(value, LocalFile):
            with value.path.open("rb") as file:
                fields[name] = {"name": value.path.name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
        elif name in ("model", "lora") and isinstance(value, str) and is_path(value):
            fields[name] = Path(value).name
    return fields


def _scenes(scenes: tuple[Scene, ...]) -> tuple[Scene, ...]:
    starts = [scene.start for scene in scenes]
    edges = starts if not starts or starts[0] == 0 else [0.0, *starts]
    if any(later - earlier < SHORTEST_SCENE for earlier, later in pairwise(edges)):
        raise ValueError(
            f"each scene must begin at least {SHORTEST_SCENE:g} seconds after the one before it, the first at 0 or so long after the start"
        )
    return scenes


def check_scenes(scenes: Sequence[Scene], seconds: float) -> None:
    """ValueError if the last one has no room in music of so many seconds."""
    if scenes and scenes[-1].start > seconds - SHORTEST_SCENE:
        raise ValueError(
            f"the scene at {scenes[-1].start:g} s begins less than {SHORTEST_SCENE:g} seconds before the end at {seconds:g} s"
        )


R = TypeVar("R", bound=Request)


def validate(kind: type[R], fields: dict[str, Any], *, local: bool = False) -> R:
    """A request from loose fields; the catalogue's error for the first thing that is wrong, naming the valid range."""
    try:
        # Names of files on this machine may be any bytes; everything else is text.
        json.dumps(fields, default=lambda _: None, ensure_ascii=False).encode()
        return kind.model_validate(fields, context={"local": local})
    except UnicodeEncodeError:
        raise errors.InvalidParameter("the request has text that is no Unicode (half a surrogate pair)") from None
    except ValidationError as error:
        raise translate(error) from None


def translate(error: ValidationError) -> errors.RequestError:
    """Pydantic's complaint as an error of ours; `details` lists every field that is wrong."""
    # Of the kinds of source that a value may be, the one that is refused says more than those it is not.
    found = sorted(error.errors(), key=lambda item: item["type"] in ("missing", "extra_forbidden"))
    problems = [(_place(item["loc"]), item["msg"].removeprefix("Value error, ")) for item in found]
    field, message = problems[0]
    kind = _KINDS.get(field.split(".")[0], errors.InvalidParameter)
    text = message if not field or field.split(".")[0] in _KINDS else f"{field}: {message}"
    return kind(text, details={"fields": dict(reversed(problems))})


def _place(location: tuple[int | str, ...]) -> str:
    """Where in the request a problem is, without the names of the kinds of source that were tried."""
    tried = {kind.__name__ for kind in (TrackRef, UploadRef, LocalFile, KnownFile)}
    return ".".join(str(part) for part in location if part not in tried)


_KINDS: dict[str, type[errors.RequestError]] = {
    "duration": errors.InvalidDuration,
    "prompt": errors.InvalidPrompt,
    "steps": errors.InvalidInferenceSteps,
    "guidance": errors.InvalidGuidanceScale,
    "scheduler": errors.InvalidScheduler,
}


def is_path(text: str) -> bool:
    """Whether a model's name is in truth a file or folder."""
    return any(sign in text for sign in "/\\") or text.startswith(".") or bool(re.search(r"\.(safetensors|th)\b", text))


def _only_here(text: str, info: ValidationInfo) -> str:
    if is_path(text) and not (info.context or {}).get("local"):
        raise ValueError("a file can only be named on this machine itself; give a name")
    return text


def _options(options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
    """Whatever an engine makes of an option: names of files are for this machine alone, however deep they stand."""
    level: list[Any] = [options]
    while level:
        for text in (item for item in level if isinstance(item, str)):
            _only_here(text, info)
        level = [inner for item in level for inner in _inside(item)]
    return options


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []


def _duration(seconds: float) -> float:
    if not (math.isfinite(seconds) and SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS):
        raise ValueError(f"the duration must be {SHORTEST_SECONDS:g} to {LONGEST_SECONDS:g} seconds, not {seconds:g}")
    return seconds


def _prompt(words: str) -> str:
    words = words.strip()
    if not words:
        raise ValueError(
            "the prompt is empty; say what the music should be like, for example 'rainy night lofi, jazzy piano'"
        )
    if len(words) > LONGEST_PROMPT:
        raise ValueError(f"the prompt has {len(words)} characters; at most {LONGEST_PROMPT} are taken")
    return words


def _lyrics(words: str) -> str:
    if len(words) > LONGEST_LYRICS:
        raise ValueError(f"the lyrics have {len(words)} characters; at most {LONGEST_LYRICS} are taken")
    return words


def _key(text: str) -> str:
    return str(parse_key(text))


def _time_signature(text: str) -> str:
    if text not in TIME_SIGNATURES:
        raise ValueError(f"the time signature must be one of {', '.join(TIME_SIGNATURES)}, not {text!r}")
    return text


EngineName = Annotated[str, Field(max_length=64), AfterValidator(_only_here)]
ModelName = Annotated[str, Field(max_length=4096), AfterValidator(_only_here)]
Options = Annotated[dict[str, Any], AfterValidator(_options)]
Duration = Annotated[float, AfterValidator(_duration)]
Words = Annotated[str, AfterValidator(_prompt)]
Lyrics = Annotated[str, AfterValidator(_lyrics)]
KeyName = Annotated[str, AfterValidator(_key)]
TimeSignature = Annotated[str, AfterValidator(_time_signature)]
StemName = Annotated[Stem, AfterValidator(parse_stem)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Bpm = Annotated[float, Field(ge=30, le=300)]
Loudness = Annotated[float, Field(ge=-40, le=-8)]
Scenes = Annotated[tuple[Scene, ...], Field(max_length=40), AfterValidator(_scenes)]
Cue = Annotated[float, Field(ge=0, allow_inf_nan=False)]

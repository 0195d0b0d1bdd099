"""The sections of engines, and where their keys come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from sottovoce.settings.section import Folder, Section, secret_in

Mode = Literal["auto", "lib", "api"]

#: Where keys of remote engines are looked for beside the settings' own places; the first that is set counts.
_KEYS = {
    "lalalai": ("LALALAI_API_KEY", "SYSTEM_LALALAI_ACTIVATION_KEY"),
    "ace-step": ("ACESTEP_API_KEY",),
    "musicgen": ("MUSICGEN_API_KEY",),
    "llm": ("LLM_API_KEY",),
}


class DemucsSettings(Section):
    """Demucs, the separator that runs here; a request can say otherwise."""

    model: str = Field(
        default="htdemucs",
        pattern=r"^[a-z0-9_]+$",
        description="The model: `htdemucs` for most, `htdemucs_ft` for quality; `sotto models list` shows all.",
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="Where it runs: `cpu`, `cuda`, `cuda:1`, `mps`; `auto` is a graphics card if there is one.",
    )
    precision: Literal["auto", "exact", "fast"] = Field(
        default="auto",
        description="`exact` is as demucs does it; `fast` reckons in bfloat16 where the processor can; `auto` is fast where that stays below -40 dB.",
    )
    overlap: float = Field(
        default=0.25,
        ge=0,
        lt=1,
        description="How much of a chunk the next one covers; less is faster, 0.1 is mostly fine.",
    )
    shifts: int = Field(
        default=0, ge=0, le=20, description="Over how many shifted passes to average; each costs the whole time again."
    )
    segment: float | None = Field(
        default=None,
        gt=0,
        le=120,
        description="Seconds of a chunk, for `mdx` and `hdemucs` models; shorter takes less memory.",
    )
    threads: Literal["auto"] | Annotated[int, Field(ge=1, le=256)] = Field(
        default="auto", description="Threads of the processor; `auto` is one for each core."
    )


class KeyedSettings(Section):
    """Of an engine elsewhere that wants a key: from the environment, or a file that holds nothing else."""

    api_key: SecretStr | None = Field(
        default=None, description="The key; only from the environment, never from a file of settings."
    )
    api_key_file: Folder | None = Field(default=None, description="A file that holds the key and nothing else.")


class LalalaiSettings(KeyedSettings):
    """lalal.ai: separation elsewhere, paid by the minute; used only when it is named."""

    max_minutes_per_job: float = Field(
        default=30.0, ge=1, le=6000, description="The most minutes (length × stems) that one separation may cost."
    )


class AceStepSettings(KeyedSettings):
    """ACE-Step, here or on a server."""

    enabled: bool = Field(default=True, description="Whether ACE-Step is used at all.")
    mode: Mode = Field(
        default="auto", description="`lib` runs it here, `api` asks the server, `auto` takes what there is, here first."
    )
    api_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]+",
        description="Where the server answers, such as `http://localhost:8001`; left out, none is asked.",
    )
    timeout_seconds: float = Field(
        default=3600.0, ge=1, le=86400, description="How long one job there may take, in seconds."
    )
    model_variant: Literal["turbo", "base", "sft", "xl-turbo"] = Field(
        default="turbo",
        description="The model: `turbo` takes 8 steps, `base` and `sft` 50, `xl-turbo` is twice as big.",
    )
    bf16: bool = Field(default=True, description="Whether it reckons in bfloat16 on a graphics card.")
    num_versions: int = Field(default=1, ge=1, le=8, description="How many takes are made where none are asked for.")
    use_lm: bool = Field(default=False, description="Whether its language model plans the music first.")
    lm_model_size: Literal["0.6B", "1.7B", "4B"] = Field(default="1.7B", description="Which of its language models.")
    lora: str | None = Field(default=None, description="An adapter that is always used, PATH or PATH:SCALE.")


class MusicgenSettings(KeyedSettings):
    """MusicGen, here or on a server."""

    enabled: bool = Field(default=True, description="Whether MusicGen is used at all.")
    mode: Mode = Field(
        default="auto", description="`lib` runs it here, `api` asks the server, `auto` takes what there is, here first."
    )
    model: str = Field(
        default="small",
        pattern=r"^[a-z-]+$",
        description="The model here: `small`, `medium`, `large`, `melody`, or one of them after `stereo-`.",
    )
    num_versions: int = Field(default=1, ge=1, le=8, description="How many takes are made where none are asked for.")
    base_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]+",
        description="Where the server answers, such as `http://localhost:8000`; left out, none is asked.",
    )
    timeout_seconds: float = Field(
        default=10800.0, ge=1, le=86400, description="How long one job there may take, in seconds."
    )


class LlmSettings(KeyedSettings):
    """A language model of yours: it reads moods from pictures (`vision-llm`) and rewrites prompts (`--enhance`)."""

    provider: Literal["none", "ollama", "openai-compatible"] = Field(
        default="none", description="What kind of server it is; `none` asks nobody."
    )
    base_url: str = Field(
        default="http://localhost:8080/v1",
        pattern=r"^https?://[^/\s]+",
        description="Where it answers; Ollama's usual `http://localhost:11434` is found by itself.",
    )
    model: str | None = Field(default=None, description="Its model; left out, the server's own, with Ollama `llava`.")
    timeout_seconds: float = Field(
        default=300.0, ge=1, le=3600, description="How long one answer may take, in seconds."
    )


def key_of(name: str, section: KeyedSettings, environ: Mapping[str, str]) -> str | None:
    """The key of an engine's section, or of the environment variables of that name; InputUnreadable for a key file that cannot be read."""
    if section.api_key is not None:
        return section.api_key.get_secret_value()
    if section.api_key_file is None:
        return next((environ[variable].strip() for variable in _KEYS[name] if environ.get(variable, "").strip()), None)
    return secret_in(section.api_key_file, "key")

"""The sections of the settings: keys, ranges, defaults, what each is for; and what follows from them: places and keys."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_cache_path, user_data_path
from pydantic import BeforeValidator, ConfigDict, Field

from sottovoce.settings.engines import (
    AceStepSettings,
    DemucsSettings,
    KeyedSettings,
    LalalaiSettings,
    LlmSettings,
    MusicgenSettings,
    key_of,
)
from sottovoce.settings.section import Folder, Section
from sottovoce.settings.serving import ClientSettings, JobSettings, ServerSettings


def _engine_names(value: object) -> object:
    """`a, b` or a list; `_` and `-` mean the same."""
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list | tuple):
        raise ValueError("write a list of engine names, such as [composer]")  # noqa: TRY004 - pydantic reads ValueErrors
    plain = [str(name).strip().lower().replace("_", "-") for name in names]
    if not all(plain) or len(set(plain)) < len(plain):
        raise ValueError("write each engine's name once")
    return plain


def _sections(value: object) -> object:
    """What is not an order of engines must be the section of one."""
    for name, section in value.items() if isinstance(value, Mapping) else ():
        if name not in EngineSettings.model_fields and not isinstance(section, Mapping):
            raise ValueError(f"{name} is no order of engines, and no section `engines.{name}: {{key: value}}`")
    return value


Names = Annotated[tuple[str, ...], BeforeValidator(_engine_names)]
MusicSource = Literal["auto", "local", "composer", "musicgen", "ace_step"]


class AudioSettings(Section):
    """Music under a video."""

    auto_music: bool = Field(
        default=True, description="Whether `score` adds music when nothing about the music was said."
    )
    music_source: MusicSource = Field(
        default="auto",
        description="The family of engines `score` tries first; `auto` keeps the order of `engines.generators`.",
    )
    local_music_dir: Folder = Field(
        default=Path("~/Music/Memories"), description="The folder that the engine `local-files` picks music from."
    )
    ducking_threshold: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="The level (RMS, full scale 1) above which sound in the clip lowers the music.",
    )
    ducking_ratio: float = Field(
        default=6.0,
        ge=1,
        le=20,
        description="How far the music is lowered: by 20·log10(ratio) dB, so 1 is not at all and 6 is 15.6 dB.",
    )
    music_volume_db: float = Field(
        default=-6.0,
        ge=-20,
        le=0,
        description="The music's level against the speech target of -16 LUFS before it is lowered, in dB.",
    )
    fade_in_seconds: float = Field(
        default=2.0, ge=0, le=10, description="How long the music fades in at the start, in seconds."
    )
    fade_out_seconds: float = Field(
        default=3.0, ge=0, le=10, description="How long the music fades out at the end, in seconds."
    )


class LibrarySettings(Section):
    """Where tracks are kept, and how loud they are made."""

    directory: Folder | None = Field(
        default=None, description="The folder of the library; left out, the system's place for data."
    )
    database_url: str | None = Field(
        default=None, description="Where the database lies if not in that folder, as `sqlite:////PATH/sotto.db`."
    )
    loudness_lufs: float | None = Field(
        default=None, ge=-40, le=-8, description="The loudness tracks are made at, in LUFS; left out, the style's own."
    )


class EngineSettings(Section):
    """Which engines are tried, and in which order; further sections in here belong to engines of third parties."""

    model_config = ConfigDict(extra="allow")

    generators: Names = Field(
        default=("ace-step", "ace-step-api", "musicgen", "musicgen-api", "composer"),
        description="The order in which `auto` tries the engines that make music.",
    )
    separators: Names = Field(
        default=("demucs", "musicgen-separate", "classical"),
        description="The order in which `auto` tries the engines that split music into stems.",
    )
    enhancers: Names = Field(
        default=("llm", "ace-step", "ace-step-api", "expander"),
        description="The order in which `--enhance` tries what says a prompt better.",
    )
    mood_readers: Names = Field(
        default=("vision-llm", "keyframes"), description="The order in which `auto` tries the engines that read a mood."
    )


class ModelSettings(Section):
    """Where model files are kept, and when they are fetched."""

    directory: Folder | None = Field(
        default=None,
        description="The folder of the model files; left out, `models` in the library's place. Files in the cache that `HF_HUB_CACHE` or `HF_HOME` names are used too.",
    )
    pull: Literal["ask", "auto", "never"] = Field(
        default="ask",
        description="What happens when a model is needed and missing: `ask` at a terminal, fetch it (`auto`), or only `sotto models pull` fetches (`never`).",
    )
    offline: bool = Field(default=False, description="Whether nothing is ever fetched; `HF_HUB_OFFLINE` says the same.")


class Settings(Section):
    """Everything that can be set."""

    audio: AudioSettings = Field(default_factory=AudioSettings)
    library: LibrarySettings = Field(default_factory=LibrarySettings)
    engines: Annotated[EngineSettings, BeforeValidator(_sections)] = Field(default_factory=EngineSettings)
    models: ModelSettings = Field(default_factory=ModelSettings)
    demucs: DemucsSettings = Field(default_factory=DemucsSettings)
    lalalai: LalalaiSettings = Field(default_factory=LalalaiSettings)
    ace_step: AceStepSettings = Field(default_factory=AceStepSettings)
    musicgen: MusicgenSettings = Field(default_factory=MusicgenSettings)
    llm: LlmSettings = Field(default_factory=LlmSettings)
    jobs: JobSettings = Field(default_factory=JobSettings)
    server: ServerSettings = Field(default_factory=ServerSettings)
    client: ClientSettings = Field(default_factory=ClientSettings)

    def library_folder(self) -> Path:
        """The folder of the library; left out, the system's place for a user's data."""
        return self.library.directory or user_data_path("sottovoce")

    def cache_folder(self) -> Path:
        """The folder of what can be made again."""
        return user_cache_path("sottovoce")

    def models_folder(self) -> Path:
        """The folder of the model files; left out, beside the library's usual place."""
        return self.models.directory or user_data_path("sottovoce") / "models"

    def credentials(self, environ: Mapping[str, str] | None = None) -> Mapping[str, str]:
        """The keys of remote engines that are known here, by engine; InputUnreadable for a key file that cannot be read."""
        environ = os.environ if environ is None else environ
        sections: dict[str, KeyedSettings] = {
            "lalalai": self.lalalai,
            "ace-step": self.ace_step,
            "musicgen": self.musicgen,
            "llm": self.llm,
        }
        keys = {name: key_of(name, section, environ) for name, section in sections.items()}
        return {name: key for name, key in keys.items() if key}

    def engine_sections(self) -> Mapping[str, Mapping[str, Any]]:
        """The sections `engines.<name>`, each to be checked by the engine it belongs to."""
        return self.engines.model_extra or {}

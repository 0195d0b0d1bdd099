"""Settings: the only reader of environment and configuration files; one frozen value, and where each part of it comes from.

Order, the first wins: overrides (flags), `SOTTO_<SECTION>__<KEY>`, `./sotto.yaml`, the user's `config.yaml`, defaults.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from platformdirs import user_cache_path, user_config_path, user_data_path
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from sottovoce import config_file, errors

PREFIX = "SOTTO_"
PROJECT_FILE = Path("sotto.yaml")
DEFAULT = "default"
OVERRIDE = "this command"

#: Paths among the settings: in a file they are relative to its own folder.
_PATHS = (
    "library.directory",
    "audio.local_music_dir",
    "models.directory",
    "lalalai.api_key_file",
    "musicgen.api_key_file",
)

#: Where keys of remote engines are looked for beside the settings' own places; the first that is set counts.
_KEYS = {
    "lalalai": ("LALALAI_API_KEY", "SYSTEM_LALALAI_ACTIVATION_KEY"),
    "musicgen": ("MUSICGEN_API_KEY",),
}


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
Folder = Annotated[Path, AfterValidator(Path.expanduser)]
MusicSource = Literal["auto", "local", "composer", "musicgen", "ace_step"]


class Section(BaseModel):
    """Base of the sections: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


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
        default=("composer",), description="The order in which `auto` tries the engines that make music."
    )
    separators: Names = Field(
        default=("classical",), description="The order in which `auto` tries the engines that split music into stems."
    )
    mood_readers: Names = Field(
        default=("keyframes",), description="The order in which `auto` tries the engines that read a mood."
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


class MusicgenSettings(KeyedSettings):
    """A MusicGen server."""

    enabled: bool = Field(default=True, description="Whether the server is used at all.")
    base_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]+",
        description="Where the server answers, such as `http://localhost:8000`; left out, none is asked.",
    )
    timeout_seconds: float = Field(
        default=10800.0, ge=1, le=86400, description="How long one job there may take, in seconds."
    )


class Settings(Section):
    """Everything that can be set."""

    audio: AudioSettings = Field(default_factory=AudioSettings)
    library: LibrarySettings = Field(default_factory=LibrarySettings)
    engines: Annotated[EngineSettings, BeforeValidator(_sections)] = Field(default_factory=EngineSettings)
    models: ModelSettings = Field(default_factory=ModelSettings)
    demucs: DemucsSettings = Field(default_factory=DemucsSettings)
    lalalai: LalalaiSettings = Field(default_factory=LalalaiSettings)
    musicgen: MusicgenSettings = Field(default_factory=MusicgenSettings)

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
        sections: dict[str, KeyedSettings] = {"lalalai": self.lalalai, "musicgen": self.musicgen}
        keys = {name: _key_of(section, _KEYS[name], environ) for name, section in sections.items()}
        return {name: key for name, key in keys.items() if key}

    def engine_sections(self) -> Mapping[str, Mapping[str, Any]]:
        """The sections `engines.<name>`, each to be checked by the engine it belongs to."""
        return self.engines.model_extra or {}


@dataclass(frozen=True)
class HubPlaces:
    """Where the tools of Hugging Face are told to look: address (None: the usual), cache folder, and whether to stay offline."""

    endpoint: str | None
    cache: Path
    offline: bool


def hub_places(environ: Mapping[str, str] | None = None) -> HubPlaces:
    """What HF_ENDPOINT, HF_HUB_CACHE, HF_HOME and HF_HUB_OFFLINE say."""
    environ = os.environ if environ is None else environ
    home = Path(environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()
    cache = Path(environ.get("HF_HUB_CACHE") or home / "hub").expanduser()
    offline = environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "on", "yes", "true")
    return HubPlaces(environ.get("HF_ENDPOINT") or None, cache, offline)


@dataclass(frozen=True)
class Loaded:
    """Settings, and for each key that is not at its default where its value comes from."""

    settings: Settings
    origins: Mapping[str, str]

    def shown(self) -> dict[str, dict[str, Any]]:
        """Every key with its `value`, ready for JSON, and `origin`; secrets are not shown."""
        values = config_file.flat(self.settings.model_dump(mode="json"))
        return {
            key: {
                "value": "(secret)" if config_file.is_secret(key) and value is not None else value,
                "origin": self.origins.get(key, DEFAULT),
            }
            for key, value in values.items()
        }


@dataclass(frozen=True)
class Row:
    """A line of the settings' documentation."""

    key: str
    type: str
    range: str
    default: str
    meaning: str


@dataclass(frozen=True)
class _Layer:
    """Values by dotted key, and the place each was read from."""

    values: Mapping[str, Any]
    origins: Mapping[str, str]


def user_file() -> Path:
    """The user's configuration file."""
    return user_config_path("sottovoce") / "config.yaml"


def load(overrides: Mapping[str, Any] | None = None, *, environ: Mapping[str, str] | None = None) -> Loaded:
    """The settings in force here and now; `overrides` are by dotted key.

    InvalidParameter names the place and the key of anything unknown, out of range, malformed, or secret in a file.
    """
    layers = [
        _file_layer(user_file()),
        _file_layer(PROJECT_FILE.absolute()),
        _environment_layer(os.environ if environ is None else environ),
        _Layer(dict(overrides or {}), dict.fromkeys(overrides or {}, OVERRIDE)),
    ]
    values = {key: value for layer in layers for key, value in layer.values.items()}
    origins = {key: origin for layer in layers for key, origin in layer.origins.items()}
    return Loaded(_validated(values, origins), origins)


def load_settings(overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings in force here and now."""
    return load(overrides).settings


def set_value(key: str, text: str) -> Any:
    """Check a value and write it into the user's file, which keeps everything else in it; the value as understood."""
    path = user_file()
    config_file.refuse_secret(key, path)
    layer, given = _file_layer(path), _parsed(text)
    if key in _PATHS and given is not None:
        given = Path(text).expanduser().absolute()
    settings = _validated({**layer.values, key: given}, {**layer.origins, key: OVERRIDE})
    value = config_file.flat(settings.model_dump(mode="json"))[key]
    config_file.write(path, key, value)
    return value


def rows() -> Iterator[Row]:
    """Every setting, for its documentation."""
    for name, section in Settings.model_fields.items():
        assert isinstance(section.annotation, type)
        assert issubclass(section.annotation, Section)
        for key, field in section.annotation.model_fields.items():
            yield Row(f"{name}.{key}", _type(field), _range(field), _default(field), field.description or "")


def _key_of(section: KeyedSettings, variables: Sequence[str], environ: Mapping[str, str]) -> str | None:
    if section.api_key is not None:
        return section.api_key.get_secret_value()
    if section.api_key_file is None:
        return next((environ[name].strip() for name in variables if environ.get(name, "").strip()), None)
    try:
        return section.api_key_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise errors.InputUnreadable(f"the key in {section.api_key_file} cannot be read: {error}") from None


def _environment_layer(environ: Mapping[str, str]) -> _Layer:
    """`SOTTO_AUDIO__DUCKING_RATIO=3`; an empty value counts as not set."""
    found = {
        name.removeprefix(PREFIX).lower().replace("__", "."): name
        for name, value in environ.items()
        if name.startswith(PREFIX) and "__" in name and value
    }
    return _Layer({key: _parsed(environ[name]) for key, name in found.items()}, found)


def _file_layer(path: Path) -> _Layer:
    values = config_file.read(path)
    for key in _PATHS:
        if isinstance(values.get(key), str):
            values[key] = str(path.parent / Path(values[key]).expanduser())
    return _Layer(values, dict.fromkeys(values, str(path)))


def _parsed(text: str) -> Any:
    """Text from a command line or the environment: `null`, `[a, b]`, or a plain value that its field reads."""
    if text.strip().lower() == "null":
        return None
    if not text.lstrip().startswith("["):
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _validated(values: Mapping[str, Any], origins: Mapping[str, str]) -> Settings:
    try:
        return Settings.model_validate(config_file.nested(values))
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        key = next((key for key in values if f"{place}.".startswith(f"{key}.") or key.startswith(f"{place}.")), place)
        if problem["type"] == "extra_forbidden":
            raise _unknown(key, origins.get(key, OVERRIDE)) from None
        message = f"{key}: {problem['msg'].removeprefix('Value error, ')}, not {problem['input']!r}"
        raise _refused(key, message, origins.get(key, OVERRIDE)) from None


def _refused(key: str, message: str, origin: str) -> errors.InvalidParameter:
    allowed = next((f"It takes {row.range}. " for row in rows() if row.key == key and row.range), "")
    return errors.InvalidParameter(
        message + _found_in(origin), hint=f"{allowed}Change it there, or type `sotto config set {key} VALUE`."
    )


def _unknown(key: str, origin: str) -> errors.InvalidParameter:
    close = difflib.get_close_matches(key, [row.key for row in rows()], 1, cutoff=0.8)
    hint = f"Did you mean {close[0]}?" if close else "`sotto config show` lists the settings there are."
    return errors.InvalidParameter(f"no setting is called {key}{_found_in(origin)}", hint=hint)


def _found_in(origin: str) -> str:
    return "" if origin == OVERRIDE else f" (in {origin})"


def _type(field: FieldInfo) -> str:
    names: dict[object, str] = {
        bool: "yes or no",
        float: "number",
        str: "text",
        Path: "path",
        SecretStr: "secret",
        tuple: "list of engines",
    }
    return names.get(_plain(field.annotation), "word")


def _plain(annotation: Any) -> Any:
    """The bare type behind `X | None`, `Annotated[X, ...]` and `tuple[X, ...]`."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType, Annotated):
        return _plain(get_args(annotation)[0])
    return annotation if origin is None else origin


def _range(field: FieldInfo) -> str:
    if _plain(field.annotation) is Literal:
        return ", ".join(str(choice) for choice in get_args(field.annotation))
    rules = [*field.metadata]
    bounds = [getattr(rule, name) for name in ("ge", "le") for rule in rules if hasattr(rule, name)]
    return " to ".join(f"{bound:g}" for bound in bounds)


def _default(field: FieldInfo) -> str:
    if field.default is None:
        return "not set"
    if isinstance(field.default, tuple):
        return f"[{', '.join(field.default)}]"
    return str(field.default).lower() if isinstance(field.default, bool) else str(field.default)

"""What can be asked of MusicGen, per request and in the settings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sottovoce.engines.base import EngineOptions

Precision = Literal["auto", "exact", "fast"]

#: The models by name; each is `musicgen-NAME` in the manifest.
MODELS = ("small", "medium", "large", "melody", "stereo-small", "stereo-medium", "stereo-large", "stereo-melody")
GUIDANCE = 3.0


class LocalMusicgenConfig(BaseModel):
    """What this engine takes of the section `musicgen` of the settings."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    enabled: bool = True
    mode: Literal["auto", "lib", "api"] = "auto"
    model: str = "small"
    num_versions: Annotated[int, Field(ge=1, le=8)] = 1


class MusicgenOptions(EngineOptions):
    """What one request can choose; what is left out is as the settings and the model say."""

    model: Annotated[
        str | None,
        Field(
            description=f"{', '.join(MODELS)}, or a folder of your own in transformers' layout; left out, melody where there is "
            "a melody to follow, else as the settings say"
        ),
    ] = None
    guidance: Annotated[
        float | None,
        Field(ge=1, le=10, description=f"how closely it keeps to the words, 1 to 10; usually {GUIDANCE:g}"),
    ] = None
    temperature: Annotated[float, Field(ge=0.1, le=2, description="under 1 it is more certain, over 1 bolder")] = 1.0
    top_k: Annotated[int, Field(ge=1, le=2048, description="it draws among so many likeliest sounds")] = 250
    precision: Annotated[
        Precision,
        Field(description="exact: float32; fast: bfloat16; auto: fast where the processor or card multiplies bfloat16"),
    ] = "auto"

"""What can be asked of ACE-Step, per request and in the settings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sottovoce.engines.base import EngineOptions

Variant = Literal["turbo", "base", "sft", "xl-turbo"]
PlannerSize = Literal["0.6B", "1.7B", "4B"]


class AceStepConfig(BaseModel):
    """The engine's part of the section `ace_step`."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    enabled: bool = True
    mode: Literal["auto", "lib", "api"] = "auto"
    model_variant: Variant = "turbo"
    bf16: bool = True
    use_lm: bool = False
    lm_model_size: PlannerSize = "1.7B"
    lora: str | None = None
    device: str = "auto"


class AceStepOptions(EngineOptions):
    """What one request can choose; what is left out is the model's own preset."""

    model: Annotated[
        str | None, Field(description="turbo, base, sft or xl-turbo, or a folder of your own in diffusers layout")
    ] = None
    steps: Annotated[int | None, Field(description="steps: turbo 1 to 20, base and sft 1 to 200")] = None
    guidance: Annotated[
        float | None,
        Field(allow_inf_nan=False, description="how closely it keeps to the words, 1 to 15; turbo has none"),
    ] = None
    scheduler: Annotated[str | None, Field(description="euler, or heun, which is finer and takes twice the time")] = (
        None
    )
    shift: Annotated[
        float | None, Field(allow_inf_nan=False, description="1 to 5: more puts more of the steps where there is noise")
    ] = None
    use_lm: Annotated[
        bool | None, Field(description="whether the language model plans the music first; else as ace_step.use_lm says")
    ] = None
    lora: Annotated[str | None, Field(description="a LoRA adapter, as PATH or PATH:SCALE")] = None
    batch: Annotated[
        int | None, Field(ge=1, le=8, description="versions at once; as many as there are, or as fit into memory")
    ] = None

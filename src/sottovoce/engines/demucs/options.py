"""What can be asked of Demucs, per request and in the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sottovoce.audio import Stem
from sottovoce.engines.base import EngineOptions

Precision = Literal["auto", "exact", "fast"]
Runtime = Literal["auto", "torch", "openvino"]
Overlap = Annotated[float, Field(ge=0, lt=1)]
Shifts = Annotated[int, Field(ge=0, le=20)]
Segment = Annotated[float, Field(gt=0, le=120)]
Threads = Annotated[int, Field(ge=1, le=256)]


class DemucsConfig(BaseModel):
    """The section `demucs` of the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = "htdemucs"
    device: str = "auto"
    precision: Precision = "auto"
    overlap: Overlap = 0.25
    shifts: Shifts = 0
    segment: Segment | None = None
    threads: Threads | Literal["auto"] = "auto"
    #: The folder that compiled networks are kept in; None keeps none.
    cache: Path | None = None


class DemucsOptions(EngineOptions):
    """What one request can choose; what is left out is as the settings say."""

    model: Annotated[str | None, Field(description="htdemucs, htdemucs_ft, ... or a .safetensors file of your own")] = (
        None
    )
    only: Annotated[
        tuple[Stem, ...], Field(description="the stems wanted: networks that give none of them stay out")
    ] = ()
    device: Annotated[str | None, Field(description="auto, cpu, cuda or mps")] = None
    precision: Annotated[
        Precision | None,
        Field(description="exact: float32; fast: bfloat16 where it matters least; auto: whichever holds"),
    ] = None
    overlap: Annotated[Overlap | None, Field(description="how much of a chunk the next one covers, 0 to under 1")] = (
        None
    )
    shifts: Annotated[
        Shifts | None, Field(description="average over so many shifted passes; the seed says by how much")
    ] = None
    segment: Annotated[
        Segment | None, Field(description="seconds of a chunk, for mdx and hdemucs models; shorter takes less memory")
    ] = None
    runtime: Annotated[
        Runtime, Field(description="torch runs a network as it is, openvino compiles it; auto compiles on a processor")
    ] = "auto"
    threads: Annotated[Threads | None, Field(description="threads of the processor")] = None
    batch: Annotated[int | None, Field(ge=1, le=64, description="chunks that go through a network at once")] = None
    cpu_fallback: Annotated[
        bool, Field(description="go on with the processor where not even one chunk fits into the device's memory")
    ] = False
    residual: Annotated[bool, Field(description="also write what the stems leave of the source")] = False
    sum_to_mix: Annotated[bool, Field(description="spread what the stems leave of the source over them")] = False
    pickled: Annotated[bool, Field(description="let a pickled .th file of your own be read, weights only")] = False

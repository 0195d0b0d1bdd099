"""What is ordered of an ACE-Step server: a prompt and options as the fields of its API, within its models' ranges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from sottovoce import errors
from sottovoce.audio import AudioReader, Samples
from sottovoce.engines import remote
from sottovoce.engines.ace_step_wire import ServerModel
from sottovoce.engines.base import EngineOptions, Run
from sottovoce.engines.captions import ace_step_caption
from sottovoce.prompt import Edit, Prompt

SHORTEST_SECONDS, LONGEST_SECONDS = 5.0, 600.0
#: Shorter music is made at this length and ended earlier.
SHORTEST_MADE = 10.0
_LONGEST_LYRICS = 4096
_BPM = (30, 300)
_GUIDANCE = (1.0, 15.0)
#: Our schedulers as the server's ways of sampling; heun needs more than its API takes.
_SCHEDULERS = {"euler": "ode", "sde": "sde"}
_TASKS = {"cover": "cover", "repaint": "repaint", "extend": "repaint"}


class AceStepApiOptions(EngineOptions):
    """What one request can choose; what is left out, the model's preset decides."""

    model: Annotated[str | None, Field(description="a model of the server's, instead of its default")] = None
    steps: Annotated[int | None, Field(ge=1, le=200, description="steps: 1-20 for turbo models, 1-200 for others")] = (
        None
    )
    guidance: Annotated[float | None, Field(description="guidance 1-15, for models that are not turbo")] = None
    scheduler: Annotated[str | None, Field(description="euler or sde")] = None
    shift: Annotated[float | None, Field(ge=1, le=5, description="how much of the work goes into the rough form")] = (
        None
    )


@dataclass(frozen=True)
class Preset:
    """How a family of models is used, and how far that can be changed."""

    steps: int
    most_steps: int
    shift: float
    guidance: float
    guided: bool


TURBO = Preset(steps=8, most_steps=20, shift=3.0, guidance=1.0, guided=False)
PLAIN = Preset(steps=50, most_steps=200, shift=1.0, guidance=7.0, guided=True)


def preset_of(model: str | None) -> Preset:
    """By the model's name; without one, turbo, which servers take unasked."""
    return TURBO if model is None or "turbo" in model.lower() else PLAIN


def chosen(models: Sequence[ServerModel], asked: str | None) -> ServerModel | None:
    """The model asked for by its name or the end of it, else the default; None where the server keeps no list. InvalidParameter lists them."""
    if asked is None or not models:
        if asked is not None:
            raise errors.InvalidParameter(
                f"the ACE-Step server keeps no list of models, so {asked!r} cannot be asked for"
            )
        return next((model for model in models if model.default), models[0] if models else None)
    plain = asked.strip().removeprefix("acestep/").lower()
    for name in (plain, f"acestep-v15-{plain}"):
        for model in models:
            if model.name.lower() == name:
                return model
    raise errors.InvalidParameter(
        f"the ACE-Step server has no model {asked!r}; it has {', '.join(model.name for model in models)}"
    )


def check(prompt: Prompt, options: AceStepApiOptions) -> None:
    """What can be refused before anyone is asked: InvalidDuration, InvalidPrompt, InvalidParameter, InvalidScheduler."""
    if not SHORTEST_SECONDS <= prompt.seconds <= LONGEST_SECONDS:
        raise errors.InvalidDuration(
            f"ACE-Step makes {SHORTEST_SECONDS:g} to {LONGEST_SECONDS:g} seconds, not {prompt.seconds:g}"
        )
    ace_step_caption(prompt)
    if len(prompt.lyrics or "") > _LONGEST_LYRICS:
        raise errors.InvalidPrompt(
            f"the lyrics have {len(prompt.lyrics or '')} characters; ACE-Step takes at most {_LONGEST_LYRICS}"
        )
    if prompt.bpm is not None and not _BPM[0] <= prompt.bpm <= _BPM[1]:
        raise errors.InvalidParameter(f"ACE-Step takes {_BPM[0]} to {_BPM[1]} beats per minute, not {prompt.bpm:g}")
    if options.scheduler not in (None, *_SCHEDULERS):
        raise errors.InvalidScheduler(
            f"an ACE-Step server has no scheduler {options.scheduler!r}; it has {', '.join(_SCHEDULERS)}"
        )


def settled(options: AceStepApiOptions, model: ServerModel | None, edit: Edit | None) -> AceStepApiOptions:
    """The options with the model's preset filled in.

    InvalidInferenceSteps, InvalidGuidanceScale, or InvalidParameter for what the model cannot do.
    """
    name = model.name if model else "the server's model"
    preset = preset_of(model.name if model else None)
    steps, guidance = options.steps or preset.steps, options.guidance
    if not 1 <= steps <= preset.most_steps:
        raise errors.InvalidInferenceSteps(f"{name} takes 1 to {preset.most_steps} steps, not {steps}")
    if not preset.guided and guidance not in (None, 1.0):
        raise errors.InvalidGuidanceScale(f"{name} works without guidance (1); leave it out, or ask for base or sft")
    if guidance is not None and not _GUIDANCE[0] <= guidance <= _GUIDANCE[1]:
        raise errors.InvalidGuidanceScale(
            f"{name} takes guidance {_GUIDANCE[0]:g} to {_GUIDANCE[1]:g}, not {guidance:g}"
        )
    if edit is not None and model is not None and model.tasks and _TASKS[edit.task] not in model.tasks:
        raise errors.InvalidParameter(f"{name} cannot {edit.task}; it can {', '.join(model.tasks)}")
    return options.model_copy(
        update={
            "model": model.name if model else None,
            "steps": steps,
            "guidance": preset.guidance if guidance is None else guidance,
            "scheduler": options.scheduler or "euler",
            "shift": options.shift or preset.shift,
        }
    )


def fields_of(prompt: Prompt, options: AceStepApiOptions, seeds: Sequence[int], *, thinking: bool) -> dict[str, Any]:
    """The order for one take of each seed; `options` are settled. One seed goes as a number, which every revision reads."""
    fields: dict[str, Any] = {
        "prompt": ace_step_caption(prompt),
        "lyrics": prompt.lyrics or "[Instrumental]",
        "vocal_language": prompt.language,
        "audio_duration": max(SHORTEST_MADE, prompt.seconds),
        "bpm": None if prompt.bpm is None else round(prompt.bpm),
        "key_scale": str(prompt.key) if prompt.key else "",
        "time_signature": (prompt.time_signature or "").split("/")[0],
        "inference_steps": options.steps,
        "guidance_scale": options.guidance,
        "shift": options.shift,
        "infer_method": _SCHEDULERS[options.scheduler or "euler"],
        "batch_size": len(seeds),
        "use_random_seed": False,
        "seed": seeds[0] if len(seeds) == 1 else ",".join(map(str, seeds)),
        "audio_format": "wav",
        "thinking": thinking,
        "use_cot_caption": thinking,
        "use_cot_language": False,
        "task_type": "text2music",
        **_task_fields(prompt.edit),
    }
    if options.model is not None:
        fields["model"] = options.model
    return {name: value for name, value in fields.items() if value is not None}


@contextmanager
def uploads(prompt: Prompt, run: Run) -> Iterator[dict[str, Path]]:
    """The files that go with an order, by the name of their field, gone after the block."""
    with ExitStack() as stack:
        files = {}
        if prompt.edit is not None:
            source = _lengthened(prompt.edit, prompt.seconds)
            files["src_audio"] = stack.enter_context(remote.outgoing(source, run, start=0, end=3))
        if prompt.reference is not None:
            files["ref_audio"] = stack.enter_context(remote.outgoing(prompt.reference, run, start=3, end=5))
        yield files


def _task_fields(edit: Edit | None) -> Mapping[str, Any]:
    """How the API says an edit: going on from the end is making the silence anew that was put there."""
    if edit is None:
        return {}
    if edit.task == "cover":
        return {"task_type": "cover", "audio_cover_strength": edit.strength}
    if edit.task == "repaint":
        return {
            "task_type": "repaint",
            "repainting_start": edit.start,
            "repainting_end": -1 if edit.end is None else edit.end,
        }
    return {"task_type": "repaint", "repainting_start": edit.source.frames / edit.source.rate, "repainting_end": -1}


def _lengthened(edit: Edit, seconds: float) -> AudioReader:
    if edit.task != "extend":
        return edit.source
    return _WithSilence(edit.source, max(edit.source.frames, round(seconds * edit.source.rate)))


@dataclass(frozen=True)
class _WithSilence:
    """An `AudioReader` that goes on in silence up to `frames`."""

    source: AudioReader
    frames: int

    @property
    def rate(self) -> int:
        return self.source.rate

    @property
    def channels(self) -> int:
        return self.source.channels

    def blocks(self, frames: int) -> Iterator[Samples]:
        left = self.frames
        for block in self.source.blocks(frames):
            yield block
            left -= block.shape[1]
        while left > 0:
            yield np.zeros((self.channels, min(frames, left)), np.float32)
            left -= frames

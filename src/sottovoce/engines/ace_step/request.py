"""A wish as ACE-Step understands it: every value settled and checked before any work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from sottovoce import errors
from sottovoce.audio import DELIVERY_RATE, Samples
from sottovoce.engines.ace_step import presets
from sottovoce.engines.ace_step.codes import Planned
from sottovoce.engines.ace_step.editing import LATENT, Editing, editing_of, reference_of
from sottovoce.engines.ace_step.lora import Lora, parse_lora
from sottovoce.engines.ace_step.options import AceStepConfig, AceStepOptions
from sottovoce.engines.ace_step.presets import Preset
from sottovoce.engines.captions import ace_step_caption
from sottovoce.prompt import Prompt

#: The lyrics of music without a voice.
INSTRUMENTAL = "[Instrumental]"
#: Latent frames a second.
FRAMES_A_SECOND = 25
#: The sentence that codes were trained under; the pipeline would take the one of covers.
_CODES_INSTRUCTION = "Fill the audio semantic mask based on the given conditions:"


@dataclass(frozen=True)
class Conditions:
    """The words and the structured wishes beside them, as the model takes them."""

    caption: str
    lyrics: str
    language: str
    bpm: int | None
    key: str | None
    meter: str | None


@dataclass(frozen=True, eq=False)
class Asked:
    """One request for one track a seed; `seconds` is what is rendered, at least what is delivered."""

    model: str
    preset: Preset
    steps: int
    guidance: float
    shift: float
    scheduler: str
    seconds: float
    conditions: Conditions
    seeds: tuple[int, ...]
    editing: Editing | None
    reference: Samples | None
    lora: Lora | None
    batch: int | None
    codes: tuple[str, ...] = ()

    @property
    def task(self) -> str:
        """The task as the pipeline calls it."""
        return self.editing.task if self.editing else "text2music"

    @property
    def frames(self) -> int:
        """Latent frames of a track."""
        return self.editing.source.shape[1] // LATENT if self.editing else ceil(self.seconds * FRAMES_A_SECOND)

    @property
    def passes(self) -> int:
        """Passes of the network: Heun's method asks it twice a step, but for the last."""
        return 2 * self.steps - 1 if self.scheduler == "heun" else self.steps

    @property
    def passes_at_once(self) -> int:
        """How many times the network's work for one track a step is."""
        blended = self.editing is not None and self.editing.task == "cover" and self.editing.strength < 1
        return (2 if self.guidance > 1 else 1) + (1 if blended else 0)

    @property
    def hears(self) -> bool:
        """Whether the network is given music, which draws from the random generator that all of torch shares."""
        return self.editing is not None or self.reference is not None

    def planned(self, plan: Planned) -> Asked:
        """The same with what a planner settled."""
        settled = {name: getattr(plan, name) for name in ("bpm", "key", "meter", "language")}
        known = {name: value for name, value in settled.items() if value is not None}
        return replace(self, conditions=replace(self.conditions, caption=plan.caption, **known), codes=plan.codes)

    def arguments(self, first: int, count: int) -> dict[str, Any]:
        """What the pipeline is called with for `count` seeds from the one at `first` on, but for generators, sounds and callbacks."""
        said = self.conditions
        edited = self._edit_arguments()
        coded = (
            {"audio_codes": list(self.codes[first : first + count]), "instruction": _CODES_INSTRUCTION}
            if self.codes
            else {}
        )
        return {
            "prompt": [said.caption] * count,
            "lyrics": [said.lyrics] * count,
            "vocal_language": said.language,
            "audio_duration": None if self.editing else self.seconds,
            "num_inference_steps": self.steps,
            "guidance_scale": self.guidance,
            "shift": self.shift,
            "bpm": said.bpm,
            "keyscale": said.key,
            "timesignature": said.meter,
            "task_type": self.task,
            **edited,
            **coded,
        }

    def _edit_arguments(self) -> dict[str, Any]:
        editing = self.editing
        if editing is None:
            return {}
        if editing.task == "cover":
            return {"audio_cover_strength": editing.strength}
        to_the_end = editing.end * DELIVERY_RATE >= editing.kept.shape[1]
        return {"repainting_start": editing.start, "repainting_end": None if to_the_end else editing.end}


def asked_of(prompt: Prompt, seeds: Sequence[int], config: AceStepConfig, options: AceStepOptions) -> Asked:
    """The request for some seeds of a prompt; a RequestError names the range of what is out of it, before any work."""
    model = options.model or config.model_variant
    preset = presets.preset_of(model)
    lora = options.lora or config.lora
    return Asked(
        model=model,
        preset=preset,
        steps=presets.checked_steps(preset, options.steps),
        guidance=presets.checked_guidance(preset, options.guidance),
        shift=presets.checked_shift(preset, options.shift),
        scheduler=presets.checked_scheduler(preset, options.scheduler),
        seconds=_seconds(prompt.seconds),
        conditions=_conditions(prompt),
        seeds=tuple(seeds),
        editing=editing_of(prompt),
        reference=reference_of(prompt),
        lora=parse_lora(lora) if lora else None,
        batch=options.batch,
    )


def _conditions(prompt: Prompt) -> Conditions:
    lyrics = (prompt.lyrics or "").strip()
    if len(lyrics) > presets.LONGEST_LYRICS:
        raise errors.InvalidParameter(
            f"the lyrics have {len(lyrics)} characters; ACE-Step sings at most {presets.LONGEST_LYRICS}"
        )
    if lyrics and prompt.language not in presets.LANGUAGES:
        raise errors.InvalidParameter(
            f"ACE-Step does not sing in {prompt.language!r}; it knows {', '.join(sorted(presets.LANGUAGES))}"
        )
    return Conditions(
        caption=ace_step_caption(prompt),
        lyrics=lyrics or INSTRUMENTAL,
        language=prompt.language if lyrics else "unknown",
        bpm=_bpm(prompt.bpm),
        key=str(prompt.key) if prompt.key else None,
        meter=prompt.time_signature.partition("/")[0] if prompt.time_signature else None,
    )


def _seconds(asked: float) -> float:
    if not 0 < asked <= presets.LONGEST_SECONDS:
        raise errors.InvalidDuration(
            f"ACE-Step makes {presets.SHORTEST_SECONDS:g} to {presets.LONGEST_SECONDS:g} seconds, not {asked:g}"
        )
    return max(asked, presets.SHORTEST_SECONDS)


def _bpm(asked: float | None) -> int | None:
    if asked is None:
        return None
    if not presets.SLOWEST_BPM <= asked <= presets.FASTEST_BPM:
        raise errors.InvalidParameter(
            f"ACE-Step keeps a tempo of {presets.SLOWEST_BPM} to {presets.FASTEST_BPM} bpm, not {asked:g}"
        )
    return round(asked)

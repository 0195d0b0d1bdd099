"""What each ACE-Step model is run with: presets and ranges belong to the model, never to the engine."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from sottovoce import errors

#: Version of the family, as recipes name it; the older v1-3.5B is another thing.
FAMILY = "1.5"
SHORTEST_SECONDS, LONGEST_SECONDS = 10.0, 600.0
SLOWEST_BPM, FASTEST_BPM = 30, 300
LONGEST_LYRICS = 4096
SCHEDULERS = ("euler", "heun")
SHIFTS = (1.0, 5.0)
_LANGUAGES = (
    "ar az bg bn ca cs da de el en es fa fi fr he hi hr ht hu id is it ja ko la lt ms ne nl no pa pl pt ro ru sa sk sr sv sw ta te "
    "th tl tr uk ur vi yue zh unknown"
)
#: The languages that lyrics are sung in.
LANGUAGES = frozenset(_LANGUAGES.split())


@dataclass(frozen=True)
class Preset:
    """A model by name, its authors' steps, shift and guidance, and how far those may go (`guidance` 1 and no range: distilled)."""

    name: str
    steps: int
    most_steps: int
    shift: float
    guidance: float
    most_guidance: float

    @property
    def distilled(self) -> bool:
        """Whether guidance is part of the weights already."""
        return self.most_guidance <= 1


_TURBO = Preset("acestep-v15-turbo", steps=8, most_steps=20, shift=3.0, guidance=1.0, most_guidance=1.0)
_BASE = Preset("acestep-v15-base", steps=50, most_steps=200, shift=1.0, guidance=7.0, most_guidance=15.0)
#: By variant, as the settings name them.
PRESETS = {
    "turbo": _TURBO,
    "base": _BASE,
    "sft": replace(_BASE, name="acestep-v15-sft"),
    "xl-turbo": replace(_TURBO, name="acestep-v15-xl-turbo"),
}


def preset_of(model: str) -> Preset:
    """The preset of a variant, of a model by its full name, or of a folder in diffusers' layout; InvalidParameter lists the variants."""
    known = {**PRESETS, **{preset.name: preset for preset in PRESETS.values()}}
    if model in known:
        return known[model]
    if is_folder(model):
        return _of_folder(Path(model).expanduser())
    raise errors.InvalidParameter(
        f"ACE-Step has no model {model!r}; there are {', '.join(PRESETS)}, or give a folder in diffusers layout"
    )


def is_folder(model: str) -> bool:
    """Whether a model is named by where it lies."""
    return "/" in model or "\\" in model or model.startswith(("~", "."))


def _of_folder(folder: Path) -> Preset:
    """A folder's network says of itself whether it is distilled."""
    config = folder / "transformer" / "config.json"
    try:
        said = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise errors.ModelNotFound(
            f"{folder} is no ACE-Step model in diffusers layout: {config} cannot be read",
            hint="Give the folder that holds model_index.json, transformer/, vae/ and the others.",
        ) from error
    if not isinstance(said, dict) or said.get("_class_name") != "AceStepTransformer1DModel":
        raise errors.WeightsRefused(f"{config} describes no network of ACE-Step")
    turbo = bool(said.get("is_turbo")) or said.get("model_version") == "turbo"
    return replace(_TURBO if turbo else _BASE, name=folder.name)


def checked_steps(preset: Preset, asked: int | None) -> int:
    """The steps asked for, or the preset's; InvalidInferenceSteps outside the model's range."""
    steps = preset.steps if asked is None else asked
    if not 1 <= steps <= preset.most_steps:
        raise errors.InvalidInferenceSteps(f"{preset.name} takes 1 to {preset.most_steps} steps, not {steps}")
    return steps


def checked_guidance(preset: Preset, asked: float | None) -> float:
    """The guidance asked for, or the preset's; InvalidGuidanceScale outside the model's range."""
    guidance = preset.guidance if asked is None else asked
    if 1 <= guidance <= preset.most_guidance:
        return guidance
    if preset.distilled:
        raise errors.InvalidGuidanceScale(
            f"{preset.name} is distilled: guidance is in its weights, so it takes 1 and nothing else, not {guidance:g}",
            hint="Leave --guidance out, or take --model base or sft.",
        )
    raise errors.InvalidGuidanceScale(
        f"{preset.name} takes guidance from 1 to {preset.most_guidance:g}, not {guidance:g}"
    )


def checked_shift(preset: Preset, asked: float | None) -> float:
    """The shift asked for, or the preset's; InvalidParameter outside 1 to 5."""
    shift = preset.shift if asked is None else asked
    if not SHIFTS[0] <= shift <= SHIFTS[1]:
        raise errors.InvalidParameter(f"{preset.name} takes a shift from {SHIFTS[0]:g} to {SHIFTS[1]:g}, not {shift:g}")
    return shift


def checked_scheduler(preset: Preset, asked: str | None) -> str:
    """The scheduler asked for, or euler; InvalidScheduler lists those there are."""
    scheduler = SCHEDULERS[0] if asked is None else asked
    if scheduler not in SCHEDULERS:
        raise errors.InvalidScheduler(f"{preset.name} has the schedulers {' and '.join(SCHEDULERS)}, not {scheduler!r}")
    return scheduler

"""What a client of ACE-Step asks for, read as leniently as its server reads it: every alias, in every place it may stand."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Other names of a field, in the order in which they are looked for.
ALIASES: Mapping[str, tuple[str, ...]] = {
    "prompt": ("caption",),
    "sample_mode": ("sampleMode",),
    "sample_query": ("sampleQuery", "description", "desc"),
    "use_format": ("useFormat", "format"),
    "model": ("model_name", "modelName", "dit_model", "ditModel"),
    "key_scale": ("keyscale", "keyScale", "key"),
    "time_signature": ("timesignature", "timeSignature"),
    "audio_duration": ("duration", "audioDuration", "target_duration", "targetDuration"),
    "vocal_language": ("vocalLanguage", "language"),
    "inference_steps": ("inferenceSteps",),
    "guidance_scale": ("guidanceScale",),
    "use_random_seed": ("useRandomSeed",),
    "infer_method": ("inferMethod",),
    "task_type": ("taskType",),
    "audio_cover_strength": ("audioCoverStrength", "cover_strength", "coverStrength"),
    "reference_audio_path": ("ref_audio_path", "referenceAudioPath", "refAudioPath"),
    "src_audio_path": ("ctx_audio_path", "sourceAudioPath", "srcAudioPath", "ctxAudioPath"),
    "analysis_only": ("analysisOnly",),
    "full_analysis_only": ("fullAnalysisOnly",),
    "extract_codes_only": ("extractCodesOnly",),
    "audio_code_string": ("audioCodeString", "audio_codes"),
    "use_tiled_decode": ("useTiledDecode",),
    "use_cot_caption": ("cot_caption", "cot-caption"),
    "use_cot_language": ("cot_language", "cot-language"),
    "constrained_decoding": ("constrainedDecoding", "constrained"),
    "is_format_caption": ("isFormatCaption",),
    "allow_lm_batch": ("allowLmBatch", "parallel_thinking"),
    "track_name": ("trackName",),
    "track_classes": ("trackClasses", "instruments"),
}
#: Fields of ACE-Step's own server that change nothing here, with its defaults, which clients send without meaning anything by it.
UNSERVED: Mapping[str, Any] = {
    "timesteps": "", "use_adg": False, "cfg_interval_start": 0.0, "cfg_interval_end": 1.0, "instruction": "", "use_tiled_decode": True,
    "lm_model_path": "", "lm_backend": "vllm", "lm_temperature": 0.85, "lm_cfg_scale": 2.5, "lm_top_p": 0.9, "lm_top_k": 0,
    "lm_repetition_penalty": 1.0, "lm_negative_prompt": "NO USER INPUT", "constrained_decoding": True, "use_cot_caption": True,
    "use_cot_language": True, "is_format_caption": False, "allow_lm_batch": True, "audio_code_string": "", "cover_noise_strength": 0.0,
    "track_name": "", "track_classes": "", "chunk_mask_mode": "auto", "repaint_mode": "balanced", "repaint_strength": 0.5,
    "repaint_latent_crossfade_frames": 10, "repaint_wav_crossfade_sec": 0.0, "velocity_norm_threshold": 0, "velocity_ema_factor": 0,
    "latent_shift": 0, "latent_rescale": 1, "guidance_variant": "apg_classic", "guidance_params": "", "dcw_enabled": "",
    "dcw_mode": "double", "dcw_scaler": 0.05, "dcw_high_scaler": 0.02, "dcw_wavelet": "haar",
}  # fmt: skip
_METAS = ("metas", "meta", "metadata", "user_metadata", "userMetadata")
_TRUE = frozenset({"1", "true", "yes", "y", "on"})
#: Lyrics that say there are none.
_INSTRUMENTAL = frozenset({"", "[inst]", "[instrumental]"})
#: Tracks that are made where nobody says how many.
USUAL_BATCH = 2


@dataclass(frozen=True)
class Asked:
    """A request as it was meant; None where nothing (usable) was said. `lyrics` is None for instrumental music.

    `seeds` are empty where one is to be drawn; `unserved` names fields with a value of their own that change nothing here.
    """

    prompt: str
    lyrics: str | None
    sample_query: str
    sample_mode: bool
    use_format: bool
    thinking: bool
    model: str
    bpm: float | None
    key: str
    meter: str
    seconds: float | None
    language: str
    steps: int | None
    guidance: float | None
    shift: float | None
    method: str
    seeds: tuple[int, ...]
    spare_seed: bool
    batch: int
    task: str
    start: float | None
    end: float | None
    strength: float | None
    source: str
    reference: str
    form: str
    unserved: tuple[str, ...]


class Lenient:
    """Fields as ACE-Step's server reads them.

    Looked for at the top, then in `param_obj`, then in the first of `metas` and its like; what cannot be read is the default.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        metas = next((fields[name] for name in _METAS if fields.get(name) is not None), None)
        self._places = (fields, _mapping(fields.get("param_obj")), _mapping(metas))

    def get(self, name: str) -> Any:
        """A field by its name or an alias, as it came; None if there is none."""
        names = (name, *ALIASES.get(name, ()))
        return next((place[each] for place in self._places for each in names if place.get(each) is not None), None)

    def text(self, name: str, default: str = "") -> str:
        """A field as text without spaces around it."""
        value = self.get(name)
        if isinstance(value, str | int | float):
            return str(value).strip() or default
        return default

    def number(self, name: str) -> float | None:
        """A field as a finite number."""
        return _number(self.get(name))

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A field as yes or no."""
        text = self.text(name).lower()
        return text in _TRUE if text else default

    def positive(self, name: str) -> float | None:
        """A number above 0; others mean that nothing was said."""
        found = self.number(name)
        return found if found is not None and found > 0 else None

    def differs(self, name: str, default: Any) -> bool:
        """Whether a field has a value, and another than the default."""
        value = self.get(name)
        if value in (None, "", [], {}):
            return False
        number = _number(default)
        if number is not None and not isinstance(default, bool):
            return _number(value) != number
        if isinstance(default, bool):
            return self.flag(name) != default
        return str(value).strip().lower() != str(default).lower()


def asked_of(fields: Mapping[str, Any]) -> Asked:
    """What the fields of `/release_task` ask for."""
    said = Lenient(fields)
    seeds = _seeds(said.get("seed"))
    drawn = said.flag("use_random_seed", default=True)
    return Asked(
        prompt=said.text("prompt") or said.text("global_caption"),
        lyrics=_lyrics(said),
        sample_query=said.text("sample_query"),
        sample_mode=said.flag("sample_mode"),
        use_format=said.flag("use_format"),
        thinking=said.flag("thinking"),
        model=said.text("model"),
        bpm=said.positive("bpm"),
        key=said.text("key_scale"),
        meter=said.text("time_signature"),
        seconds=said.positive("audio_duration"),
        language=said.text("vocal_language", "en"),
        steps=_whole(said.positive("inference_steps")),
        guidance=said.positive("guidance_scale"),
        shift=said.positive("shift"),
        method=said.text("sampler_mode").lower() if said.differs("sampler_mode", "euler") else said.text("infer_method", "ode").lower(),
        seeds=() if drawn else seeds,
        spare_seed=drawn and bool(seeds),
        batch=_whole(said.positive("batch_size")) or USUAL_BATCH,
        task=said.text("task_type", "text2music").lower(),
        start=said.number("repainting_start"),
        end=said.positive("repainting_end"),
        strength=said.number("audio_cover_strength"),
        source=said.text("src_audio_path"),
        reference=said.text("reference_audio_path"),
        form=said.text("audio_format", "mp3").lower(),
        unserved=tuple(name for name, default in UNSERVED.items() if said.differs(name, default)),
    )  # fmt: skip


def is_analysis(fields: Mapping[str, Any]) -> bool:
    """Whether no music is asked for, but what the server makes of some."""
    said = Lenient(fields)
    return any(said.flag(name) for name in ("analysis_only", "full_analysis_only", "extract_codes_only"))


def sung(words: str) -> str | None:
    """Lyrics, or None where they say that there are none."""
    return None if words.strip().lower() in _INSTRUMENTAL else words


def _lyrics(said: Lenient) -> str | None:
    return None if said.flag("instrumental") else sung(said.text("lyrics"))


def _seeds(value: Any) -> tuple[int, ...]:
    """One seed, or one for each track; negative ones ask for a drawn one."""
    parts = value if isinstance(value, list) else str("" if value is None else value).split(",")
    numbers = [_number(part) for part in parts]
    return tuple(int(number) for number in numbers if number is not None and number >= 0)


def _number(value: Any) -> float | None:
    if not isinstance(value, str | int | float):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _whole(number: float | None) -> int | None:
    return None if number is None else max(1, int(number))


def _mapping(value: Any) -> Mapping[str, Any]:
    """An object, or one in the text of a form's field; nothing for anything else."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, Mapping) else {}

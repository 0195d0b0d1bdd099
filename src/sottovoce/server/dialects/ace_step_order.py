"""A client's wish as a request of ours: what the engine that will run can take of it, and in words what it cannot."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sottovoce import errors
from sottovoce.engines.ace_step.presets import SHIFTS, Preset
from sottovoce.library.uploads import Upload
from sottovoce.prompt import TIME_SIGNATURES, parse_key
from sottovoce.server.dialects.ace_step_fields import Asked
from sottovoce.server.dialects.ace_step_models import ACE_STEP, ACE_STEP_API, Choice, Maker, chosen, preset_of
from sottovoce.server.dialects.ace_step_samples import sample_of
from sottovoce.tasks.request import LARGEST_SEED

#: What is made where nobody says how long, and by how much music goes on that is extended.
USUAL_SECONDS, USUAL_EXTENSION = 60.0, 30.0
_MOST_VERSIONS = 8
#: The formats that are served, by what clients call them; any other is flac, as on ACE-Step's server.
_FORMS = {
    "mp3": "mp3",
    "wav": "wav",
    "wav32": "wav",
    "flac": "flac",
    "opus": "opus",
    "aac": "m4a",
    "m4a": "m4a",
    "ogg": "ogg",
}
_METERS = {meter.split("/")[0]: meter for meter in TIME_SIGNATURES}
_LANGUAGE = re.compile(r"[a-z]{2,7}")
#: What `/v1/audio` is asked for: a track of ours and its format, whatever address stands before it.
AUDIO = re.compile(r"(?:.*\?path=)?([0-9a-f]{16})\.([a-z0-9]{1,5})")
_EDITS = {"cover": "cover", "repaint": "repaint", "extend": "extend"}
_GUIDANCE = (1.0, 15.0)
#: What clients send without meaning anything by it.
_USUAL_GUIDANCE = 7.0
_SEND = "Send the file with the form, as src_audio or ref_audio, or name a track by the `file` of an earlier result."
_SCHEDULERS = {ACE_STEP: ("euler", "heun"), ACE_STEP_API: ("euler", "sde")}


@dataclass(frozen=True)
class Files:
    """What was sent along: music to start from, and music to sound like."""

    source: Upload | None = None
    reference: Upload | None = None


@dataclass
class Order:
    """The fields of a Generate request, the format the client is given, and what it should know of how they came about."""

    form: str = "mp3"
    fields: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def put(self, **fields: Any) -> None:
        """Add what is not None."""
        self.fields |= {name: value for name, value in fields.items() if value is not None}


def order_of(asked: Asked, files: Files, found: tuple[Maker, ...]) -> Order:
    """The order for what was asked; InvalidParameter for what is not done here at all, InputUnreadable for a path of some disk."""
    order, choice = Order(), chosen(asked.model, found)
    maker = _maker(asked, choice, found)
    order.put(engine=choice.engine, model=choice.model)
    order.notes += [choice.note] if choice.note else []
    _say_what(order, asked)
    _say_lyrics(order, asked, maker)
    _say_music(order, asked)
    _say_seeds(order, asked)
    _say_edit(order, asked, files)
    _say_reference(order, asked, files, maker)
    _say_diffusion(order, asked, choice, maker)
    _say_form(order, asked.form)
    order.notes += [f"{name} changes nothing here" for name in asked.unserved]
    return order


def _maker(asked: Asked, choice: Choice, found: tuple[Maker, ...]) -> Maker | None:
    """Who will make it, as far as can be told before: the engine chosen, or the first that can do the most of it."""
    if choice.engine != "auto":
        return next((maker for maker in found if maker.name == choice.engine), None)
    for maker in found:
        able = maker.engine.capabilities
        if (asked.lyrics is None or able.lyrics) and _EDITS.get(asked.task, "generate") in able.tasks:
            return maker
    return found[0] if found else None


def _say_what(order: Order, asked: Asked) -> None:
    """The words: the client's, or invented where it wants that; with `use_format` or a mere sentence they are said better first."""
    words = asked.prompt or asked.sample_query
    if not words and asked.sample_mode:
        seed = asked.seeds[0] if asked.seeds else None
        sample = sample_of(seed)
        words = sample.words
        order.notes.append(f"the prompt was invented from built-in tables: {words}")
    if not words and asked.task in _EDITS:
        words = "in the style of the music it starts from"
    if not words and asked.lyrics is not None:
        words = "a song"
    order.put(prompt=words)
    if asked.use_format or (asked.sample_query and not asked.prompt):
        order.put(enhance=True)


def _say_lyrics(order: Order, asked: Asked, maker: Maker | None) -> None:
    """Lyrics for an engine that sings; it is better to have the music without them than none."""
    if asked.lyrics is None:
        return
    if maker is not None and not maker.engine.capabilities.lyrics:
        order.notes.append(f"no engine here sings, so {maker.name} makes it instrumental")
        return
    language = asked.language.lower().partition("-")[0]
    if not _LANGUAGE.fullmatch(language):
        order.notes.append(f"vocal_language {asked.language[:20]!r} is no language; en was taken")
        language = "en"
    order.put(lyrics=asked.lyrics, language=language)


def _say_music(order: Order, asked: Asked) -> None:
    """Length, tempo, key and meter; names that are none are left open, as ACE-Step's server leaves them."""
    order.put(bpm=asked.bpm)
    if asked.task not in _EDITS:
        order.put(duration=asked.seconds or USUAL_SECONDS)
        if asked.seconds is None:
            order.notes.append(f"no length was asked for, so it has {USUAL_SECONDS:g} s")
    if asked.key:
        try:
            order.put(key=str(parse_key(asked.key)))
        except ValueError:
            order.notes.append(f"key_scale {asked.key[:40]!r} is no key; it was left open")
    if asked.meter:
        meter = _METERS.get(asked.meter.partition("/")[0])
        order.put(time_signature=meter)
        if meter is None:
            order.notes.append(f"time_signature {asked.meter[:20]!r} is none of 2, 3, 4 and 6; it was left open")


def _say_seeds(order: Order, asked: Asked) -> None:
    """How many tracks and their seeds, which follow one another here."""
    versions = min(asked.batch, _MOST_VERSIONS)
    order.put(versions=versions)
    if versions < asked.batch:
        order.notes.append(f"batch_size is at most {_MOST_VERSIONS}; {asked.batch} were asked for")
    if asked.spare_seed:
        order.notes.append("the seed was not used, since use_random_seed was not false")
    if not asked.seeds:
        return
    first = asked.seeds[0] % (LARGEST_SEED + 1)
    order.put(seed=first)
    wanted = asked.seeds[:versions]
    if wanted != tuple(first + index for index in range(len(wanted))):
        order.notes.append(f"seeds follow one another here: the first is {first}")


def _say_edit(order: Order, asked: Asked, files: Files) -> None:
    """What is done with music there is already."""
    if asked.task not in _EDITS:
        if asked.task != "text2music":
            raise errors.InvalidParameter(
                f"task_type {asked.task[:40]!r} is not done here; there are text2music, {', '.join(_EDITS)}",
                hint="For stems of a song there is POST /api/separate.",
            )
        if files.source or asked.source:
            order.notes.append("text2music starts from nothing, so the source was not used")
        return
    source = _music(files.source, asked.source)
    if source is None:
        raise errors.InvalidParameter(
            f"task_type {asked.task} needs music to start from", hint="Send it as the file src_audio of a form."
        )
    order.fields[asked.task] = source
    if asked.task == "cover" and asked.strength is not None:
        order.put(strength=_within(order, "audio_cover_strength", asked.strength, (0.0, 1.0)))
    if asked.task == "repaint":
        order.put(repaint_from=_within(order, "repainting_start", asked.start or 0.0, (0.0, 600.0)))
        order.put(repaint_to=asked.end)
    if asked.task == "extend":
        order.put(by=_extension(asked, files.source))


def _extension(asked: Asked, source: Upload | None) -> float:
    """What is missing to the length asked for."""
    more = 0.0 if asked.seconds is None or source is None else asked.seconds - source.seconds
    return more if more > 0 else USUAL_EXTENSION


def _say_reference(order: Order, asked: Asked, files: Files, maker: Maker | None) -> None:
    reference = _music(files.reference, asked.reference)
    if reference is None:
        return
    if maker is not None and "reference" not in maker.engine.capabilities.tasks:
        order.notes.append(f"{maker.name} takes no music to sound like, so the reference was not used")
        return
    order.put(reference=reference)


def _say_diffusion(order: Order, asked: Asked, choice: Choice, maker: Maker | None) -> None:
    """Steps and the like, for ACE-Step alone: for others they mean something else, and those of the model's preset need not be said."""
    if maker is None or maker.name not in _SCHEDULERS:
        told = _diffusion(asked)
        if told:
            who = maker.name if maker else choice.engine
            order.notes.append(f"{who} knows nothing of {', '.join(told)}, so that was left out")
        return
    preset = preset_of(maker, choice)
    if asked.steps not in (None, preset.steps):
        order.put(steps=round(_within(order, "inference_steps", asked.steps or 1, (1, preset.most_steps))))
    _say_guidance(order, asked.guidance, preset)
    _say_method(order, asked.method, maker)
    options: dict[str, Any] = {}
    if asked.shift not in (None, preset.shift):
        options["shift"] = _within(order, "shift", asked.shift or 1.0, SHIFTS)
    if asked.thinking and maker.name == ACE_STEP:
        options["use_lm"] = True
    elif asked.thinking:
        order.notes.append("thinking: for a server of ACE-Step the setting ace_step.use_lm decides that")
    order.put(options=options or None)


def _diffusion(asked: Asked) -> list[str]:
    """The fields about diffusion that were sent."""
    sent = {"inference_steps": asked.steps, "guidance_scale": asked.guidance, "shift": asked.shift}
    told = [name for name, value in sent.items() if value is not None]
    told += ["infer_method"] if asked.method != "ode" else []
    return told + (["thinking"] if asked.thinking else [])


def _say_guidance(order: Order, asked: float | None, preset: Preset) -> None:
    """A distilled model has its guidance in the weights; ACE-Step's server takes any for it and uses none."""
    if asked in (None, preset.guidance):
        return
    if not preset.distilled:
        order.put(guidance=_within(order, "guidance_scale", asked or 1.0, _GUIDANCE))
    elif asked != _USUAL_GUIDANCE:
        order.notes.append(f"{preset.name} works without guidance, so guidance_scale was left out")


def _say_method(order: Order, method: str, maker: Maker) -> None:
    if method in ("ode", "euler"):
        return
    if method in _SCHEDULERS[maker.name]:
        order.put(scheduler=method)
    else:
        order.notes.append(
            f"{maker.name} has no way of sampling called {method[:20]!r}; it takes {_SCHEDULERS[maker.name][0]}"
        )


def _say_form(order: Order, asked: str) -> None:
    order.form = _FORMS.get(asked, "flac")
    if order.form != asked:
        order.notes.append(f"audio_format {asked[:20]!r} is given as {order.form}")


def _music(sent: Upload | None, path: str) -> Mapping[str, str] | None:
    """A file that was sent, or a track of ours by the address its audio has; paths of this machine are nobody's to name."""
    if sent is not None:
        return {"upload": sent.id}
    if not path:
        return None
    named = AUDIO.fullmatch(path)
    if named is not None:
        return {"track": named[1]}
    if ".." in path.replace("\\", "/").split("/"):
        raise errors.InputUnreadable("path traversal is not allowed in audio file paths", hint=_SEND)
    if path.startswith(("/", "\\", "~")) or path[1:2] == ":":
        raise errors.InputUnreadable("absolute audio file paths are not allowed", hint=_SEND)
    raise errors.InputUnreadable("audio file paths are not allowed", hint=_SEND)


def _within(order: Order, name: str, value: float, limits: tuple[float, float]) -> float:
    """A value in its range; being put there is said."""
    held = min(max(value, limits[0]), limits[1])
    if held != value:
        order.notes.append(f"{name} is {limits[0]:g} to {limits[1]:g} here; {value:g} was taken as {held:g}")
    return held

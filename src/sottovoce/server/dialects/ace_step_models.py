"""The engines that make music here as models of the ACE-Step dialect, and which of them a client means by a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sottovoce import errors
from sottovoce.engines.ace_step.presets import PRESETS, Preset
from sottovoce.engines.base import Generator
from sottovoce.engines.catalog import AUTO, GENERATORS, engine_names, parse_engine
from sottovoce.settings import Settings
from sottovoce.studio import Studio

#: The engines that take what the dialect says of diffusion, ours of here first.
ACE_STEP, ACE_STEP_API = "ace-step", "ace-step-api"
#: The engine that every order ends with.
_LAST = "composer"
_PREFIX = "acestep/"
#: Our tasks as ACE-Step calls them.
_TASKS = {"generate": "text2music", "cover": "cover", "repaint": "repaint", "extend": "extend"}


@dataclass(frozen=True)
class Maker:
    """An engine that could make music now, the model it takes unasked, and others whose files are here."""

    engine: Generator
    model: str
    others: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The engine's name."""
        return self.engine.name

    def described(self) -> list[dict[str, Any]]:
        """Its models for the inventory; they are loaded when they are asked for, which a client need not wait for."""
        tasks = [_TASKS[task] for task in self.engine.capabilities.tasks if task in _TASKS]
        return [
            {
                "name": name,
                "is_default": False,
                "is_loaded": True,
                "supported_task_types": tasks,
                "engine": self.name,
                "title": self.engine.title,
            }
            for name in (self.model, *self.others)
        ]


@dataclass(frozen=True)
class Choice:
    """The engine and model of our request for the model a client names, and what it should know about that."""

    engine: str = AUTO
    model: str | None = None
    note: str = ""


def makers(studio: Studio, owner: str) -> tuple[Maker, ...]:
    """The engines that `auto` would take, in the owner's order: ready, and the files of their model here or fetched when needed."""
    found, settings = [], studio.settings_of(owner)
    models = {listed.model.name: listed.here for listed in studio.weights.models()}
    fetched = settings.models.pull == "auto" and not studio.weights.offline
    for name in dict.fromkeys(map(parse_engine, (*settings.engines.generators, _LAST))):
        try:
            engine = studio.engines.ready(GENERATORS, name)
        except (errors.EngineError, errors.RequestError):
            continue
        usual = _usual(name, settings)
        if fetched or models.get(usual, True):
            others = tuple(model for model, here in models.items() if here and model != usual and model in _known(name))
            found.append(Maker(engine, usual, others))
    return tuple(found)


def inventory(found: tuple[Maker, ...]) -> list[dict[str, Any]]:
    """Every model for the inventory, that of the first engine being the default."""
    models = [model for maker in found for model in maker.described()]
    return [model | {"is_default": index == 0} for index, model in enumerate(models)]


def chosen(asked: str, found: tuple[Maker, ...]) -> Choice:
    """What a model's name means here.

    The default leaves the choice to `auto`, so that there is music even if its engine fails; any other name of ours is taken at its word;
    for an unknown one the choice is `auto`'s, as ACE-Step's server takes its own.
    """
    plain = asked.strip().removeprefix(_PREFIX).lower()
    plain = PRESETS[plain].name if plain in PRESETS else plain
    if not plain or plain == AUTO or (found and plain == found[0].model):
        return Choice()
    for maker in found:
        if plain in (maker.model, *maker.others):
            return Choice(maker.name, None if plain == maker.model else _own_name(maker.name, plain))
    if plain.startswith("acestep") and any(maker.name == ACE_STEP_API for maker in found):
        return Choice(ACE_STEP_API, plain)
    if parse_engine(plain) in engine_names(GENERATORS):
        return Choice(parse_engine(plain))
    return Choice(note=f"there is no model {asked[:80]!r} here, so the engine was chosen by the order in the settings")


def preset_of(maker: Maker, choice: Choice) -> Preset:
    """How the model that is likely to run is used by its authors."""
    return PRESETS["base" if (choice.model or maker.model).endswith(("base", "sft")) else "turbo"]


def _usual(engine: str, settings: Settings) -> str:
    """The dialect's name of the model that an engine takes unasked."""
    if engine == ACE_STEP:
        return PRESETS[settings.ace_step.model_variant].name
    return f"musicgen-{settings.musicgen.model}" if engine == "musicgen" else engine


def _known(engine: str) -> tuple[str, ...]:
    """The models of an engine that has several, as the list of weights calls them."""
    from sottovoce.engines.musicgen.options import MODELS

    several = {
        ACE_STEP: tuple(preset.name for preset in PRESETS.values()),
        "musicgen": tuple(f"musicgen-{name}" for name in MODELS),
    }
    return several.get(engine, ())


def _own_name(engine: str, model: str) -> str:
    """A model as its engine calls it."""
    return model.removeprefix("musicgen-") if engine == "musicgen" else model

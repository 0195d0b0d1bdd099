"""`sotto engines`: what is here, what it can do, and why the rest is not ready."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sottovoce.cli.render import AsJson, show, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sottovoce.engines.catalog import Catalog, Kind
    from sottovoce.speeds import Speed


def command(
    name: Annotated[str | None, typer.Argument(help="One engine, with its options.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the engines that are here, what they can do, and what the rest needs."""
    from sottovoce.studio import Studio

    with Studio() as studio:
        if name is None:
            _show_all(studio.engines, as_json=as_json)
        else:
            _show_one(studio.engines, name, studio.speeds(), as_json=as_json)


def _show_all(catalog: Catalog, *, as_json: bool) -> None:
    from sottovoce.engines.catalog import KINDS

    found = {kind.title: [catalog.described(kind, engine) for engine in catalog.all(kind)] for kind in KINDS}
    rows = [
        (title if index == 0 else "", engine["name"], _place(engine), engine["title"], _readiness(engine))
        for title, engines in found.items()
        for index, engine in enumerate(engines)
    ]
    text = table(["kind", "name", "auto", "what", "ready"], rows)
    show(found, f"{text}\n\n{_advice(found)}", as_json=as_json)


def _advice(found: Mapping[str, Sequence[dict[str, Any]]]) -> str:
    """A line on when to take each engine, and what it costs."""
    engines = [engine for engines in found.values() for engine in engines if engine["capabilities"]["quality"]]
    rows = [(engine["name"], _cost(engine), engine["capabilities"]["quality"]) for engine in engines]
    return table(["", "cost", "when"], rows)


def _cost(engine: dict[str, Any]) -> str:
    return "paid" if engine["capabilities"]["paid"] else "free"


def _show_one(catalog: Catalog, name: str, speeds: Sequence[Speed], *, as_json: bool) -> None:
    from sottovoce.engines.catalog import KINDS, engine_names, parse_engine
    from sottovoce.errors import InvalidBackend

    kinds = [kind for kind in KINDS if parse_engine(name) in engine_names(kind)]
    if not kinds:
        known = sorted({known for kind in KINDS for known in engine_names(kind)})
        raise InvalidBackend(f"no engine is called {name!r}; there are {', '.join(known)}")
    measured = [speed for speed in speeds if speed.engine == parse_engine(name)]
    found = {
        kind.title: {**catalog.described(kind, catalog.get(kind, name)), "speeds": _speeds(kind, measured)}
        for kind in kinds
    }
    show(found, "\n\n".join(_page(title, engine) for title, engine in found.items()), as_json=as_json)


def _speeds(kind: Kind[Any], measured: Sequence[Speed]) -> list[dict[str, Any]]:
    """The measurements of separators; engines of other kinds may have the same name."""
    from sottovoce.engines.catalog import SEPARATORS

    return [{**speed.model_dump(), "text": str(speed)} for speed in measured if kind is SEPARATORS]


def _place(engine: dict[str, Any]) -> str:
    return "" if engine["auto"] is None else f"{engine['auto']}."


def _readiness(engine: dict[str, Any]) -> str:
    return "yes" if engine["ready"] else f"no: {engine['reason']}. {engine['cure']}"


def _page(title: str, engine: dict[str, Any]) -> str:
    able = engine["capabilities"]
    facts = [
        (title, engine["name"]),
        ("what", engine["title"]),
        ("ready", _readiness(engine)),
        (
            "seconds",
            f"{able['seconds'][0]:g} to {'any' if able['seconds'][1] is None else format(able['seconds'][1], 'g')}",
        ),
        ("stems", ", ".join(able["stems"]) or "none"),
        ("needs", able["needs"]),
        ("licence", able["licence"]),
        ("quality", able["quality"] or "not stated"),
        ("cost", _cost(engine)),
        *(("speed here", _speed(speed)) for speed in engine["speeds"]),
    ]
    options = [(f"--option {name}=", _choice(schema)) for name, schema in engine["options"].items()]
    return table(["", ""], [*facts, *options])


def _speed(speed: dict[str, Any]) -> str:
    return f"{speed['model'] or ''} {speed['text']} on {speed['machine']}".strip()


def _choice(schema: dict[str, Any]) -> str:
    kind = (
        schema.get("enum")
        or schema.get("type")
        or " or ".join(str(part.get("enum") or part.get("type")) for part in schema.get("anyOf", ()))
    )
    limits = [f"{word} {schema[key]:g}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in schema]
    return " ".join(
        str(part)
        for part in [kind, *limits, f"(default {schema.get('default')})", schema.get("description", "")]
        if part
    )

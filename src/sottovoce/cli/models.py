"""`sotto models`: the weights of neural engines, listed, fetched, checked and removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sottovoce.cli.render import AsJson, bar, show, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sottovoce.speeds import Speed
    from sottovoce.weights.store import Checked, Listed

app = typer.Typer(no_args_is_help=True)

_USES = {"separate": "", "generate": "music", "plan": "plans of music", "part": "part of others"}
Names = Annotated[list[str], typer.Argument(help="One or more models, as `sotto models list` names them.")]
#: What a separation by any of these models costs: they run here.
_COST = "free"
_ELSEWHERE = "No GPU and no patience, or a stem none of these has (strings, wind, synth, lead vocals): --engine lalalai, paid by the minute and stem."


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """Show the models, what each is good for, what it takes, and what is here."""
    from sottovoce.machine import processor
    from sottovoce.studio import Studio

    with Studio() as studio:
        listed, folder = studio.weights.models(), studio.weights.folder
        speeds = [speed for speed in studio.speeds() if speed.machine.startswith(processor())]
    total = sum(one.bytes_here for one in listed)
    rows = [_row(one, speeds) for one in listed]
    columns = ("model", "here", "makes", "quality", "speed here", "size", "memory", "cost", "licence", "advice")
    text = f"{table(columns, rows)}\n\n{_ELSEWHERE}\n{total / 1e6:.0f} MB in {folder}"
    models = [_described(one, speeds) for one in listed]
    show({"models": models, "bytes_on_disk": total, "folder": folder, "elsewhere": _ELSEWHERE}, text, as_json=as_json)


@app.command("pull")
def pull(
    names: Names,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Say yes to a licence that does not allow every use.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch models (`ace-step` and `musicgen` are the usual ones of each); a pull that was broken off goes on where it stopped."""
    from sottovoce.studio import Studio
    from sottovoce.tasks.pull import fetched

    with Studio() as studio:
        store = studio.weights
        wanted = dict.fromkeys(part for name in names for part in store.with_parts(name))
        pulled = {}
        for name in wanted:
            with bar() as progress:
                paths = fetched(store, name, progress, accept_licence=accept_licence)
                pulled[name] = [str(path) for path in paths]
    text = "\n".join(f"{name} is here: {', '.join(paths)}" for name, paths in pulled.items())
    show({"pulled": pulled}, text, as_json=as_json)


@app.command("verify")
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Models; left out, all that are here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read every file and compare it with the hash it must have."""
    from sottovoce.studio import Studio

    with Studio() as studio:
        chosen = names or [one.model.name for one in studio.weights.models() if one.here or one.bytes_here]
        with bar() as progress:
            found = {name: studio.weights.verify(name, progress) for name in chosen}
    rows = [(name, checked.file.name, checked.state, _said(name, checked)) for name in found for checked in found[name]]
    fine = all(checked.state == "fine" for name in found for checked in found[name])
    files = {name: [_file(checked) for checked in found[name]] for name in found}
    text = table(("model", "file", "state", ""), rows) if rows else "No model is here."
    show({"fine": fine, "models": files}, text, as_json=as_json)
    if not fine:
        raise typer.Exit(1)


@app.command("rm")
def remove(names: Names, as_json: AsJson = False) -> None:
    """Remove models from the models folder; caches of other programs are left alone."""
    from sottovoce.studio import Studio

    with Studio() as studio:
        for name in names:
            studio.weights.model(name)
        freed = {name: studio.weights.remove(name) for name in names}
    text = "\n".join(f"{name}: {size / 1e6:.0f} MB given back" for name, size in freed.items())
    show({"freed": freed}, text, as_json=as_json)


def _row(one: Listed, speeds: Sequence[Speed]) -> tuple[str, ...]:
    model = one.model
    speed = ", ".join(str(speed) for speed in speeds if speed.model == model.name) or "not measured"
    makes = ", ".join(model.stems) or _USES[model.use]
    return (
        model.name,
        _here(one),
        makes,
        model.quality,
        speed,
        *_takes(one),
        _COST,
        model.licence,
        model.advice,
    )


def _here(one: Listed) -> str:
    if one.here:
        return "yes" if one.bytes_here else "in a cache"
    return "partly" if one.bytes_here else "no"


def _takes(one: Listed) -> tuple[str, str]:
    size, about = one.model.bytes, one.model.about_mb
    told = "told at the pull" if about is None else f"about {about} MB"
    return told if size is None else f"{size / 1e6:.0f} MB", f"{one.model.memory_mb / 1000:.1f} GB"


def _described(one: Listed, speeds: Sequence[Speed]) -> dict[str, Any]:
    return {
        **one.model.model_dump(exclude={"files"}),
        "bytes": one.model.bytes,
        "files": [file.model_dump() for file in one.model.files],
        "here": one.here,
        "bytes_here": one.bytes_here,
        "page": one.model.page,
        "cost": _COST,
        "speeds": [speed.model_dump() for speed in speeds if speed.model == one.model.name],
    }


def _said(name: str, checked: Checked) -> str:
    return str(checked.path) if checked.state == "fine" else f"{checked.detail}; sotto models pull {name}"


def _file(checked: Checked) -> dict[str, Any]:
    return {"file": checked.file.name, "state": checked.state, "path": checked.path, "detail": checked.detail}

"""`sotto config`: what is set, where it comes from, and setting it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sottovoce.cli.render import AsJson, show, table

app = typer.Typer(no_args_is_help=True)


@app.command("show")
def show_settings(
    key: Annotated[
        str | None, typer.Argument(help="One setting or section; left out, all.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the settings in force here, and where each value comes from."""
    from sottovoce import errors, settings

    shown = settings.load().shown()
    chosen = {name: entry for name, entry in shown.items() if key is None or f"{name}.".startswith(f"{key}.")}
    if not chosen:
        raise errors.InvalidParameter(f"no setting is called {key}", hint="`sotto config show` lists those there are.")
    lines = [(name, _text(entry["value"]), entry["origin"]) for name, entry in chosen.items()]
    show({"settings": chosen}, table(("setting", "value", "from"), lines), as_json=as_json)


@app.command("set", context_settings={"ignore_unknown_options": True})
def set_setting(
    key: Annotated[str, typer.Argument(help="The setting, such as audio.ducking_ratio.")],
    value: Annotated[str, typer.Argument(help="Its value; null takes it back to not set.")],
    as_json: AsJson = False,
) -> None:
    """Set one value in your configuration file; everything else in it stays."""
    from sottovoce import settings

    understood, path = settings.set_value(key, value), settings.user_file()
    result = {"key": key, "value": understood, "file": path}
    show(result, f"{key} is {_text(understood)} in {path}", as_json=as_json)


@app.command("path")
def path_of_settings(as_json: AsJson = False) -> None:
    """Show where your configuration file is, or would be."""
    from sottovoce import settings

    path = settings.user_file()
    show({"path": path, "exists": path.exists()}, str(path), as_json=as_json)


def _text(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)

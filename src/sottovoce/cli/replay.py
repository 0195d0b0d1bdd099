"""`sotto replay`: make a track again from its recipe."""

from __future__ import annotations

from typing import Annotated

import typer

from sottovoce.cli.render import AsJson, bar, show, table


def command(
    recipe: Annotated[str, typer.Argument(help="A recipe file (NAME.sotto.json), or a track's id.")],
    verify: Annotated[bool, typer.Option("--verify", help="Fail unless it is the same to the last bit.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a track again from its recipe, and prove it is the same."""
    from sottovoce.recipe import differences
    from sottovoce.studio import Studio

    with Studio() as studio:
        original = studio.recipe(recipe)
        with bar() as progress:
            track = studio.replay(original, progress).tracks[0]
    again = track.recipe
    assert again is not None, "a track that was just made has a recipe"
    same = again.audio.sha256_pcm == original.audio.sha256_pcm
    changed = differences(original, again)
    value = {
        "track": track.id,
        "audio": track.audio,
        "same": same,
        "differences": {name: list(pair) for name, pair in changed.items()},
    }
    text = f"{track.id}  {track.title}\n" + ("the same, bit for bit" if same else f"not the same\n{_reasons(changed)}")
    show(value, text, as_json=as_json)
    if verify and not same:
        raise typer.Exit(1)


def _reasons(changed: dict[str, tuple[object, object]]) -> str:
    rows = [(name, *pair) for name, pair in changed.items() if name != "audio"]
    return (
        table(["differs", "recipe", "now"], rows)
        if rows
        else "nothing that the recipe records differs: this is a bug, please report it"
    )

"""`sotto doctor`: checks this installation by using it, and says how to mend it."""

from __future__ import annotations

from typing import Annotated

import typer

from sottovoce.cli.render import AsJson, show, table


def command(
    files: Annotated[
        bool, typer.Option("--files", help="Read every file of the library too, to find damaged ones.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check this installation and say how to mend it."""
    from sottovoce.doctor import examine

    findings = list(examine(files=files))
    rows = [
        ("ok" if found.fine else "NOT OK", found.check, found.seen + (f"\n{found.cure}" if found.cure else ""))
        for found in findings
    ]
    fine = all(found.fine for found in findings)
    show(
        {"fine": fine, "findings": [vars(found) for found in findings]},
        table(["", "check", "seen"], rows),
        as_json=as_json,
    )
    if not fine:
        raise typer.Exit(1)

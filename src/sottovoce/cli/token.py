"""`sotto token`: who may use this studio's server."""

from __future__ import annotations

from typing import Annotated

import typer

from sottovoce.cli.render import AsJson, show, table

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="What you call it, such as the person or machine it is for.")]


@app.command()
def create(
    name: Name,
    admin: Annotated[
        bool, typer.Option("--admin", help="May also see and do what is everyone's: all jobs, models, settings.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a token and show it, this once."""
    from sottovoce.studio import Studio

    with Studio() as studio:
        token, secret = studio.tokens.create(name, admin=admin)
    text = f"{secret}\nKeep it: it is not shown again. Requests carry it as `Authorization: Bearer TOKEN`."
    show({"token": token.as_dict(), "secret": secret}, text, as_json=as_json)


@app.command("list")
def list_tokens(as_json: AsJson = False) -> None:
    """Show the tokens there are, and when each was last used."""
    from sottovoce.studio import Studio

    with Studio() as studio:
        tokens = studio.tokens.list()
    rows = [(one.name, one.role, one.id, one.created[:10], (one.used or "never")[:16]) for one in tokens]
    text = table(("name", "role", "id", "created", "used"), rows) if tokens else "no tokens"
    show({"tokens": [token.as_dict() for token in tokens]}, text, as_json=as_json)


@app.command()
def revoke(name: Name, as_json: AsJson = False) -> None:
    """Forget a token; whoever has it is shut out at once, browsers too."""
    from sottovoce.studio import Studio

    with Studio() as studio:
        token = studio.tokens.revoke(name)
    show({"revoked": token.as_dict()}, f"revoked {token.name}", as_json=as_json)

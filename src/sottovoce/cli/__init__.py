"""The command `sotto`: one module per command, imported only when it is the one asked for."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from sottovoce.cli import remote
from sottovoce.errors import Cancelled, InvalidParameter, SottovoceError
from sottovoce.version import __version__

#: Every command with its line in `sotto --help`; the module of that name has a function `command` or, with sub-commands, an `app`.
COMMANDS = {
    "generate": "Make music from words.",
    "separate": "Split a song into stems.",
    "score": "Put music softly under a video or a recording.",
    "mood": "Say what the pictures and the sound of a video suggest.",
    "inspect": "Check any audio file as every result is checked.",
    "library": "Your tracks: list, search, play, rate, tag, export, import, remove, back up, restore.",
    "jobs": "What is to be done, is being done and was done: list, show, watch, cancel, retry.",
    "serve": "Serve this studio over HTTP, with a worker.",
    "worker": "Work on the jobs of a library.",
    "daemon": "Serve an editor: JSON-RPC on standard input and output.",
    "token": "Who may use the server: create, list, revoke.",
    "replay": "Make a track again from its recipe, and prove it is the same.",
    "models": "The weights of neural engines: list, pull, verify, remove.",
    "engines": "What is here, what it can do, and what the rest needs.",
    "config": "Show or set the settings, and say where each value comes from.",
    "doctor": "Check this installation and say how to mend it.",
}

#: What stands before a command and has a value.
_VALUED = ("--server", "--token-file")


def main() -> NoReturn:
    """Run the command line and exit with its code: 0 done, 1 failed, 2 wrong usage, 3 partly done, 130 interrupted."""
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and give its exit code; every error is shown with its cure, never as a traceback."""
    as_json = "--json" in arguments
    try:
        code = _root(arguments)(list(arguments), prog_name="sotto", standalone_mode=False)
        sys.stdout.flush()
        # Typer makes this of an interrupt.
        if code == Cancelled.exit_code:
            raise KeyboardInterrupt  # noqa: TRY301
    except SottovoceError as error:
        return _failed(error, as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        return _failed(Cancelled("stopped; nothing half-written was left"), as_json=as_json)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001 - the process boundary: logs the trace and reports
        return _failed(_translated(error), as_json=as_json)
    return code if isinstance(code, int) else 0


def root() -> typer.Typer:
    """The whole command line, every command imported: for the documentation and for the shell's completion."""
    return _build(set(COMMANDS))


def _root(arguments: Sequence[str]) -> typer.Typer:
    """The command line with only the command asked for imported, since `sotto --help` is to answer at once."""
    if any(name.endswith("_COMPLETE") for name in os.environ):
        return root()
    return _build({_command_in(arguments)})


def _command_in(arguments: Sequence[str]) -> str:
    """The command among the arguments; empty if there is none."""
    words = iter(arguments)
    for word in words:
        if word in _VALUED:
            next(words, None)
        elif not word.startswith("-"):
            return word
    return ""


def _build(imported: set[str]) -> typer.Typer:
    app = typer.Typer(name="sotto", no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})
    app.callback(help="Sottovoce, a self-hosted music studio.")(_options)
    for name, line in COMMANDS.items():
        module = import_module(f"sottovoce.cli.{name}") if name in imported else None
        if module is None:
            app.command(name, help=line)(_not_imported)
        elif hasattr(module, "app"):
            app.add_typer(module.app, name=name, help=line)
        else:
            app.command(name)(module.command)
    return app


def _show_version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"sotto {__version__}\n")
        raise typer.Exit


def _options(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Have the studio at this address do it: generate, separate, score, mood and jobs.",
            show_default="the setting client.url",
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help="A file with the token for it.", show_default="the settings client.token and token_file"),
    ] = None,
) -> None:
    """Take the options that stand before the command."""
    remote.choose(remote.Flags(server, token_file), context.invoked_subcommand or "")


def _not_imported() -> None:
    raise AssertionError("only a command that was imported is ever run")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _translated(error: Exception) -> SottovoceError:
    """Wrong usage in Typer's words, a lost disk or input in ours, and anything else as a bug with its trace in the log."""
    from sottovoce.bugs import bug

    if isinstance(error, TyperException):
        return InvalidParameter(
            error.format_message() or "no command was given",
            hint="`sotto --help` and `sotto COMMAND --help` show the usage.",
        )
    return bug(error)


def _failed(error: SottovoceError, *, as_json: bool) -> int:
    from sottovoce.cli.render import show_error

    show_error(error, as_json=as_json)
    return error.exit_code

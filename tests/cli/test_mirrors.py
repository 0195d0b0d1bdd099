"""A command's options are its request's fields, by name, and those beside them are about files and display alone."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest

from sottovoce import cli
from sottovoce.cli import generate, models, mood, score, separate
from sottovoce.tasks import TASKS

#: What a command has beside its request: where results go and how they are shown.
OUTPUT = {"output", "midi", "bit_depth", "bitrate", "as_json"}
COMMANDS: dict[str, Callable[..., None]] = {
    "generate": generate.command,
    "separate": separate.command,
    "score": score.command,
    "mood": mood.command,
    "pull": models.pull,
}
#: Fields that no command line needs: the command's name says what kind it is.
ELSEWHERE = {"kind"}


@pytest.mark.parametrize("kind", TASKS)
def test_options_mirror_the_request(kind: str) -> None:
    options = {
        name.replace("engine_options", "options").replace("no_cache", "cache")
        for name in inspect.signature(COMMANDS[kind]).parameters
    }
    fields = set(TASKS[kind].request.model_fields)
    assert options - fields <= OUTPUT
    assert fields - options <= ELSEWHERE | ({"format"} if kind == "score" else set())


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help_of_one_line_and_json(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([name, "--help"]) == 0
    printed = capsys.readouterr().out
    assert cli.COMMANDS[name].split(":")[0].rstrip(".") in printed or name in (
        "engines",
        "config",
        "library",
        "inspect",
    )
    # Groups have it on each command; what serves others answers by its own protocol.
    if name not in ("library", "config", "models", "jobs", "token", "serve", "worker", "daemon"):
        assert "--json" in printed

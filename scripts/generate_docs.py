"""Writes the docs pages and the files of settings that are read off the code; `--check` fails when one is stale."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

os.environ |= {"TYPER_USE_RICH": "0", "COLUMNS": "110", "HOME": "/home/you"}
for name in [name for name in os.environ if name.startswith(("SOTTO_", "XDG_"))]:
    del os.environ[name]

import typer.core  # noqa: E402 - reads TYPER_USE_RICH when it is imported
from typer.main import get_command  # noqa: E402

from sottovoce import cli  # noqa: E402
from sottovoce.errors import SottovoceError, catalogue  # noqa: E402
from sottovoce.settings import Row  # noqa: E402
from sottovoce.settings import rows as settings_rows  # noqa: E402
from sottovoce.settings.layers import PREFIX  # noqa: E402

REPOSITORY = Path(__file__).resolve().parent.parent
NOTE = "<!-- Written by scripts/generate_docs.py from the code; change it there. -->\n"
ENV_NOTE = "# Written by scripts/generate_docs.py from the code; change it there.\n"


@dataclass(frozen=True)
class Place:
    """Where the studio runs, and what is set there: values by key."""

    about: str
    values: Mapping[str, str]


#: What every machine with a graphics card is given.
CARD = {
    "jobs.workers": "1",
    "models.pull": "auto",
    "ace_step.model_variant": "turbo",
    "ace_step.use_lm": "true",
    "ace_step.lm_model_size": "1.7B",
}
PLACES = {
    "local": Place(
        "This machine, for yourself: nobody else can reach it, so no token is needed. An ACE-Step server may run beside it.",
        {
            "server.host": "127.0.0.1",
            "server.port": "8420",
            "models.pull": "ask",
            "ace_step.api_url": "http://localhost:8001",
        },
    ),
    "runpod": Place(
        "A RunPod pod with a graphics card. /workspace stays when the pod stops; a network volume there takes no database, see docs/gpu.md.",
        {
            "server.host": "0.0.0.0",
            "server.port": "8420",
            "server.hosts": "[music.example]",
            "server.token_file": "/workspace/token",
            "library.directory": "/workspace/library",
            "models.directory": "/workspace/models",
            **CARD,
        },
    ),
    "vastai": Place(
        "A vast.ai instance with a graphics card. What lies on it goes with it: take backups, docs/operations.md.",
        {
            "server.host": "0.0.0.0",
            "server.port": "8420",
            "server.hosts": "[music.example]",
            "server.token_file": "/workspace/token",
            "library.directory": "/workspace/library",
            "models.directory": "/workspace/models",
            **CARD,
        },
    ),
    "fly": Place(
        "A Fly machine of 2 to 4 processors and 4 to 8 GB without a graphics card, its volume at /data.",
        {
            "server.host": "0.0.0.0",
            "server.port": "8420",
            "server.hosts": "[music.example]",
            "server.token_file": "/data/token",
            "library.directory": "/data/library",
            "models.directory": "/data/models",
            "models.pull": "auto",
            "demucs.device": "cpu",
            "jobs.workers": "1",
            "server.max_upload_mb": "100",
            "server.max_duration_seconds": "600",
        },
    ),
}


def main() -> int:
    pages = {
        "docs/cli.md": cli_page(),
        "docs/settings.md": settings_page(),
        "docs/errors.md": errors_page(),
        ".env.example": example_file(),
        **{f"deploy/{name}.env": place_file(place) for name, place in PLACES.items()},
    }
    if "--check" not in sys.argv[1:]:
        for name, text in pages.items():
            (REPOSITORY / name).parent.mkdir(exist_ok=True)
            (REPOSITORY / name).write_text(text, encoding="utf-8")
        return 0
    stale = [name for name, text in pages.items() if written(name) != text]
    if stale:
        print(f"{', '.join(stale)} are stale: run `.venv/bin/python scripts/generate_docs.py`")
    return bool(stale)


def written(name: str) -> str | None:
    path = REPOSITORY / name
    return path.read_text(encoding="utf-8") if path.exists() else None


def example_file() -> str:
    """Every setting as a line that is switched off, with its default."""
    head = (
        "# Every setting as a variable of the environment; docs/settings.md says how they are read. A line that is switched on counts before the\n"
        "# files of settings. Copied to .env it is read by compose.yaml; the studio itself does not look for it.\n"
    )
    keys = "\n# Keys of remote engines:\n# LALALAI_API_KEY=\n# ACESTEP_API_KEY=\n# MUSICGEN_API_KEY=\n# LLM_API_KEY=\n"
    return (
        head + ENV_NOTE + "".join(f"\n{explained(row)}# {line(row, default_of(row))}" for row in settings_rows()) + keys
    )


def place_file(place: Place) -> str:
    rows = {row.key: row for row in settings_rows()}
    lines = [f"\n{explained(rows[key])}{line(rows[key], value)}" for key, value in place.values.items()]
    return f"# {place.about}\n# The names and paths are examples: put yours in a copy.\n{ENV_NOTE}{''.join(lines)}"


def explained(row: Row) -> str:
    return f"# {row.meaning} ({kind_of(row)})\n"


def line(row: Row, value: str) -> str:
    return f"{PREFIX}{row.key.upper().replace('.', '__')}={value}\n"


def default_of(row: Row) -> str:
    return "" if row.default == "not set" else row.default.replace(", ", ",")


def cli_page() -> str:
    head = (
        "# The command line\n\n"
        "Everything the studio can do is one command with a few words after it. This page lists them all, as `--help` shows them.\n\n"
        "Every command takes `--json` (one JSON object on standard output). Exit codes: 0 done, 1 failed, 2 wrong usage, 3 partly done, "
        "130 interrupted.\n"
    )
    sections = [f"\n## `{' '.join(words)}`\n\n```\n{text.strip()}\n```\n" for words, text in helps()]
    return head + NOTE + "".join(sections)


def helps() -> Iterator[tuple[list[str], str]]:
    """Every command's words and its help, depth first."""
    yield ["sotto"], help_of([])
    root = get_command(cli.root())
    assert isinstance(root, typer.core.TyperGroup)
    for name, command in root.commands.items():
        yield ["sotto", name], help_of([name])
        for sub in getattr(command, "commands", {}):
            yield ["sotto", name, sub], help_of([name, sub])


def help_of(words: list[str]) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert cli.run([*words, "--help"]) == 0
    return "\n".join(line.rstrip() for line in printed.getvalue().splitlines())


def settings_page() -> str:
    head = (
        "# Settings\n\n"
        "The studio works with no settings at all. This page lists what can be changed, and what each change does.\n\n"
        "A value is looked for in this order: the command's own options, the environment (`SOTTO_<SECTION>__<KEY>`), `./sotto.yaml`, your "
        "`config.yaml`, the default. `sotto config show` says where each one came from; `sotto config set KEY VALUE` writes your "
        "`config.yaml`. Keys and passwords do not belong in these files and are refused there.\n\n"
    )
    table = "| key | type and range | default | meaning |\n|---|---|---|---|\n"
    rows = "".join(f"| `{row.key}` | {kind_of(row)} | `{row.default}` | {row.meaning} |\n" for row in settings_rows())
    return head + NOTE + "\n" + table + rows


def kind_of(row: Row) -> str:
    return f"{row.type}: {row.range}" if row.range else row.type


def errors_page() -> str:
    head = (
        "# Errors\n\n"
        "When something cannot be done, the studio says what is wrong and what cures it. Every such answer has a code; this page lists them.\n\n"
        '`--json` and HTTP answer `{"error": {"code", "message", "hint", "details"}}`.\n\n'
    )
    table = "| code | when | HTTP | RPC | exit |\n|---|---|---|---|---|\n"
    rows = "".join(error_row(code, kind) for code, kind in sorted(catalogue().items()))
    return head + NOTE + "\n" + table + rows


def error_row(code: str, kind: type[SottovoceError]) -> str:
    when = (kind.__doc__ or "").splitlines()[0]
    return f"| `{code}` | {when} | {kind.http} | {kind.rpc} | {kind.exit_code} |\n"


if __name__ == "__main__":
    sys.exit(main())

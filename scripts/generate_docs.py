"""Writes the docs pages that are read off the code; `--check` fails when one is stale."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
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

DOCS = Path(__file__).resolve().parent.parent / "docs"
NOTE = "<!-- Written by scripts/generate_docs.py from the code; change it there. -->\n"


def main() -> int:
    pages = {"cli.md": cli_page(), "settings.md": settings_page(), "errors.md": errors_page()}
    if "--check" not in sys.argv[1:]:
        for name, text in pages.items():
            (DOCS / name).write_text(text, encoding="utf-8")
        return 0
    stale = [
        name
        for name, text in pages.items()
        if not (DOCS / name).exists() or (DOCS / name).read_text(encoding="utf-8") != text
    ]
    if stale:
        print(f"docs/{', docs/'.join(stale)} are stale: run `.venv/bin/python scripts/generate_docs.py`")
    return bool(stale)


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

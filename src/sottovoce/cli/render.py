"""How results look: JSON on standard output, or tables; progress as a bar on standard error; errors with their cure."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sottovoce.errors import SottovoceError
from sottovoce.plain import plain
from sottovoce.progress import OnProgress, Progress, ignore

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars

#: Columns of a table that goes into a file or a pipe, where nothing needs to be folded.
_UNBOUND = 1000

#: The option every command has.
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output instead of text.")]


def show(value: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """Print a result: the value as JSON, or the text."""
    sys.stdout.write((to_json(value) if as_json else text.rstrip("\n")) + "\n")


def to_json(value: Any) -> str:
    """JSON with paths as text; numbers that JSON lacks (infinite loudness of silence) become null."""
    return json.dumps(plain(value), ensure_ascii=False, indent=2)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as text, as wide as the terminal."""
    from rich.table import Table

    grid = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*("" if cell is None else str(cell) for cell in row))
    console = _console(sys.stdout, width=None if sys.stdout.isatty() else _UNBOUND)
    with console.capture() as captured:
        console.print(grid)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


@contextmanager
def bar() -> Iterator[OnProgress]:
    """A progress bar on standard error while the work runs; nothing where that is no terminal."""
    if not sys.stderr.isatty():
        yield ignore
        return
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description:<14}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Bars(*columns, console=_console(sys.stderr), transient=True) as bars:
        yield Bar(bars)


class Bar:
    """A bar on the terminal; it takes progress, and stands still while a question is asked."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task = bars.add_task("start", total=100)

    def __call__(self, progress: Progress) -> None:
        """Show how far the work is."""
        self._bars.update(self._task, completed=progress.percent, description=progress.stage)

    def ask(self, question: str) -> bool:
        """Ask a question that is no unless it is answered with yes."""
        self._bars.stop()
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        try:
            return sys.stdin.readline().strip().lower() in ("y", "yes")
        finally:
            self._bars.start()


def show_error(error: SottovoceError, *, as_json: bool) -> None:
    """Say what is wrong and what cures it: on standard error, or as JSON on standard output."""
    if as_json:
        sys.stdout.write(to_json({"error": error.as_dict()}) + "\n")
        return
    sys.stderr.write(f"sotto: {error.message}\n" + (f"       {error.hint}\n" if error.hint else ""))


def clock(seconds: float) -> str:
    """Seconds as m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _console(stream: Any, *, width: int | None = None) -> Console:
    from rich.console import Console

    return Console(file=stream, highlight=False, width=width)

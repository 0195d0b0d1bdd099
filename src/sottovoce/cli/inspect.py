"""`sotto inspect`: the checks every output passes, for any file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sottovoce.cli import options
from sottovoce.cli.render import AsJson, clock, show, table

if TYPE_CHECKING:
    from sottovoce.dsp.inspect import Inspection


def command(
    file: Annotated[str, typer.Argument(help="An audio file, or - for standard input.")], as_json: AsJson = False
) -> None:
    """Check any audio file as every result is checked: loudness, peaks, gaps, clicks, clipping, ticking."""
    from sottovoce.studio import Studio

    with Studio() as studio, options.input_file(file) as path:
        report = studio.inspect(path)
    show(
        {"file": file, **report.model_dump(mode="json"), "passed": report.passed}, _text(file, report), as_json=as_json
    )
    if not report.passed:
        raise typer.Exit(1)


def _text(file: str, report: Inspection) -> str:
    facts = {
        name: value
        for name, value in report.model_dump().items()
        if isinstance(value, int | float | str) and value is not None
    }
    rows = [(name.replace("_", " "), _number(value)) for name, value in facts.items()]
    faults = [("fault" if fault.hard else "note", fault.message + _when(fault.at)) for fault in report.faults]
    return f"{file}: {'passed' if report.passed else 'failed'}\n{table(['', ''], [*rows, *faults])}"


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _when(at: float | None) -> str:
    return "" if at is None else f" at {clock(at)}"

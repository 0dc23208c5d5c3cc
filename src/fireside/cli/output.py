"""How results are shown: tables and colours for people, JSON for programs."""

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

_WIDTH_OF_PIPES = 1000
"""Programs that read tables want a row on a line, however long."""

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """One JSON value on one line."""
    sys.stdout.write(orjson.dumps(value).decode() + "\n")


def print_done(value: Any, text: str, *, as_json: bool) -> None:
    """What an action did: the object it changed for programs, a sentence for people."""
    if as_json:
        print_json(value)
    else:
        console.print(text, markup=False)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Rows under bold headings; says so when there are none. The first column is never broken: people copy ids."""
    if not rows:
        errors.print("[dim]nothing here[/dim]")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(escape(_cell(cell)) for cell in row))
    wide = console if console.is_terminal else Console(width=_WIDTH_OF_PIPES, highlight=False)
    wide.print(table, soft_wrap=False)


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


def complain(message: str) -> None:
    """Say what went wrong."""
    errors.print(f"[red]error:[/red] {escape(message)}")


def progress_bar() -> Progress:
    """A bar with a description, a percentage and the time taken; on standard error, so that output stays clean."""
    percent = TextColumn("{task.percentage:>3.0f}%")
    return Progress(TextColumn("{task.description}"), BarColumn(), percent, TimeElapsedColumn(), console=errors)


def size(count: int | None) -> str:
    """A number of bytes for people: `1.5 MB`; empty when it is not known."""
    if count is None:
        return ""
    value, units = float(count), ["B", "kB", "MB", "GB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        del units[0]
    return f"{value:.0f} {units[0]}" if units[0] == "B" else f"{value:.1f} {units[0]}"


def moment(value: str | None) -> str:
    """A point in time as the server writes it, to the minute: `2026-11-21 05:04`; empty when there is none."""
    return (value or "")[:16].replace("T", " ")

"""Tables as lines that can be read alone: each row on its own line, its cells named by their columns.

A passage that holds one row can then be understood, found and quoted without the rows above it.
"""

from collections.abc import Iterable, Sequence
from itertools import chain

from fireside.adapters.document_parser.text_builder import TextBuilder


def add_table(builder: TextBuilder, rows: Iterable[Sequence[str]]) -> None:
    """Append a table of a spreadsheet: titles and remarks above it as a paragraph, then its rows.

    Column names are taken from the first row of several filled cells, when they look like names.

    Args:
        builder: Takes the blocks.
        rows: Cells as text, in order; read once, row by row.
    """
    filled = (row for row in map(_tidy, rows) if any(row))
    above: list[str] = []
    first: list[str] | None = None
    for row in filled:
        if _cell_count(row) > 1:
            first = row
            break
        above.append("".join(row))
    builder.add("\n".join(above))
    if first is None:
        return
    second = next(filled, None)
    has_header = second is not None and _looks_like_names(first)
    body = chain([] if has_header else [first], [] if second is None else [second], filled)
    builder.add("\n".join(row_line(first if has_header else (), row) for row in body), kind="table")


def table_lines(rows: Sequence[Sequence[str]], *, has_header: bool = True) -> str:
    """A table inside a text, one line a row: `Name: Ada; Room: 12`.

    Args:
        rows: Cells in order; rows may differ in length.
        has_header: Whether the first row names the columns. A table of one row has no header.
    """
    filled = [row for row in map(_tidy, rows) if any(row)]
    if not has_header or len(filled) < 2:
        return "\n".join(row_line((), row) for row in filled)
    return "\n".join(row_line(filled[0], row) for row in filled[1:])


def row_line(header: Sequence[str], row: Sequence[str]) -> str:
    """One row with its cells named; blank cells are left out, cells without a name stand alone."""
    names = chain(header, ("" for _ in range(len(row) - len(header))))
    return "; ".join(f"{name}: {cell}" if name else cell for name, cell in zip(names, row, strict=False) if cell)


def _tidy(row: Sequence[str]) -> list[str]:
    return [" ".join(cell.split()) for cell in row]


def _cell_count(row: Sequence[str]) -> int:
    return sum(1 for cell in row if cell)


def _looks_like_names(row: Sequence[str]) -> bool:
    """Names of columns are words rather than numbers, and no two are the same."""
    names = [cell for cell in row if cell]
    return len(set(names)) == len(names) and not any(_is_number(name) for name in names)


def _is_number(cell: str) -> bool:
    return cell.translate({ord(sign): None for sign in ".,-+%$€£ \u00a0"}).isdecimal()

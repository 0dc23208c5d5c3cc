"""Spreadsheets (xlsx, xls, ods): each sheet is a heading, each row a line of named cells."""

import datetime as dt
import io
from itertools import chain

from python_calamine import CalamineError, CalamineWorkbook, PasswordError

from fireside.adapters.document_parser.packages import is_ole, open_package, refuse_protected
from fireside.adapters.document_parser.tables import add_table
from fireside.adapters.document_parser.text_builder import TextBuilder
from fireside.ports.document_parser import CorruptDocumentError, EncryptedDocumentError, ParsedDocument, ParseLimits

_Cell = int | float | str | bool | dt.time | dt.date | dt.datetime | dt.timedelta


def read_workbook(content: bytes, *, limits: ParseLimits) -> ParsedDocument:
    """Read the cells' values; formulas count as what they last came to.

    Raises:
        CorruptDocumentError: It is damaged.
        DocumentTooLargeError: It unpacks to more than allowed.
        EmptyDocumentError: No cell holds anything.
        EncryptedDocumentError: It is protected by a password.
    """
    if is_ole(content):
        refuse_protected(content)
    else:
        open_package(content, limits=limits)
    builder = TextBuilder(limits)
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(content)) as workbook:
            for name in workbook.sheet_names:
                _add_sheet(builder, workbook, name)
    except PasswordError as error:
        raise EncryptedDocumentError("the file is protected by a password; save it without one") from error
    except CalamineError as error:
        raise CorruptDocumentError(f"the workbook is damaged: {error}") from error
    return builder.finish(empty_reason="the workbook has no filled cell")


def _add_sheet(builder: TextBuilder, workbook: CalamineWorkbook, name: str) -> None:
    """Append a sheet, unless it is empty."""
    rows = ([_cell_text(cell) for cell in row] for row in workbook.get_sheet_by_name(name).iter_rows())
    first = next((row for row in rows if any(row)), None)
    if first is not None:
        builder.add_heading(name, level=1)
        add_table(builder, chain([first], rows))


def _cell_text(cell: _Cell) -> str:
    """A value as people write it: whole numbers without a point, days without a midnight."""
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float):
        return f"{cell:.15g}"
    if isinstance(cell, dt.datetime):
        return cell.date().isoformat() if cell.time() == dt.time() else cell.isoformat(" ", "minutes")
    return str(cell)

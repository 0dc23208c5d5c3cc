"""Files of delimited values (CSV, TSV): the delimiter is found out, the first row names the columns."""

import csv
import io
from collections import Counter

from fireside.adapters.document_parser.charsets import decode_text
from fireside.adapters.document_parser.tables import add_table
from fireside.adapters.document_parser.text_builder import TextBuilder
from fireside.ports.document_parser import CorruptDocumentError, ParsedDocument, ParseLimits

_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_CHARS = 20_000
_SAMPLE_ROWS = 50


def read_csv(content: bytes, *, limits: ParseLimits) -> ParsedDocument:
    """Read values parted by commas, semicolons, tabs or bars.

    Raises:
        CorruptDocumentError: It is not text.
        EmptyDocumentError: No cell holds anything.
    """
    text = decode_text(content)
    return _read(text, delimiter=_likely_delimiter(text[:_SAMPLE_CHARS]), limits=limits)


def read_tsv(content: bytes, *, limits: ParseLimits) -> ParsedDocument:
    """Read values parted by tabs.

    Raises:
        CorruptDocumentError: It is not text.
        EmptyDocumentError: No cell holds anything.
    """
    return _read(decode_text(content), delimiter="\t", limits=limits)


def _read(text: str, *, delimiter: str, limits: ParseLimits) -> ParsedDocument:
    csv.field_size_limit(limits.text_chars)
    builder = TextBuilder(limits)
    try:
        add_table(builder, csv.reader(io.StringIO(text.replace("\0", ""), newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise CorruptDocumentError(f"the table cannot be read: {error}") from error
    return builder.finish(empty_reason="the table has no filled cell")


def _likely_delimiter(sample: str) -> str:
    """The delimiter by which most rows come out with the same number of cells, more than one."""
    return max(_DELIMITERS, key=lambda delimiter: _agreement(sample, delimiter))


def _agreement(sample: str, delimiter: str) -> tuple[int, int]:
    try:
        rows = [row for row in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter) if row][:_SAMPLE_ROWS]
    except csv.Error:
        return (0, 0)
    widths = Counter(len(row) for row in rows if len(row) > 1)
    if not widths:
        return (0, 0)
    width, count = widths.most_common(1)[0]
    return (count, width)

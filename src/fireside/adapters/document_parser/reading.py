"""Choosing the reader for a media type. Each reader's libraries are imported when the first such file comes."""

from importlib import import_module
from typing import Protocol

from fireside.adapters.document_parser import media_types
from fireside.ports.document_parser import ParsedDocument, ParseLimits, UnsupportedDocumentError


class Reader(Protocol):
    """Reads the bytes of one format."""

    def __call__(self, content: bytes, *, limits: ParseLimits) -> ParsedDocument:
        """The document, or one of the errors of `fireside.ports.document_parser`."""
        ...


_READERS = {
    media_types.MARKDOWN: "markdown:read_markdown",
    media_types.PLAIN: "plain:read_plain",
    media_types.HTML: "html:read_html",
    media_types.CSV: "delimited:read_csv",
    media_types.TSV: "delimited:read_tsv",
    media_types.PDF: "pdf:read_pdf",
    media_types.DOCX: "docx:read_docx",
    media_types.PPTX: "pptx:read_pptx",
    media_types.XLSX: "workbook:read_workbook",
    media_types.XLS: "workbook:read_workbook",
    media_types.ODS: "workbook:read_workbook",
}


def reader_for(media_type: str) -> Reader:
    """The reader of this media type.

    Raises:
        UnsupportedDocumentError: There is none.
    """
    place = _READERS.get(media_type)
    if place is None:
        raise UnsupportedDocumentError(f"files of type {media_type} cannot be read", media_type=media_type)
    module, _, function = place.partition(":")
    reader: Reader = getattr(import_module(f"fireside.adapters.document_parser.{module}"), function)
    return reader

"""PDF files: the text of each page through PDFium, with headings from the outline or from the size of letters."""

import ctypes
import math
import re
from collections.abc import Iterator
from typing import Any, cast

import pypdfium2
import pypdfium2.raw as pdfium

from fireside.adapters.document_parser.pdf_layout import Line, OutlineEntry, add_pdf_lines
from fireside.adapters.document_parser.text_builder import TextBuilder
from fireside.ports.document_parser import (
    CorruptDocumentError,
    EncryptedDocumentError,
    ParsedDocument,
    ParseLimits,
)

_OUTLINE_DEPTH = 6
_LEFTOVER_TITLE = re.compile(
    r"^(?:microsoft \w+ -|untitled|powerpoint)|\.(?:docx?|pptx?|xlsx?|tex|dvi|indd)$", re.IGNORECASE
)
"""Titles that programs write when nobody gave one."""
_SOFT_HYPHEN = "\ufffe"
"""PDFium's sign for a hyphen that only parts a word at the end of a line."""


def read_pdf(content: bytes, *, limits: ParseLimits) -> ParsedDocument:
    """Read the text of a PDF. Files that open without a password are read even when they forbid editing.

    Raises:
        CorruptDocumentError: It is damaged.
        EmptyDocumentError: It holds pictures only, as scans do.
        EncryptedDocumentError: It needs a password.
    """
    document = _open(content)
    try:
        lines = [line for number in range(len(document)) for line in _lines(document, number)]
        builder = TextBuilder(limits)
        add_pdf_lines(builder, lines, outline=_outline(document))
        reason = "the PDF has no text, only pictures: it looks like a scan; run text recognition (OCR) on it first"
        return builder.finish(_title(document), empty_reason=reason)
    except pypdfium2.PdfiumError as error:
        raise CorruptDocumentError(f"the PDF is damaged: {error}") from error
    finally:
        document.close()


def _open(content: bytes) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if error.err_code == pdfium.FPDF_ERR_PASSWORD:
            raise EncryptedDocumentError("the PDF is protected by a password; save it without one") from error
        raise CorruptDocumentError(f"the PDF is damaged: {error}") from error


def _lines(document: pypdfium2.PdfDocument, number: int) -> Iterator[Line]:
    page = document[number]
    text_page = page.get_textpage()
    try:
        text = text_page.get_text_range()
        offset = 0
        for line in text.split("\n"):
            words = " ".join(line.replace(_SOFT_HYPHEN, "").split())
            if words:
                first = _char_index(text_page.raw, offset + len(line) - len(line.lstrip()))
                last = _char_index(text_page.raw, offset + len(line.rstrip()) - 1)
                size = _letter_size(text_page.raw, first)
                baselines = (_baseline(text_page.raw, first), _baseline(text_page.raw, last))
                yield Line(words, page=number + 1, first_baseline=baselines[0], last_baseline=baselines[1], size=size)
            offset += len(line) + 1
    finally:
        text_page.close()
        page.close()


def _char_index(text_page: Any, text_index: int) -> int:
    """PDFium counts signs on the page otherwise than signs of the text that it gives out."""
    return cast("int", pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, text_index))


def _baseline(text_page: Any, char_index: int) -> float:
    """Height above the page's lower edge of the line that the sign stands on, in points."""
    x, y = ctypes.c_double(), ctypes.c_double()
    pdfium.FPDFText_GetCharOrigin(text_page, char_index, ctypes.byref(x), ctypes.byref(y))
    return y.value


def _letter_size(text_page: Any, char_index: int) -> float:
    """The size of letters as seen on the page, in points: the font's size, scaled as its text is."""
    matrix = pdfium.FS_MATRIX()
    font_size = cast("float", pdfium.FPDFText_GetFontSize(text_page, char_index))
    if not pdfium.FPDFText_GetMatrix(text_page, char_index, ctypes.byref(matrix)):
        return font_size
    return font_size * math.hypot(matrix.c, matrix.d)


def _outline(document: pypdfium2.PdfDocument) -> list[OutlineEntry]:
    entries: list[OutlineEntry] = []
    for bookmark in cast("Iterator[pypdfium2.PdfBookmark]", document.get_toc(max_depth=_OUTLINE_DEPTH)):
        target = bookmark.get_dest()
        page = cast("int | None", target.get_index() if target else None)
        if page is not None:
            entries.append(OutlineEntry(bookmark.get_title(), cast("int", bookmark.level) + 1, page + 1))
    return entries


def _title(document: pypdfium2.PdfDocument) -> str:
    title = str(document.get_metadata_value("Title")).strip()
    return "" if _LEFTOVER_TITLE.search(title) else title

"""Plain text: paragraphs between blank lines, and headings where the text underlines them."""

import re

from fireside.adapters.document_parser.charsets import decode_text
from fireside.adapters.document_parser.text_builder import TextBuilder, clean
from fireside.ports.document_parser import ParsedDocument, ParseLimits

_PARAGRAPH_BREAK = re.compile(r"\n[ \t]*\n")
_UNDERLINE = re.compile(r"([=\-~^#*])\1{2,}")
_UNDERLINE_LEVELS = {"=": 1, "#": 1, "*": 1, "-": 2, "~": 3, "^": 4}
_LIST_ITEM = re.compile(r"[ \t]*([-*+•]|\d{1,3}[.)])[ \t]+\S")


def read_plain(content: bytes, *, limits: ParseLimits) -> ParsedDocument:
    """Read a text file of any common encoding.

    Raises:
        CorruptDocumentError: It is not text.
        EmptyDocumentError: There is nothing in it.
    """
    builder = TextBuilder(limits)
    pages = decode_text(content).split("\f")
    for page, text in enumerate(pages, start=1):
        for paragraph in _PARAGRAPH_BREAK.split(clean(text)):
            _add_paragraph(builder, paragraph, page=page if len(pages) > 1 else None)
    return builder.finish()


def _add_paragraph(builder: TextBuilder, paragraph: str, *, page: int | None) -> None:
    lines = paragraph.strip("\n").split("\n")
    if len(lines) > 1 and _is_underline(lines[1], under=lines[0]):
        builder.add_heading(lines[0], level=_UNDERLINE_LEVELS[lines[1].strip()[0]], page=page)
        lines = lines[2:]
    kind = "list" if lines and all(_LIST_ITEM.match(line) for line in lines) else "paragraph"
    builder.add("\n".join(lines), kind=kind, page=page)


def _is_underline(line: str, *, under: str) -> bool:
    """A row of one sign as long as the line above it, as reStructuredText and old READMEs write headings."""
    row = line.strip()
    return bool(_UNDERLINE.fullmatch(row)) and bool(under.strip()) and abs(len(row) - len(under.strip())) <= 2

"""Puts a document's text together piece by piece, keeping count of offsets, headings and pages."""

import re
import unicodedata

from fireside.ports.document_parser import (
    Block,
    BlockKind,
    DocumentTooLargeError,
    EmptyDocumentError,
    ParsedDocument,
    ParseLimits,
)

_UNWANTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u2060\ufeff\ufffe\uffff]")
_LINE_BREAKS = re.compile(r"\r\n?|\x85|\u2028|\u2029|\x0b|\x0c")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_TRAILING_BLANKS = re.compile(r"[ \t\u00a0]+$", re.MULTILINE)
_MANY_BLANK_LINES = re.compile(r"\n{3,}")
_HEADING_CHARS = 300
"""Longer headings are cut in heading paths: those are labels, the text itself keeps every word."""


class TextBuilder:
    """Collects the blocks of one document in reading order."""

    def __init__(self, limits: ParseLimits) -> None:
        self._limits = limits
        self._parts: list[str] = []
        self._blocks: list[Block] = []
        self._length = 0
        self._path: list[tuple[int, str]] = []

    def add_heading(self, text: str, *, level: int, page: int | None = None) -> None:
        """Append a heading; it ends the sections of its level and below. Blank ones are ignored.

        Args:
            text: As it stands in the document.
            level: 1 for the outermost.
            page: Where it stands.
        """
        label = " ".join(clean(text).split())
        if not label:
            return
        while self._path and self._path[-1][0] >= level:
            self._path.pop()
        self._path.append((level, label[:_HEADING_CHARS]))
        self.add(label, kind="heading", page=page)

    def add(self, text: str, *, kind: BlockKind = "paragraph", page: int | None = None) -> None:
        """Append a block under the present headings. Blank ones are ignored.

        Raises:
            DocumentTooLargeError: The document now has more text than allowed.
        """
        cleaned = clean(text).strip("\n") if kind == "code" else clean(text).strip()
        if not cleaned.strip():
            return
        start = self._length + (2 if self._parts else 0)
        end = start + len(cleaned)
        if end > self._limits.text_chars:
            raise DocumentTooLargeError(
                f"the document has more than {self._limits.text_chars} characters of text",
                limit_chars=self._limits.text_chars,
            )
        self._parts.append(cleaned)
        self._blocks.append(Block(start, end, kind, tuple(label for _, label in self._path), page))
        self._length = end

    def finish(self, title: str = "", *, empty_reason: str = "the document has no text") -> ParsedDocument:
        """The document so far.

        Raises:
            EmptyDocumentError: Nothing was added; the message is `empty_reason`.
        """
        if not self._blocks:
            raise EmptyDocumentError(empty_reason)
        return ParsedDocument(" ".join(clean(title).split()), "\n\n".join(self._parts), tuple(self._blocks))


def clean(text: str) -> str:
    """Text without control and invisible characters, line breaks as line feeds, in Unicode's composed form (NFC)."""
    text = _UNWANTED.sub("", _LINE_BREAKS.sub("\n", text))
    text = _SURROGATES.sub("\ufffd", text)
    text = _MANY_BLANK_LINES.sub("\n\n", _TRAILING_BLANKS.sub("", text))
    return unicodedata.normalize("NFC", text)

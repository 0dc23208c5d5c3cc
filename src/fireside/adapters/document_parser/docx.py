"""Word documents: headings, lists, tables and notes in order, with pages as Word last laid them out.

Text that reviewers inserted counts, text that they deleted does not; text in content controls and text boxes counts.
"""

from collections.abc import Iterator

from fireside.adapters.document_parser.docx_styles import DocxStyles
from fireside.adapters.document_parser.office_xml import (
    Element,
    OfficePackage,
    attribute,
    child,
    descend,
    local_name,
)
from fireside.adapters.document_parser.tables import table_lines
from fireside.adapters.document_parser.text_builder import TextBuilder
from fireside.ports.document_parser import ParsedDocument, ParseLimits

_WRAPPERS = frozenset(
    {"sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag", "AlternateContent", "Choice", "fldSimple"}
)
_BLOCK_WRAPPERS = _WRAPPERS | {"body", "footnote", "endnote"}
_INLINE_WRAPPERS = _WRAPPERS | {"r", "hyperlink", "dir", "bdo", "oMath", "oMathPara", "ruby", "rubyBase"}
_LEFT_OUT = frozenset(
    {"del", "moveFrom", "delText", "instrText", "Fallback", "pPr", "rPr", "sdtPr", "sdtEndPr", "sectPr", "rt", "tblPr"}
)
_SIGNS = {"tab": "\t", "ptab": "\t", "cr": "\n", "br": "\n", "noBreakHyphen": "-"}
_NOTE_TEXT_TYPES = frozenset({None, "normal"})


def read_docx(content: bytes, *, limits: ParseLimits) -> ParsedDocument:
    """Read a Word document.

    Raises:
        CorruptDocumentError: It is damaged.
        DocumentTooLargeError: It unpacks to more than allowed.
        EmptyDocumentError: It has no text.
        EncryptedDocumentError: It is protected by a password.
        UnsupportedDocumentError: It is a file of Word 97-2003 under a new name.
    """
    package = OfficePackage(content, limits=limits)
    main = package.main_part()
    body = package.xml(main)
    builder = TextBuilder(limits)
    walk = _WordWalk(builder, styles=DocxStyles(package.find_related(main, "styles")), has_pages=_has_pages(body))
    walk.add_blocks(body)
    for kind in ("footnotes", "endnotes"):
        notes = package.find_related(main, kind)
        for note in notes if notes is not None else ():
            if attribute(note, "type") in _NOTE_TEXT_TYPES:
                walk.add_blocks(note)
    return builder.finish(walk.title or package.core_title())


def _has_pages(body: Element) -> bool:
    return next(body.iter("{*}lastRenderedPageBreak"), None) is not None


class _WordWalk:
    """Turns one walk over a document's parts into blocks."""

    def __init__(self, builder: TextBuilder, *, styles: DocxStyles, has_pages: bool) -> None:
        self.title = ""
        self._builder = builder
        self._styles = styles
        self._page = 1 if has_pages else None
        self._list_lines: list[str] = []
        self._list_page: int | None = None

    def add_blocks(self, root: Element) -> None:
        """Append the paragraphs and tables under this element."""
        for element in descend(root, into=_BLOCK_WRAPPERS, stop=_LEFT_OUT):
            if local_name(element) == "p":
                self._add_paragraph(element)
            elif local_name(element) == "tbl":
                self._flush_list()
                self._add_table(element)
        self._flush_list()

    def _add_paragraph(self, paragraph: Element) -> None:
        text, page = self._read(paragraph)
        role = self._styles.role_of(paragraph)
        if role.list_depth is not None and role.heading_level is None:
            self._add_list_item(text, depth=role.list_depth, page=page)
        else:
            self._flush_list()
            if role.is_title and not self.title:
                self.title = text.strip()
            if role.heading_level or role.is_title:
                self._builder.add_heading(text, level=role.heading_level or 0, page=page)
            else:
                self._builder.add(text, page=page)
        for box in _text_boxes(paragraph):
            self.add_blocks(box)

    def _add_list_item(self, text: str, *, depth: int, page: int | None) -> None:
        words = " ".join(text.split())
        if words:
            self._list_page = page if not self._list_lines else self._list_page
            self._list_lines.append(f"{'  ' * depth}- {words}")

    def _flush_list(self) -> None:
        self._builder.add("\n".join(self._list_lines), kind="list", page=self._list_page)
        self._list_lines.clear()

    def _add_table(self, table: Element) -> None:
        page = self._page
        rows = list(_children(table, "tr"))
        cells = [list(_children(row, "tc")) for row in rows]
        if len(cells) == 1 and len(cells[0]) == 1:
            self.add_blocks(cells[0][0])
            return
        texts: list[list[str]] = []
        for row in cells:
            texts.append(
                [self._cell_text(cell, above=texts[-1] if texts else [], column=n) for n, cell in enumerate(row)]
            )
        self._builder.add(table_lines(texts, has_header=_has_header(table)), kind="table", page=page)

    def _cell_text(self, cell: Element, *, above: list[str], column: int) -> str:
        merge = child(cell, "tcPr", "vMerge")
        if merge is not None and attribute(merge, "val") != "restart" and column < len(above):
            return above[column]
        return " ".join(self._read(paragraph)[0] for paragraph in cell.iter("{*}p"))

    def _read(self, paragraph: Element) -> tuple[str, int | None]:
        """The paragraph's text, and the page on which it begins."""
        pieces: list[str] = []
        page = self._page
        for element in descend(paragraph, into=_INLINE_WRAPPERS, stop=_LEFT_OUT):
            name = local_name(element)
            if name == "t":
                pieces.append(element.text or "")
            elif name == "lastRenderedPageBreak" and self._page is not None:
                self._page += 1
                page = page if "".join(pieces).strip() else self._page
            else:
                pieces.append(_SIGNS.get(name, ""))
        return "".join(pieces), page


def _children(element: Element, name: str) -> Iterator[Element]:
    """Rows of a table or cells of a row, without deleted ones."""
    for item in descend(element, into=_WRAPPERS, stop=_LEFT_OUT):
        if local_name(item) == name and child(item, "trPr", "del") is None:
            yield item


def _has_header(table: Element) -> bool:
    """Whether the first row names the columns: unless the table's look says otherwise, it does."""
    look = child(table, "tblPr", "tblLook")
    return attribute(look, "firstRow") not in {"0", "false", "off"}


def _text_boxes(paragraph: Element) -> Iterator[Element]:
    for box in paragraph.iter("{*}txbxContent"):
        ancestors = [local_name(ancestor) for ancestor in box.iterancestors()]
        inside = ancestors[: ancestors.index("p")]
        if "Fallback" not in inside and next(box.iterancestors("{*}p")) is paragraph:
            yield box

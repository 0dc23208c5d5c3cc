"""HTML pages: their main text with headings, lists, tables and code; never scripts, navigation or hidden parts."""

import re
from collections.abc import Iterator
from typing import Literal

from lxml import html as lxml_html
from lxml.etree import ErrorTypes, LxmlError, ParserError
from lxml.html import HtmlElement

from fireside.adapters.document_parser.charsets import decode_text
from fireside.adapters.document_parser.lxml_errors import explain
from fireside.adapters.document_parser.tables import table_lines
from fireside.adapters.document_parser.text_builder import TextBuilder
from fireside.ports.document_parser import DocumentTooComplexError, EmptyDocumentError, ParsedDocument, ParseLimits

_SKIPPED = frozenset(
    {"script", "style", "template", "noscript", "svg", "iframe", "object", "embed", "canvas", "audio", "video", "head"}
    | {"nav", "aside", "dialog", "button", "select", "textarea", "input", "datalist"}
)
_PAGE_FURNITURE = frozenset({"header", "footer"})
_HIDDEN_ROLES = frozenset({"navigation", "banner", "contentinfo", "search", "menu", "menubar", "dialog"})
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset(
    {"p", "div", "section", "article", "main", "body", "header", "footer", "blockquote", "figure", "figcaption"}
    | {"address", "details", "summary", "dl", "dt", "dd", "form", "fieldset", "legend", "hr", "center", "html"}
    | {"table", "thead", "tbody", "tfoot", "tr", "td", "th", "caption", "ul", "ol", "li", "pre"}
    | set(_HEADINGS)
)
_LISTS = frozenset({"ul", "ol"})
_LAYOUT_CONTENT = "descendant::table | descendant::h1 | descendant::h2 | descendant::h3 | descendant::pre"
_SPACES = re.compile(r"[ \t\r\n\f]+")
_META_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?\s*([a-zA-Z0-9_.:-]+)""", re.IGNORECASE)
_XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_HEAD_BYTES = 4096
_NO_TEXT = "the page shows no text"

_Step = tuple[Literal["start", "end"], HtmlElement] | tuple[Literal["text"], str]


def read_html(content: bytes, *, limits: ParseLimits) -> ParsedDocument:
    """Read a page.

    Raises:
        CorruptDocumentError: It is not text.
        EmptyDocumentError: It shows no text.
    """
    declared = _META_CHARSET.search(content[:_HEAD_BYTES])
    root = _parse(decode_text(content, declared=declared[1].decode("ascii") if declared else None))
    builder = TextBuilder(limits)
    _HtmlWalk(builder).run(_main_element(root))
    return builder.finish(_title(root), empty_reason=_NO_TEXT)


def add_html_fragment(builder: TextBuilder, fragment: str) -> None:
    """Append the text of a piece of HTML, as it occurs inside Markdown. Unclosed and stray tags are forgiven."""
    _HtmlWalk(builder).run(_parse(f"<div>{fragment}</div>"))


def _parse(text: str) -> HtmlElement:
    parser = lxml_html.HTMLParser(huge_tree=True, remove_comments=True, remove_pis=True)
    source = _XML_DECLARATION.sub("", text)
    try:
        root = lxml_html.document_fromstring(source, parser=parser)
    except ParserError as error:  # what lxml raises when no element is left
        raise EmptyDocumentError(_NO_TEXT) from error
    except LxmlError as error:
        raise explain(error) from error
    if any(entry.type == ErrorTypes.ERR_RESOURCE_LIMIT for entry in parser.error_log.filter_from_fatals()):
        raise DocumentTooComplexError("the page nests its elements deeper than 2,000 levels")
    return root


def _main_element(root: HtmlElement) -> HtmlElement:
    for path in ("//main", "//*[@role='main']", "//article"):
        found = root.xpath(path)
        if len(found) == 1 and "".join(found[0].itertext()).strip():
            return found[0]
    return root


def _title(root: HtmlElement) -> str:
    for path in ("//meta[@property='og:title']/@content", "//title/text()", "//h1//text()"):
        title = " ".join("".join(root.xpath(path)).split())
        if title:
            return title
    return ""


def _is_hidden(element: HtmlElement) -> bool:
    if element.tag in _PAGE_FURNITURE:
        return not any(parent.tag in {"main", "article"} for parent in element.iterancestors())
    style = element.get("style", "").replace(" ", "").lower()
    return (
        element.tag in _SKIPPED
        or element.get("role") in _HIDDEN_ROLES
        or "hidden" in element.attrib
        or element.get("aria-hidden") == "true"
        or "display:none" in style
    )


def _steps(root: HtmlElement) -> Iterator[_Step]:
    """Visible elements and texts in document order. Iterative, because pages may nest without end."""
    stack: list[_Step] = [("start", root)]
    while stack:
        step = stack.pop()
        if step[0] != "start":
            yield step
            continue
        element = step[1]
        if not isinstance(element.tag, str) or (element is not root and _is_hidden(element)):
            continue
        yield step
        stack.append(("end", element))
        for child in reversed(element):
            if child.tail:
                stack.append(("text", child.tail))
            stack.append(("start", child))
        if element.text:
            stack.append(("text", element.text))


class _HtmlWalk:
    """Turns one walk over a page into blocks."""

    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder
        self._inline: list[str] = []
        self._list_lines: list[str] = []
        self._lists: list[HtmlElement] = []
        self._pre: HtmlElement | None = None
        self._rows: list[list[str]] | None = None

    def run(self, root: HtmlElement) -> None:
        for step in _steps(root):
            if step[0] == "text":
                self._inline.append(step[1] if self._pre is not None else _SPACES.sub(" ", step[1]))
            elif step[0] == "start":
                self._start(step[1])
            else:
                self._end(step[1])
        self._flush()
        self._flush_list()

    def _start(self, element: HtmlElement) -> None:
        tag = element.tag
        if tag == "br":
            self._inline.append("\n")
        elif tag == "img":
            self._inline.append(f" {element.get('alt', '')} ")
        elif self._rows is not None:
            self._start_in_table(element)
        elif tag in _BLOCKS and self._pre is None:
            self._flush()
            self._open(element)

    def _open(self, element: HtmlElement) -> None:
        if element.tag in _LISTS:
            self._lists.append(element)
        elif element.tag == "pre":
            self._pre = element
        elif element.tag == "table" and not element.xpath(_LAYOUT_CONTENT):
            self._rows = []

    def _start_in_table(self, element: HtmlElement) -> None:
        if self._rows is None:
            return
        if element.tag == "tr":
            self._inline.clear()
            self._rows.append([])
        elif element.tag in {"td", "th"}:
            self._inline.clear()
        elif element.tag in _BLOCKS:
            self._inline.append(" ")

    def _end(self, element: HtmlElement) -> None:
        if self._rows is not None:
            self._end_in_table(element, self._rows)
        elif element is self._pre:
            self._builder.add("".join(self._inline), kind="code")
            self._inline.clear()
            self._pre = None
        elif element.tag in _HEADINGS and not self._lists:
            self._builder.add_heading(self._take_inline(), level=_HEADINGS[element.tag])
        elif element.tag in _BLOCKS and self._pre is None:
            self._flush()
            self._close_list(element)

    def _end_in_table(self, element: HtmlElement, rows: list[list[str]]) -> None:
        if element.tag in {"td", "th"} and rows:
            rows[-1].append(self._take_inline())
        elif element.tag == "caption":
            self._builder.add(self._take_inline())
        elif element.tag == "table":
            self._builder.add(table_lines(rows, has_header=bool(element.xpath(".//th"))), kind="table")
            self._inline.clear()
            self._rows = None

    def _close_list(self, element: HtmlElement) -> None:
        if self._lists and element is self._lists[-1]:
            self._lists.pop()
            if not self._lists:
                self._flush_list()

    def _flush_list(self) -> None:
        self._builder.add("\n".join(self._list_lines), kind="list")
        self._list_lines.clear()

    def _take_inline(self) -> str:
        lines = "".join(self._inline).split("\n")
        self._inline.clear()
        return "\n".join(" ".join(line.split()) for line in lines).strip()

    def _flush(self) -> None:
        text = self._take_inline()
        if not text:
            return
        if self._lists:
            indent = "  " * (len(self._lists) - 1)
            self._list_lines.append(f"{indent}- {text.replace(chr(10), ' ')}")
        else:
            self._builder.add(text)

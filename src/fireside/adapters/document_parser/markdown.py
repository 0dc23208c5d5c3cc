"""Markdown: headings become the heading path, links and images their words, embedded HTML its text."""

import re
from collections.abc import Sequence
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from fireside.adapters.document_parser.charsets import decode_text
from fireside.adapters.document_parser.front_matter import split_front_matter
from fireside.adapters.document_parser.html import add_html_fragment
from fireside.adapters.document_parser.site_templates import without_link_targets, without_tags
from fireside.adapters.document_parser.tables import table_lines
from fireside.adapters.document_parser.text_builder import TextBuilder
from fireside.ports.document_parser import ParsedDocument, ParseLimits

_NESTING = 60
_WIKI_LINK = re.compile(r"\[\[([^\[\]|]+\|)?([^\[\]]+)\]\]")
_MARKERS = re.compile(r"\[?\[_?TOC_?\]\]?|\{:[^{}\n]*\}|^:::+[ \t]*\w*[ \t]*$", re.MULTILINE | re.IGNORECASE)
_HTML_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_SPACES = re.compile(r"[ \t]+")
_LIST_OPEN = frozenset({"bullet_list_open", "ordered_list_open"})
_LIST_CLOSE = frozenset({"bullet_list_close", "ordered_list_close"})
_STANDALONE = frozenset({"fence", "code_block", "html_block"})


def read_markdown(content: bytes, *, limits: ParseLimits) -> ParsedDocument:
    """Read a page.

    The title is the front matter's, else the first heading of level 1.

    Raises:
        CorruptDocumentError: It is not text.
        EmptyDocumentError: There is nothing in it beside front matter.
    """
    text = decode_text(content).replace("\r\n", "\n").replace("\r", "\n").lstrip("\n")
    title, body = split_front_matter(text)
    tokens = _markdown().parse(without_link_targets(body))
    builder = TextBuilder(limits)
    _MarkdownWalk(builder).run(tokens)
    return builder.finish(without_tags(title) or _first_heading(tokens))


def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"maxNesting": _NESTING}).enable(["table", "strikethrough"])


def _first_heading(tokens: Sequence[Token]) -> str:
    for token, following in pairwise(tokens):
        if token.type == "heading_open" and token.tag == "h1":
            return _inline_text(following)
    return ""


def _inline_text(token: Token) -> str:
    """The words of a line of Markdown: no marks, no addresses, one space where the source broke the line."""
    pieces: list[str] = []
    prose: list[str] = []
    for child in token.children or ():
        if child.type == "code_inline":
            pieces += (_prose("".join(prose)), child.content)
            prose.clear()
        else:
            prose.append(_words(child))
    pieces.append(_prose("".join(prose)))
    return "\n".join(_SPACES.sub(" ", line).strip() for line in "".join(pieces).split("\n")).strip()


def _prose(text: str) -> str:
    return _WIKI_LINK.sub(lambda link: link[2], _MARKERS.sub("", without_tags(text)))


def _words(token: Token) -> str:
    match token.type:
        case "text":
            return token.content
        case "softbreak":
            return " "
        case "hardbreak":
            return "\n"
        case "image":
            return _inline_text(token)
        case "html_inline":
            return "\n" if _HTML_BREAK.fullmatch(token.content) else ""
        case _:
            return ""


class _MarkdownWalk:
    """Turns the tokens of one page into blocks. A list with all its nested lists is one block."""

    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder
        self._heading_level: int | None = None
        self._list_depth = 0
        self._list_lines: list[str] = []
        self._marker = ""
        self._rows: list[list[str]] | None = None

    def run(self, tokens: Sequence[Token]) -> None:
        for token in tokens:
            if token.type == "inline":
                self._add_inline(_inline_text(token))
            elif token.type in _STANDALONE:
                self._add_standalone(token)
            else:
                self._follow(token)
        self._flush_list()

    def _follow(self, token: Token) -> None:
        """Keep track of where in the page the next words stand."""
        if token.type in _LIST_OPEN:
            self._list_depth += 1
        elif token.type in _LIST_CLOSE:
            self._list_depth -= 1
            if self._list_depth == 0:
                self._flush_list()
        elif token.type == "list_item_open":
            self._marker = f"{token.info}{token.markup} " if token.info else "- "
        elif token.type == "heading_open":
            self._heading_level = int(token.tag[1:])
        else:
            self._follow_table(token)

    def _follow_table(self, token: Token) -> None:
        if token.type == "table_open":
            self._rows = []
        elif token.type == "tr_open" and self._rows is not None:
            self._rows.append([])
        elif token.type == "table_close":
            self._flush_list()
            self._builder.add(table_lines(self._rows or []), kind="table")
            self._rows = None

    def _add_inline(self, text: str) -> None:
        if self._rows:
            self._rows[-1].append(text)
        elif self._heading_level is not None:
            self._flush_list()
            self._builder.add_heading(text, level=self._heading_level)
            self._heading_level = None
        elif self._list_depth:
            self._add_list_line(text)
        else:
            self._builder.add(text)

    def _add_list_line(self, text: str) -> None:
        if text:
            indent = "  " * (self._list_depth - 1)
            self._list_lines.append(f"{indent}{self._marker or '  '}{text.replace(chr(10), ' ')}")
            self._marker = ""

    def _add_standalone(self, token: Token) -> None:
        self._flush_list()
        if token.type == "html_block":
            add_html_fragment(self._builder, without_tags(token.content))
        else:
            self._builder.add(token.content, kind="code")

    def _flush_list(self) -> None:
        self._builder.add("\n".join(self._list_lines), kind="list")
        self._list_lines.clear()

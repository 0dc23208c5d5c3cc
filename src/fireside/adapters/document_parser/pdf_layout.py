"""From the lines of a PDF to its paragraphs and headings.

A PDF knows only where signs stand. Paragraphs are recovered from the gaps between lines, headings from the outline
or from the size of their letters, and lines that repeat on every page (running titles, page numbers) are dropped.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from fireside.adapters.document_parser.text_builder import TextBuilder

_EDGE_LINES = 2
_REPEATED_SHARE = 0.5
_REPEATED_PAGES = 3
_PARAGRAPH_GAP = 1.35
_HEADING_SIZE = 1.12
_HEADING_CHARS = 150
_HEADING_LINES = 3
_DEEPEST_LEVEL = 4
_DIGITS = re.compile(r"\d+")
_NUMBERING = re.compile(r"^(?:\d+(?:\.\d+)*|[A-Z]|[IVX]+)[.)]?\s+")
_LIST_ITEM = re.compile(r"^(?:[-–•●○▪■‣*·]|\(?\d{1,2}[.)]|\(?[a-z]\))\s+\S")
_PAGE_NUMBER = re.compile(
    r"^(?:page\s+)?[-–]?\s*(?:\d{1,4}|[ivxl]{1,6})\s*[-–]?(?:\s*(?:/|of)\s*\d{1,4})?$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a page.

    Attributes:
        text: Its words, never blank.
        page: Counted from 1.
        first_baseline: How high above the page's lower edge its first sign stands, in points.
        last_baseline: The same of its last sign; lower where a word parted by a hyphen was joined again.
        size: Size of its letters, in points.
    """

    text: str
    page: int
    first_baseline: float
    last_baseline: float
    size: float


@dataclass(frozen=True, slots=True)
class OutlineEntry:
    """A bookmark of the file: level from 1."""

    title: str
    level: int
    page: int


def add_pdf_lines(builder: TextBuilder, lines: Sequence[Line], *, outline: Sequence[OutlineEntry]) -> None:
    """Append the blocks that the lines form, in their order.

    Args:
        builder: Takes the blocks.
        lines: All lines of all pages, in reading order.
        outline: The file's own table of contents, which names headings more surely than their size does.
    """
    kept = _without_furniture(lines) or list(lines)
    levels = _HeadingLevels(kept, outline)
    for group in _groups(kept, levels):
        level = levels.level_of(group)
        if level is None:
            is_list = _LIST_ITEM.match(group[0].text) is not None
            builder.add(_joined(group), kind="list" if is_list else "paragraph", page=group[0].page)
        else:
            builder.add_heading(_joined(group), level=level, page=group[0].page)


def _without_furniture(lines: Sequence[Line]) -> list[Line]:
    """Lines without page numbers and without titles that run along the edge of most pages."""
    pages: dict[int, list[Line]] = {}
    for line in lines:
        pages.setdefault(line.page, []).append(line)
    edges = [{_masked(line.text) for line in _edge(page)} for page in pages.values()]
    counts = Counter(text for edge in edges for text in edge)
    needed = max(_REPEATED_PAGES, _REPEATED_SHARE * len(pages))
    repeated = {text for text, count in counts.items() if count >= needed}
    return [line for page in pages.values() for line in page if not _is_furniture(line, page=page, repeated=repeated)]


def _edge(page: Sequence[Line]) -> list[Line]:
    return [*page[:_EDGE_LINES], *page[-_EDGE_LINES:]]


def _is_furniture(line: Line, *, page: Sequence[Line], repeated: set[str]) -> bool:
    if not any(line is edge for edge in _edge(page)):
        return False
    return _masked(line.text) in repeated or _PAGE_NUMBER.match(line.text) is not None


def _masked(text: str) -> str:
    return _DIGITS.sub("#", text.casefold())


class _HeadingLevels:
    """Knows which groups of lines are headings."""

    def __init__(self, lines: Sequence[Line], outline: Sequence[OutlineEntry]) -> None:
        self._titles: Mapping[tuple[int, str], int] = {
            (entry.page, _bare(entry.title)): entry.level for entry in outline if _bare(entry.title)
        }
        self._body_size = _usual_size(lines)
        tall = {_rounded(line.size) for line in lines if self.is_tall(line)}
        self._sizes = sorted(tall, reverse=True)[:_DEEPEST_LEVEL]

    def is_tall(self, line: Line) -> bool:
        return line.size >= _HEADING_SIZE * self._body_size and any(sign.isalpha() for sign in line.text)

    def is_title(self, text: str, *, page: int) -> bool:
        return (page, _bare(text)) in self._titles

    def level_of(self, group: Sequence[Line]) -> int | None:
        text = _joined(group)
        level = self._titles.get((group[0].page, _bare(text)))
        if level is not None:
            return level
        if self._titles or len(text) > _HEADING_CHARS or len(group) > _HEADING_LINES:
            return None
        if not all(self.is_tall(line) for line in group):
            return None
        size = _rounded(group[0].size)
        return self._sizes.index(size) + 1 if size in self._sizes else _DEEPEST_LEVEL


def _usual_size(lines: Sequence[Line]) -> float:
    """The size in which most of the text is set."""
    chars: Counter[float] = Counter()
    for line in lines:
        chars[_rounded(line.size)] += len(line.text)
    return chars.most_common(1)[0][0] if chars else 0.0


def _rounded(points: float) -> float:
    return round(points * 2) / 2


def _bare(text: str) -> str:
    """A heading as compared with an outline's: without its number, case and spaces."""
    return "".join(_NUMBERING.sub("", " ".join(text.split())).casefold().split())


def _groups(lines: Sequence[Line], levels: _HeadingLevels) -> Iterator[list[Line]]:
    usual_gap = _usual_gap(lines)
    group: list[Line] = []
    for line in lines:
        if group and _parts(group, line, usual_gap=usual_gap, levels=levels):
            yield group
            group = []
        group.append(line)
    if group:
        yield group


def _parts(group: Sequence[Line], line: Line, *, usual_gap: float, levels: _HeadingLevels) -> bool:
    """Whether a new block begins with this line."""
    previous = group[-1]
    if line.page != previous.page:
        return True
    if levels.is_title(_joined(group), page=previous.page) or levels.is_title(line.text, page=line.page):
        return True
    if _rounded(line.size) != _rounded(previous.size) and (levels.is_tall(line) or levels.is_tall(previous)):
        return True
    gap = _gap(previous, line)
    return gap < 0 or gap > _PARAGRAPH_GAP * max(usual_gap, line.size)


def _gap(above: Line, below: Line) -> float:
    return above.last_baseline - below.first_baseline


def _usual_gap(lines: Sequence[Line]) -> float:
    """The commonest distance from one line to the next of equal letters; the smallest of several as common."""
    pairs = (pair for pair in pairwise(lines) if pair[0].page == pair[1].page and pair[0].size == pair[1].size)
    gaps = Counter(_rounded(gap) for above, below in pairs if (gap := _gap(above, below)) > 0)
    return min(gaps, key=lambda gap: (-gaps[gap], gap), default=0.0)


def _joined(group: Iterable[Line]) -> str:
    """Lines as running text; the items of a list keep their lines."""
    text = ""
    for line in group:
        separator = "\n" if _LIST_ITEM.match(line.text) else " "
        text = f"{text}{separator}{line.text}" if text else line.text
    return text

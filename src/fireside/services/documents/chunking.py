"""Cutting a document into the passages that are found, shown and cited.

A chunk never crosses a heading, because what stands under another heading is about something else. For the search it
carries the title and its headings along: "It takes 30 days" is found only by those who see what it is about.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from fireside.ports.document_parser import Block, ParsedDocument
from fireside.services.documents.sentences import Range, pieces_in

CHUNK_CHARS = 1000
"""About 220 tokens of English: what the embedding model reads of a text, with room for title and headings."""
WINDOW_CHARS = 280
"""Two or three sentences: the size of an answer."""
_SMALL_CHARS = 200
_CONTEXT_CHARS = 300
"""Longest title and headings that go along, so that they never crowd the passage out."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of a document.

    Attributes:
        start: Offset of its first character in the document's text.
        end: Offset after its last character.
        heading: The headings it stands under, outermost first, parted by " > "; None under none.
        page: The page it begins on, counted from 1; None where the format has none.
        index_text: Title, headings and passage, for the search by words.
        windows: What is embedded for the search by meaning: first the whole passage with title and headings, then,
            when it is longer than one window, its windows of a few sentences.
    """

    start: int
    end: int
    heading: str | None
    page: int | None
    index_text: str
    windows: tuple[str, ...]


def split_into_chunks(
    document: ParsedDocument, *, title: str, chunk_chars: int = CHUNK_CHARS, window_chars: int = WINDOW_CHARS
) -> list[Chunk]:
    """Cut a document into chunks, always alike.

    Args:
        document: Text and blocks.
        title: What the document is called where it is shown.
        chunk_chars: Longest chunk; a small rest at a section's end may make its last one up to a fifth longer.
        window_chars: Longest window.

    Returns:
        In order of the text, not overlapping; together they hold all of it but headings that others stand under.
    """
    return [
        _chunk(document.text, part, section, title=title, window_chars=window_chars)
        for section in _sections(document.blocks)
        for part in _parts(document.text, section, limit_chars=chunk_chars)
    ]


def _sections(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """The blocks under each heading, without the heading; a heading alone where nothing stands under it."""
    section: list[Block] = []
    for block, following in zip_longest(blocks, blocks[1:]):
        if section and (block.kind == "heading" or block.headings != section[0].headings):
            yield section
            section = []
        if block.kind != "heading":
            section.append(block)
        elif following is None or not _stands_under(block, following):
            yield [block]
    if section:
        yield section


def _stands_under(heading: Block, block: Block) -> bool:
    depth = len(heading.headings)
    is_deeper = block.kind != "heading" or len(block.headings) > depth
    return is_deeper and block.headings[:depth] == heading.headings


def _parts(text: str, section: Sequence[Block], *, limit_chars: int) -> Iterator[Range]:
    """Whole blocks together where they fit, pieces of a block that is too long."""
    ranges = [part for block in section for part in pieces_in(text, block.start, block.end, limit_chars=limit_chars)]
    start, end = ranges[0] if ranges else (section[0].start, section[-1].end)
    for first, after in ranges[1:]:
        is_small_rest = section[-1].end - first <= _SMALL_CHARS
        room_chars = limit_chars + limit_chars // 5 if is_small_rest else limit_chars
        if after - start > room_chars:
            yield start, end
            start = first
        end = after
    yield start, end


def _chunk(text: str, part: Range, section: Sequence[Block], *, title: str, window_chars: int) -> Chunk:
    start, end = part
    below_title = [heading for heading in section[0].headings if heading != title]
    context = " > ".join([title, *below_title])[:_CONTEXT_CHARS]
    passage = f"{context}\n{text[start:end]}"
    windows = [text[first:after] for first, after in pieces_in(text, start, end, limit_chars=window_chars)]
    return Chunk(
        start=start,
        end=end,
        heading=" > ".join(below_title or section[0].headings) or None,
        page=next((block.page for block in section if block.end > start), None),
        index_text=passage,
        windows=(passage, *windows) if len(windows) > 1 else (passage,),
    )

"""What the modules of an answer hand to each other. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass

from fireside.contracts.answer import Passage, Source, Span


@dataclass(frozen=True, slots=True)
class Quote:
    """A range of a passage's text that an answer shows. `passage` counts the evidence's passages from 0."""

    passage: int
    start: int
    end: int
    lead: str = ""
    is_item: bool = False
    block: int = 0


@dataclass(frozen=True, slots=True)
class Draft:
    """An answer's text with the sources it cites."""

    content: str
    sources: tuple[Source, ...]


def make_source(n: int, passage: Passage, *, spans: Sequence[Span] = ()) -> Source:
    """Number a passage as a source, with the ranges of its text that the answer rests on."""
    return Source(
        n=n,
        document_id=passage.document_id,
        chunk_id=passage.chunk_id,
        path=passage.path,
        title=passage.title,
        url=passage.url,
        heading=passage.heading,
        page=passage.page,
        text=passage.text,
        score=passage.score,
        updated_at=passage.updated_at,
        start=passage.start,
        end=passage.end,
        spans=tuple(spans),
    )

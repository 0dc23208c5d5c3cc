"""Writing an answer out of quotes: grouped by document, in reading order, each group with its citation.

The words are the documents' own. What could act as markup in an answer (links, images, tags, false citations) is made
harmless; nothing is added but the lead naming the document and the line that introduces a list.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from fireside.contracts.answer import Passage, Span
from fireside.services.respond.model import Draft, Quote, make_source
from fireside.services.respond.phrases import phrase
from fireside.services.respond.scoring import Candidate

_CITATION = re.compile(r"\s?\[\d{1,3}\](?!\()")
_ACTIVE = re.compile(r"!(?=\[)|<(?=[a-zA-Z/!])|(?<=\])\(|^[#>|](?=\s)")


def to_quotes(chosen: Sequence[Candidate]) -> list[Quote]:
    """The candidates as quotes, in the order in which they stand in the evidence."""
    ordered = sorted(chosen, key=lambda candidate: (candidate.passage, candidate.unit.start))
    return [
        Quote(
            passage=candidate.passage,
            start=candidate.unit.start,
            end=candidate.unit.end,
            lead=candidate.unit.lead,
            is_item=candidate.unit.kind in {"item", "row"},
            block=candidate.unit.block,
        )
        for candidate in ordered
    ]


def compose(quotes: Sequence[Quote], passages: Sequence[Passage], *, language: str) -> Draft:
    """Write the answer that consists of the quotes.

    Args:
        quotes: In order of importance of their documents; quotes of one document need not stand together.
        passages: What the quotes' `passage` counts.
        language: ISO 639-1 code of the lead.

    Returns:
        The text with `[n]` after each group, and the cited passages numbered from 1 in order of appearance.
    """
    order = list(dict.fromkeys(passages[quote.passage].document_id for quote in quotes))
    placed = sorted(
        quotes,
        key=lambda quote: (
            order.index(passages[quote.passage].document_id),
            passages[quote.passage].start + quote.start,
        ),
    )
    numbers = {passage: n for n, passage in enumerate(dict.fromkeys(quote.passage for quote in placed), 1)}
    paragraphs: list[str] = []
    for _, group in groupby(placed, key=lambda quote: passages[quote.passage].document_id):
        own = list(group)
        title = harmless(passages[own[0].passage].title)
        paragraphs.append(phrase("according_to", language).format(title=title))
        paragraphs.extend(_paragraphs(own, passages, numbers))
    spans = {n: [Span(start=q.start, end=q.end) for q in placed if numbers[q.passage] == n] for n in numbers.values()}
    sources = tuple(make_source(n, passages[passage], spans=spans[n]) for passage, n in numbers.items())
    return Draft("\n\n".join(paragraphs), sources)


def harmless(text: str) -> str:
    """A passage's words on one line, with whatever could act as markup or as a citation made plain."""
    return _ACTIVE.sub(lambda match: f"\\{match[0]}", _CITATION.sub("", " ".join(text.split())))


def _paragraphs(quotes: Sequence[Quote], passages: Sequence[Passage], numbers: dict[int, int]) -> Iterator[str]:
    for (passage, _, is_item), group in groupby(quotes, key=lambda quote: (quote.passage, quote.block, quote.is_item)):
        own = list(group)
        citation = f"[{numbers[passage]}]"
        texts = [harmless(passages[passage].text[quote.start : quote.end]) for quote in own]
        if not is_item:
            yield f"{' '.join(texts)} {citation}"
            continue
        lead = harmless(own[0].lead) if own[0].lead and own[0].lead not in texts else ""
        lines = [lead] if lead else []
        yield "\n".join([*lines, *(f"- {text} {citation}" for text in texts)])

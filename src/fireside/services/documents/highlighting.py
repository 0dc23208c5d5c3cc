"""Where a passage says what the query asks for: the words to mark when it is shown."""

from fireside.contracts.answer import Span
from fireside.core.words import stems_of, terms_of


def find_highlights(query: str, text: str) -> tuple[Span, ...]:
    """The words of a text that share their stem with a word of the query.

    Words that stand next to each other, with nothing but spaces between them, make one span.

    Args:
        query: As it was asked; stop words in it are not marked.
        text: The passage.

    Returns:
        In order, not overlapping.
    """
    wanted = set(stems_of(query))
    spans: list[Span] = []
    for term in terms_of(text):
        if term.stem not in wanted:
            continue
        if spans and not text[spans[-1].end : term.start].strip(" "):
            spans[-1] = Span(start=spans[-1].start, end=max(term.end, spans[-1].end))
        else:
            spans.append(Span(start=term.start, end=term.end))
    return tuple(spans)

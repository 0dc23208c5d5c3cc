"""Where sentences, lines and pieces of text begin and end. Offsets only; the text is never changed."""

import re
from collections.abc import Iterator

Range = tuple[int, int]
"""Half-open character range of a text."""

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+(?=[A-Z0-9\"'“(\[])|(?<=[。！？])|\n+")
_SPACE = re.compile(r"\s")


def sentences_in(text: str, start: int, end: int) -> Iterator[Range]:
    """The sentences and lines of a part of a text, in order, without the white space around them."""
    begin = start
    for match in _SENTENCE_END.finditer(text, start, end):
        yield from _trimmed(text, begin, match.end())
        begin = match.end()
    yield from _trimmed(text, begin, end)


def pieces_in(text: str, start: int, end: int, *, limit_chars: int) -> Iterator[Range]:
    """Cut a part of a text into pieces of whole sentences where they fit, of words where one sentence does not.

    Args:
        text: The whole text.
        start: Where the part begins.
        end: Where it ends.
        limit_chars: Longest piece.
    """
    begin: int | None = None
    last = start
    for first, after in _short_sentences(text, start, end, limit_chars):
        if begin is not None and after - begin > limit_chars:
            yield begin, last
            begin = None
        begin = first if begin is None else begin
        last = after
    if begin is not None:
        yield begin, last


def _short_sentences(text: str, start: int, end: int, limit_chars: int) -> Iterator[Range]:
    for first, after in sentences_in(text, start, end):
        while after - first > limit_chars:
            cut = _last_space(text, first + limit_chars // 2, first + limit_chars)
            yield from _trimmed(text, first, cut)
            first = cut
        yield from _trimmed(text, first, after)


def _last_space(text: str, start: int, end: int) -> int:
    """Where to cut at the latest: after the last white space of the range, or at its end when it has none."""
    spaces = [match.end() for match in _SPACE.finditer(text, start, end)]
    return spaces[-1] if spaces else end


def _trimmed(text: str, start: int, end: int) -> Iterator[Range]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield start, end

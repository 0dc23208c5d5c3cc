"""Cutting a model's stream of text into sentences and lines as soon as each is complete."""

import re
from collections.abc import Iterator

from fireside.services.respond.sentences import sentence_ranges

_MARKER = re.compile(r"\s*(?:(?:[-*+•]|\d{1,3}[.)]|#{1,6})\s+)?")
_TRAILING_CITATION = re.compile(r"\s*(?:\[\d[\d,\s]*\]\s*)+")


class SentenceStream:
    """Collects deltas and gives out pieces that nothing can be added to: a sentence with the white space after it."""

    def __init__(self) -> None:
        self._rest = ""

    def add(self, delta: str) -> Iterator[str]:
        """Take the next delta and give out the pieces that are complete now."""
        self._rest += delta
        while cut := _first_cut(self._rest):
            piece, self._rest = self._rest[:cut], self._rest[cut:]
            yield piece

    def finish(self) -> Iterator[str]:
        """Give out what is left when the stream has ended."""
        yield from self.add("")
        if self._rest.strip():
            yield from self.add("\n")

    @staticmethod
    def parts(piece: str) -> tuple[str, str, str]:
        """A piece as list marker or line start, sentence, and the white space after it."""
        marker = _MARKER.match(piece)
        begin = marker.end() if marker else 0
        body = piece[begin:].rstrip()
        return piece[:begin], body, piece[begin + len(body) :]


def _first_cut(text: str) -> int:
    """Where the first complete piece ends; 0 while there is none. A citation after the full stop belongs to it."""
    line_end = text.find("\n")
    line = text if line_end < 0 else text[:line_end]
    marker = _MARKER.match(line)
    begin = marker.end() if marker else 0
    ranges = sentence_ranges(line[begin:])
    if len(ranges) > 1:
        end = begin + ranges[0][1]
        citation = _TRAILING_CITATION.match(line, end)
        cut = citation.end() if citation else begin + ranges[1][0]
        return cut if cut < len(line) or line_end >= 0 else 0
    return line_end + 1 if line_end >= 0 else 0

"""Splitting a passage into quotable units: sentences, list items and table rows, each with what introduces it.

Passages are the plain text that document readers make: blocks set apart by blank lines, one list item or table row a
line, markers kept. Offsets refer to the passage's text as stored, so that a quote can be highlighted in its document.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

UnitKind = Literal["sentence", "item", "row", "heading"]

_LONGEST_WHOLE_ITEM_CHARS = 420
_LONGEST_HEADING_CHARS = 90
_WRAPPED_CHARS = 60
_LONGEST_UNIT_CHARS = 900
_ITEM = re.compile(r"[ \t]*(?:[-*+•‣◦–]|\(?(\d{1,3}|[a-zA-Z])[.)])[ \t]+(?=\S)")
_ROW = re.compile(r"[^:;]{1,60}: [^:;]*(?:; [^:;]{1,60}: [^;]*)+\Z|[^:;.]{1,80}(?:; [^;]{1,80}){2,}\Z")
_END = re.compile(
    r"(?P<stop>[.!?…]+)[\"'”’»)\]*_]*(?=\s+[\"'“‘«(\[*_¿¡]*[^\W_]|\s*\Z)|(?P<wide>[。！？]+[」』”]*)"  # sentence ends
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|al|approx|nos?|figs?|eq|sec|ch|vol|pp?|eds?|st|mr|mrs|ms|dr|prof|sr|jr|inc|ltd|co"
    r"|dept|est|min|max|tel|ext|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|z\.\s?b|d\.\s?h|u\.\s?a|bzw|ca|evtl|ggf"
    r"|inkl|nr|abs|art|vgl|usw|str|tgl|zzgl|sog|p\.\s?ex|c\.-à-d|mme|env|av|réf|p\.\s?ej|uds?|sra?|dra?|núm|pág|aprox"
    r"|sig|dott|ecc|pag|bijv|d\.w\.z|dhr|mevr|blz)|\b[A-Za-z]|(?<!\w)\d{1,2})\Z",
    re.IGNORECASE,
)
_LOWER_NEXT = re.compile(r"\s+[\"'“‘«(\[*_]*[^\W\d_A-Z]")


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of a passage that makes sense when quoted.

    Attributes:
        start: First character in the passage's text; a list marker does not belong to it.
        end: One past the last character.
        text: Its words on one line.
        kind: What it is in the document. Headings are never quoted; they introduce.
        block: Number of the paragraph, list or table it belongs to, counted from 0 in the passage.
        lead: The line that introduces it (what stands before a list, a parent item); empty if nothing does.
        heading: The heading inside the passage under which it stands; empty before the first.
        ordinal: Its number in a numbered list, 0 elsewhere.

    """

    start: int
    end: int
    text: str
    kind: UnitKind
    block: int
    lead: str = ""
    heading: str = ""
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    end: int
    text: str
    block: int


def split_into_units(text: str) -> list[Unit]:
    """Split a passage into its quotable units and its headings, in order of appearance."""
    units: list[Unit] = []
    lead, heading, parents = "", "", list[tuple[int, str]]()
    lines = list(_lines(text))
    for line, following in zip(lines, [*lines[1:], None], strict=False):
        marker = _ITEM.match(line.text)
        if marker:
            depth = len(marker[0]) - len(marker[0].lstrip())
            parents = [parent for parent in parents if parent[0] < depth]
            units += _item(line, marker, parents[-1][1] if parents else lead, heading)
            parents.append((depth, units[-1].text))
            continue
        parents = []
        units += _prose(line, following, heading)
        lead = units[-1].text
        heading = lead if units[-1].kind == "heading" else heading
    return units


def sentence_ranges(text: str) -> list[tuple[int, int]]:
    """The half-open ranges of the sentences in running text, without surrounding white space.

    A full stop ends a sentence unless it belongs to an abbreviation, an initial or a number, or a lower-case
    word follows.
    """
    ranges: list[tuple[int, int]] = []
    start = 0
    for match in _END.finditer(text):
        if match["stop"] == "." and _continues(text, match):
            continue
        ranges.append((start, match.end()))
        start = match.end()
    ranges.append((start, len(text)))
    return [trimmed for begin, end in ranges if (trimmed := _trim(text, begin, end))]


def _continues(text: str, stop: re.Match[str]) -> bool:
    if not text[stop.end() :].strip():
        return False
    before = text[max(0, stop.start() - 12) : stop.start()]
    return bool(_LOWER_NEXT.match(text, stop.end()) or _ABBREVIATION.search(before))


def _lines(text: str) -> Iterator[_Line]:
    """The lines of a text; those of a paragraph that was wrapped at a line length are joined."""
    begin, offset, block, blank = -1, 0, 0, False
    for raw in [*text.splitlines(keepends=True), "\n"]:
        line = raw.rstrip("\r\n")
        joins = begin >= 0 and _wraps(text[begin:offset].rstrip(), line)
        if begin >= 0 and not joins:
            end = begin + len(text[begin:offset].rstrip())
            yield _Line(begin, end, text[begin:end], block)
            begin = -1
        if not line.strip():
            blank = True
        elif begin < 0:
            block += int(blank)
            blank, begin = False, offset
        offset += len(raw)


def _wraps(before: str, line: str) -> bool:
    """Whether a line goes on with the paragraph before it instead of beginning something new."""
    last = before.rsplit("\n", 1)[-1]
    if not line.strip() or _ITEM.match(line) or _ROW.match(last):
        return False
    if line.lstrip()[0].islower():
        return True
    return len(last) >= _WRAPPED_CHARS and last.rstrip()[-1] not in ".!?:;。"


def _item(line: _Line, marker: re.Match[str], lead: str, heading: str) -> list[Unit]:
    number = marker[1] or ""
    ordinal = int(number) if number.isdigit() else 0
    whole, begin = line.text[marker.end() :], line.start + marker.end()
    parts = [(0, len(whole))] if len(whole) <= _LONGEST_WHOLE_ITEM_CHARS else sentence_ranges(whole)
    return [
        Unit(begin + start, begin + end, _one_line(whole[start:end]), "item", line.block, lead, heading, ordinal)
        for start, end in parts
    ]


def _prose(line: _Line, following: _Line | None, heading: str) -> list[Unit]:
    kind: UnitKind = "sentence"
    ranges = sentence_ranges(line.text)
    if _ROW.match(line.text.strip()):
        kind, ranges = "row", [(0, len(line.text))]
    elif _is_heading(line, following):
        kind, ranges = "heading", [(0, len(line.text))]
    return [
        Unit(line.start + start, line.start + end, _one_line(line.text[start:end]), kind, line.block, "", heading)
        for start, end in ranges
    ]


def _is_heading(line: _Line, following: _Line | None) -> bool:
    words = line.text.strip()
    alone = following is not None and following.block != line.block
    return alone and len(words) <= _LONGEST_HEADING_CHARS and words[-1] not in ".!:;,…。！"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_UNIT_CHARS]


def _trim(text: str, begin: int, end: int) -> tuple[int, int] | None:
    while end > begin and text[end - 1].isspace():
        end -= 1
    while begin < end and text[begin].isspace():
        begin += 1
    return (begin, end) if begin < end else None

"""Words as search compares them: folded, so that case, accents and width do not matter.

Scripts written without spaces (Han, Hiragana, Katakana, Thai ...) give every pair of neighbouring characters, so that
a part of a sentence can be found as well.
"""

import re
import unicodedata
from collections.abc import Iterator

_RUN = re.compile(r"[^\W_]+")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_LONGEST = 40
MOST_WORDS = 5_000
"""Different words of one text that can be found; what a text holds beyond is not indexed."""


def fold(text: str) -> str:
    """The text in lower case, compatibility forms unified, without accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character)).casefold()


def words_of(text: str) -> list[str]:
    """The folded words of a text in order of appearance, each once."""
    found: dict[str, None] = {}
    for _, word in _located_words(unicodedata.normalize("NFC", text)):
        found.setdefault(word)
        if len(found) >= MOST_WORDS:
            break
    return list(found)


def snippet(text: str, words: list[str], *, around_chars: int = 80) -> str:
    """The part of a text where one of the words (as `words_of` gives them) begins a word first, else its beginning."""
    text = unicodedata.normalize("NFC", text)
    at = next((start for start, word in _located_words(text) if word.startswith(tuple(words))), 0)
    start, end = max(0, at - around_chars), min(len(text), at + around_chars)
    if start > 0:
        start = _after_space(text, start, at)
    if end < len(text):
        end = max(text.rfind(" ", at, end), at) if " " in text[at:end] else end
    inner = " ".join(text[start:end].split())
    return f"{'…' if start > 0 else ''}{inner}{'…' if end < len(text) else ''}"


def _after_space(text: str, start: int, limit: int) -> int:
    space = text.find(" ", start, limit)
    return start if space < 0 else space + 1


def _located_words(text: str) -> Iterator[tuple[int, str]]:
    for run in _RUN.finditer(text):
        if _UNSPACED.search(run[0]):
            yield from _pairs(run.start(), run[0])
        else:
            yield run.start(), fold(run[0])[:_LONGEST]


def _pairs(start: int, run: str) -> Iterator[tuple[int, str]]:
    if len(run) == 1:
        yield start, fold(run)
    for offset in range(len(run) - 1):
        yield start + offset, fold(run[offset : offset + 2])

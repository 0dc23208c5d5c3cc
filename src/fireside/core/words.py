"""How text is cut into terms, the same wherever texts and queries are compared by their words.

Words are folded in case and accents, and reduced to their stem, so that "policies" meets "policy". Chinese and
Japanese, written without spaces, give every pair of neighbouring characters.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import snowballstemmer

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]+|[^\W_\u3040-\u30ff\u3400-\u9fff]+(?:['’][^\W_]+)?")
_POSSESSIVE = re.compile(r"['’].*$")
_LONGEST_WORD_CHARS = 64
_STOP_WORDS = (
    "a about am an and any are as at be been being but by can could did do does for from had has have he "
    "her his how i if in into is it its just may me might my no not of on or our out over she should so "
    "some such than that the their then there these they this to up was we were what when where which who "
    "whom why will with would you your"
)
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""English words that say nothing about what a text is about."""


@dataclass(frozen=True, slots=True)
class Term:
    """A word of a text as it is compared, and where it stands: `text[start:end]`."""

    start: int
    end: int
    stem: str


def terms_of(text: str) -> Iterator[Term]:
    """The terms of a text in order, stop words left out."""
    for match in _WORD.finditer(text):
        word = match[0]
        if "\u3040" <= word[0] <= "\u9fff":
            yield from _pairs(match.start(), word)
            continue
        folded = fold(_POSSESSIVE.sub("", word))[:_LONGEST_WORD_CHARS]
        if folded and folded not in STOP_WORDS:
            yield Term(match.start(), match.end(), stem(folded))


def stems_of(text: str) -> list[str]:
    """The stems of a text's terms, in order, with repetitions; all its words' when it is nothing but stop words."""
    stems = [term.stem for term in terms_of(text)]
    return stems or [fold(match[0]) for match in _WORD.finditer(text)]


def fold(word: str) -> str:
    """The word in lower case, compatibility forms unified, without accents."""
    if word.isascii():
        return word.lower()
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """The stem of a folded English word (Porter2); other words pass almost unchanged."""
    # a stemmer keeps the word it works on in itself, so threads must not share one
    stemmer: Any = snowballstemmer.stemmer("english")
    return str(stemmer.stemWord(word))


def _pairs(start: int, run: str) -> Iterator[Term]:
    if len(run) == 1:
        yield Term(start, start + 1, run)
    for offset in range(len(run) - 1):
        yield Term(start + offset, start + offset + 2, run[offset : offset + 2])

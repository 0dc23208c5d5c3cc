"""Checking a claim against the passage that it cites: its words, numbers, names and negations.

A claim counts as supported when one passage holds most of what it says and contradicts none of it. The check errs on
the side of doubt: a claim in quite other words than the passage's is taken as unsupported.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fireside.core.lexicon import content_terms
from fireside.services.respond.sentences import sentence_ranges

_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
_NAME = re.compile(r"(?<![.!?:]\s)(?<!^)\b(?:[A-ZÀ-Ý][\w'’&-]+|[A-Z]{2,}\w*)")
_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]*\w|https?://[^\s)\]>]+")
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|neither|nor|without|cannot|\w+n['’]t|nicht|kein\w*|nie|niemals|ohne|ne|pas|jamais|aucune?|sans"
    r"|nunca|ningun[oa]?|ningún|sin|non|mai|nessun[oa]?|senza|niet|geen|nooit|zonder|não|nenhuma?|sem)\b",
    re.IGNORECASE,
)
_COUNTS = (
    "two zwei deux dos due twee dois",
    "three drei trois tres tre drie três",
    "four vier quatre cuatro quattro quatro",
    "five fünf cinq cinco cinque vijf",
    "six sechs seis sei zes",
    "seven sieben sept siete sette zeven sete",
    "eight acht huit ocho otto oito",
    "nine neun neuf nueve nove negen",
    "ten zehn dix diez dieci tien dez",
    "eleven elf onze once undici",
    "twelve zwölf douze doce dodici twaalf doze",
)
_UNTOLD = {"0", "1"}  # written as "no" and "a" as often as not
_NUMBER_WORDS = {word: str(count) for count, words in enumerate(_COUNTS, 2) for word in words.split()}


@dataclass(frozen=True, slots=True)
class Support:
    """How far a text bears out a claim: the share of its words that stand there, and whether it contradicts it."""

    coverage: float
    contradicted: bool

    def holds(self, *, least_coverage: float) -> bool:
        """Whether the text bears the claim out."""
        return self.coverage >= least_coverage and not self.contradicted


def check_claim(claim: str, passage: str, *, language: str) -> Support:
    """Compare a claim with the sentences of a passage that are nearest to it.

    Args:
        claim: One sentence, without citations.
        passage: The text of the passage it cites.
        language: ISO 639-1 code of both.
    """
    terms = set(content_terms(_digits(claim), language))
    if not terms:
        return Support(0.0, contradicted=False)
    window = passage[slice(*nearest_range(claim, passage, language=language))]
    found = set(content_terms(_digits(window), language))
    coverage = len(terms & found) / len(terms)
    contradicted = bool(_values(claim) - _values(passage) - _UNTOLD) or _negates(claim) != _negates(window)
    return Support(coverage, contradicted=contradicted or not _names(claim) <= _names_in(passage))


def nearest_range(claim: str, passage: str, *, language: str, width: int = 2) -> tuple[int, int]:
    """Where in a passage up to `width` neighbouring sentences stand that share most words with a claim."""
    terms = set(content_terms(_digits(claim), language))
    sentences = [unit for line in _line_ranges(passage) for unit in line]
    best, best_shared = (0, len(passage)), -1
    for size in range(1, width + 1):
        for first in range(max(0, len(sentences) - size + 1)):
            window = sentences[first][0], sentences[first + size - 1][1]
            shared = len(terms & set(content_terms(_digits(passage[slice(*window)]), language)))
            if shared > best_shared:
                best, best_shared = window, shared
    return best


def _line_ranges(passage: str) -> Iterator[list[tuple[int, int]]]:
    offset = 0
    for line in passage.splitlines(keepends=True):
        yield [(offset + start, offset + end) for start, end in sentence_ranges(line)]
        offset += len(line)


def _digits(text: str) -> str:
    return re.sub(r"[^\W\d_]+", lambda match: _NUMBER_WORDS.get(match[0].casefold(), match[0]), text)


def _values(text: str) -> set[str]:
    """The numbers, addresses and links of a text, numbers without thousands separators."""
    plain = re.sub(r"(?<=\d),(?=\d{3}\b)", "", _digits(text))
    return {match.rstrip(".,:/") for match in _NUMBER.findall(plain)} | set(_ADDRESS.findall(text.casefold()))


def _names(text: str) -> set[str]:
    return {name.casefold() for name in _NAME.findall(text)}


def _names_in(passage: str) -> set[str]:
    return set(re.findall(r"[\w'’&-]+", passage.casefold()))


def _negates(text: str) -> bool:
    return len(_NEGATION.findall(text)) % 2 == 1

"""Finding contradictions: quotes of different documents that answer the same question with different values."""

import re
from collections.abc import Sequence
from itertools import combinations

from fireside.contracts.answer import Conflict, ConflictingValue, Source
from fireside.core.lexicon import content_terms
from fireside.services.respond.answer_types import held_types

_VALUE = re.compile(
    r"[$€£]\s?\d[\d.,]*\d|\d+(?:[.,:]\d+)*\s?(?:%|percent|business days|calendar days|pay periods|[^\W\d_]+)?",
    re.IGNORECASE,
)
_NUMERIC = frozenset({"duration", "money", "percent", "number", "time", "date"})
_LEAST_SHARED = 0.5


def find_conflicts(question: str, sources: Sequence[Source], *, language: str) -> tuple[Conflict, ...]:
    """The pairs of quoted statements in different documents that contradict each other on the question's matter."""
    statements = [
        (source, " ".join(source.text[span.start : span.end].split())) for source in sources for span in source.spans
    ]
    found: list[Conflict] = []
    for (left, one), (right, other) in combinations(statements, 2):
        values = contradicts(one, other, question, language=language)
        if values and left.document_id != right.document_id:
            sides = ((left, values[0], one), (right, values[1], other))
            said = tuple(ConflictingValue(n=source.n, value=value, text=text) for source, value, text in sides)
            found.append(Conflict(subject=question, values=said))
    return tuple(found)


def contradicts(one: str, other: str, question: str, *, language: str) -> tuple[str, str] | None:
    """The differing values, when two statements say the same about a question's subject but for a value.

    They say the same when they share half of the shorter one's words of meaning and two of the question's; the values
    differ when both hold values of one unit and none agree.
    """
    if not _same_matter(one, other, set(content_terms(question, language)), language):
        return None
    return _differing(one, other)


def _same_matter(one: str, other: str, subject: set[str], language: str) -> bool:
    left = {term for term in content_terms(one, language) if not term[0].isdigit()}
    right = {term for term in content_terms(other, language) if not term[0].isdigit()}
    shared = left & right
    return len(shared & subject) >= min(2, len(subject)) and len(shared) >= _LEAST_SHARED * min(len(left), len(right))


def _differing(one: str, other: str) -> tuple[str, str] | None:
    """The first values of the same unit, when no value of that unit is in both texts."""
    if not held_types(one) & held_types(other) & _NUMERIC:
        return None
    left, right = _by_unit(one), _by_unit(other)
    for unit in left.keys() & right.keys():
        if not {_number(value) for value in left[unit]} & {_number(value) for value in right[unit]}:
            return left[unit][0], right[unit][0]
    return None


def _by_unit(text: str) -> dict[str, list[str]]:
    units: dict[str, list[str]] = {}
    for match in _VALUE.findall(text):
        value = str(match).strip()
        unit = re.sub(r"[\d.,:\s]+", "", value).casefold().rstrip("s")
        if unit:
            units.setdefault(unit, []).append(value)
    return units


def _number(value: str) -> str:
    return re.sub(r"[^\d.]", "", value).strip(".")

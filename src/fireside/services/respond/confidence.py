"""How sure an answer is, from the evidence it rests on: one calibrated probability, and its reasons in plain words.

The probability that what is quoted answers the question, rightly and wholly. Below a threshold the answer is refused:
either the documents do not say it, or it was not found. Fitted on several corpora; see `weights.py`.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from fireside.core.lexicon import content_terms, tokens
from fireside.services.respond.answer_types import asked_types, held_types
from fireside.services.respond.scoring import LOOSE_TYPES, ScoredEvidence
from fireside.services.respond.selection import rank_documents
from fireside.services.respond.weights import CONFIDENCE, CONFIDENCE_LEXICAL

_NAME = re.compile(r"(?<![.?!]\s)(?<!^)\b(?:[A-ZÀ-Ý][\w&-]*|\w*\d\w*)")
_PRONOUNS = frozenset({"i", "i'm", "i've"})
_ONLY_DOCUMENT_MARGIN = 2.0


@dataclass(frozen=True, slots=True)
class EvidenceSigns:
    """What tells whether the evidence answers a question.

    Attributes:
        similarity: Cosine of the question and the best quote; 0 without an embedder.
        coverage: Share of the question's words that stand in the quotes, their headings and titles.
        margin: How far the log odds of the best document lie above the second-best one's.
        type_found: 1 when a quote holds the kind of value asked for, 0 when none does, 0.5 when the question
            does not tell what kind.
        names_missing: Share of the question's names and numbers that stand nowhere in the quotes.

    """

    similarity: float
    coverage: float
    margin: float
    type_found: float
    names_missing: float


@dataclass(frozen=True, slots=True)
class Assessment:
    """How far to trust an answer: its probability of being right and whole, and why, in plain sentences."""

    confidence: float
    reasons: tuple[str, ...]


def measure(evidence: ScoredEvidence, chosen: Sequence[int]) -> EvidenceSigns:
    """Read the signs off the evidence for a question and the units chosen to be quoted, best first."""
    documents = rank_documents(evidence)
    quoted = [evidence.candidates[index] for index in chosen]
    sources = [evidence.passages[one.passage] for one in quoted]
    shown = " ".join(
        f"{source.title} {source.heading or ''} {one.context}" for one, source in zip(quoted, sources, strict=True)
    )
    question = evidence.question
    return EvidenceSigns(
        similarity=0.0 if evidence.similarities is None else float(evidence.similarities[chosen[0]]),
        coverage=_coverage(question, shown, evidence.language),
        margin=documents[0][1] - documents[1][1] if len(documents) > 1 else _ONLY_DOCUMENT_MARGIN,
        type_found=_type_found(question, [one.unit.text for one in quoted]),
        names_missing=_names_missing(question, shown),
    )


def assess(signs: EvidenceSigns, *, semantic: bool) -> Assessment:
    """Turn signs into a probability and its reasons; `semantic` tells whether an embedder took part."""
    *weights, intercept = astuple(CONFIDENCE if semantic else CONFIDENCE_LEXICAL)
    log_odds = sum(weight * sign for weight, sign in zip(weights, astuple(signs), strict=True)) + intercept
    return Assessment(1 / (1 + math.exp(-log_odds)), _reasons(signs, semantic=semantic))


def _coverage(question: str, shown: str, language: str) -> float:
    wanted = set(content_terms(question, language))
    return len(wanted & set(content_terms(shown, language))) / len(wanted) if wanted else 0.0


def _type_found(question: str, quotes: Sequence[str]) -> float:
    asked = asked_types(question) - LOOSE_TYPES
    return float(any(asked & held_types(quote) for quote in quotes)) if asked else 0.5


def _names_missing(question: str, shown: str) -> float:
    names = {name.casefold() for name in _NAME.findall(question)} - _PRONOUNS
    words = set(tokens(shown))
    missing = [name for name in names if name not in words and name not in shown.casefold()]
    return len(missing) / len(names) if names else 0.0


def _reasons(signs: EvidenceSigns, *, semantic: bool) -> tuple[str, ...]:
    found = [_about_coverage(signs.coverage)]
    if semantic:
        closeness = "comes close to" if signs.similarity >= 0.55 else "is not close to"
        found.append(f"The best passage {closeness} the question in meaning.")
    if signs.type_found == 0.0:
        found.append("The passages do not hold the kind of value that was asked for.")
    if signs.names_missing > 0.5:
        found.append("Names or numbers of the question do not occur in the passages.")
    if signs.margin < 0.7:
        found.append("Several documents match the question about equally well.")
    elif signs.margin > 2.0:
        found.append("One document matches the question clearly better than all others.")
    return tuple(found)


def _about_coverage(coverage: float) -> str:
    amount = "Most" if coverage >= 0.7 else "Some" if coverage >= 0.4 else "Few"
    return f"{amount} words of the question occur in the passages."

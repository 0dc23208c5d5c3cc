"""How well each quotable unit of the evidence answers a question: its signs, and the weighted sum of them.

Needs no statistics of the whole corpus: how rare a word is counts among the units found for this question, where a
word that every passage shares says nothing. Without vectors the signs of meaning are left out.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from fireside.contracts.answer import Passage
from fireside.core.ids import DocumentId
from fireside.core.lexicon import content_terms
from fireside.services.respond.answer_types import AnswerType, asked_types, held_types
from fireside.services.respond.sentences import Unit, split_into_units
from fireside.services.respond.weights import LEXICAL, SEMANTIC

Floats = NDArray[np.float32]

_FRAGMENT_CHARS = 25
LOOSE_TYPES: frozenset[AnswerType] = frozenset({"number", "person", "place"})
"""Kinds of value that many sentences hold, so that holding one says little."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A unit that might be quoted. `passage` counts the evidence's passages from 0, best first."""

    passage: int
    unit: Unit
    context: str
    """The unit together with the heading and the sentence that introduce it."""


def find_candidates(passages: Sequence[Passage], *, limit: int) -> list[Candidate]:
    """All quotable units of the passages, best passage first, at most `limit`; what two passages share counts once."""
    found: list[Candidate] = []
    seen: set[tuple[object, str]] = set()
    for index, passage in enumerate(passages):
        outer = (passage.heading or "").rsplit(" > ", 1)[-1] or passage.title
        for unit in split_into_units(passage.text):
            key = (passage.document_id, f"{passage.start + unit.start} {unit.text}")
            if unit.kind != "heading" and key not in seen:
                seen.add(key)
                lead = f"{unit.lead} " if unit.lead not in {"", unit.heading} else ""
                found.append(Candidate(index, unit, f"{unit.heading or outer}: {lead}{unit.text}"))
    return found[:limit]


@dataclass(frozen=True, slots=True)
class ScoredEvidence:
    """The candidates with their scores for one question; higher is better, differences are log odds.

    Attributes:
        question: Understandable without its history.
        language: ISO 639-1 code of the question.
        candidates: n units.
        passages: What the candidates' `passage` counts.
        scores: (n,) float32.
        similarities: (n,) float32, cosine of the question and each candidate's context; None without an embedder.

    """

    question: str
    language: str
    candidates: Sequence[Candidate]
    passages: Sequence[Passage]
    scores: Floats
    similarities: Floats | None

    def document_of(self, index: int) -> DocumentId:
        """The document of a candidate."""
        return self.passages[self.candidates[index].passage].document_id

    def best_first(self) -> list[int]:
        """The indexes of all candidates, best first."""
        return [int(index) for index in np.argsort(-self.scores, kind="stable")]


def score_units(
    question: str,
    candidates: Sequence[Candidate],
    passages: Sequence[Passage],
    *,
    language: str,
    similarities: Floats | None,
) -> ScoredEvidence:
    """Score each candidate for the question; see `ScoredEvidence` for the parameters."""
    weights = LEXICAL if similarities is None else SEMANTIC
    signs = features(question, candidates, passages, language=language, similarities=similarities)
    scores = signs @ np.array(astuple(weights), dtype=np.float32)
    return ScoredEvidence(question, language, candidates, passages, scores, similarities)


def features(
    question: str,
    candidates: Sequence[Candidate],
    passages: Sequence[Passage],
    *,
    language: str,
    similarities: Floats | None,
) -> Floats:
    """The signs of each candidate, one row each, in the order of `weights.UnitWeights`.

    Returns:
        (n, 8) float32: cosine; share of the question's words in the unit, and in the unit with its context, by
        rarity; 1 / log2(rank + 2) of its passage; whether it holds the kind of value asked for (1, or 0.5 for a
        vague kind); whether it holds none of them; whether it is itself a question; whether it is a mere fragment.
    """
    overlaps = word_overlaps(question, candidates, passages, language=language)
    asked = asked_types(question)
    rows = np.zeros((len(candidates), 8), dtype=np.float32)
    for row, candidate, overlap in zip(rows, candidates, overlaps, strict=True):
        text = candidate.unit.text
        held = asked & held_types(text)
        row[1:3] = overlap
        row[3] = 1 / math.log2(candidate.passage + 2)
        row[4] = 1.0 if held - LOOSE_TYPES else 0.5 if held else 0.0
        row[5] = float(bool(asked) and not held)
        row[6] = float(text.endswith("?"))
        row[7] = float(len(text) < _FRAGMENT_CHARS)
    if similarities is not None:
        rows[:, 0] = similarities
    return rows


def word_overlaps(
    question: str, candidates: Sequence[Candidate], passages: Sequence[Passage], *, language: str
) -> list[tuple[float, float]]:
    """Which share of the question's words each candidate holds, alone and with its heading, lead and title.

    A word weighs log(1 + (n + 1) / (1 + units that hold it)): rare ones decide.
    """
    wanted = set(content_terms(question, language))
    own = [frozenset(content_terms(candidate.unit.text, language)) & wanted for candidate in candidates]
    titles = [frozenset(content_terms(passage.title, language)) & wanted for passage in passages]
    whole = [
        frozenset(content_terms(candidate.context, language)) & wanted | titles[candidate.passage] | terms
        for candidate, terms in zip(candidates, own, strict=True)
    ]
    counts = Counter(term for terms in whole for term in terms)
    rarity = {term: math.log(1 + (len(candidates) + 1) / (1 + counts[term])) for term in wanted}
    total = sum(rarity.values()) or 1.0
    return [
        (sum(rarity[term] for term in terms) / total, sum(rarity[term] for term in around) / total)
        for terms, around in zip(own, whole, strict=True)
    ]


def repetition(candidates: Sequence[Candidate], said_before: str, *, language: str) -> Floats:
    """How far each candidate only repeats an earlier answer: 0 when half of its words are new, 1 when none is.

    Returns:
        (n,) float32.
    """
    said = set(content_terms(said_before, language))
    shares = np.zeros(len(candidates), dtype=np.float32)
    for index, candidate in enumerate(candidates) if said else ():
        terms = set(content_terms(candidate.unit.text, language))
        shares[index] = len(terms & said) / len(terms) if terms else 0.0
    return np.maximum(shares - 0.5, 0.0) * 2

"""Fitted numbers of evidence scoring and confidence, in one place, each with the order of what it weighs.

Fitted by regression on questions over several corpora together, so that none decides alone, and rounded. The data, what
was held out and what came of it stand in docs/decisions/confidence-is-one-fitted-probability.md.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UnitWeights:
    """How much each sign counts when a quotable unit is scored; see `scoring.features` for the order and meaning."""

    similarity: float
    overlap: float
    context_overlap: float
    passage_rank: float
    type_match: float
    type_miss: float
    is_question: float
    is_fragment: float


SEMANTIC = UnitWeights(10.5, 4.0, 4.0, 2.0, 2.5, -0.3, -1.6, -1.0)
LEXICAL = UnitWeights(0.0, 5.5, 4.0, 3.7, 2.3, -0.3, -1.6, -0.5)


@dataclass(frozen=True, slots=True)
class SignWeights:
    """How much each sign counts for the log odds; see `confidence.EvidenceSigns` for the meaning and order."""

    similarity: float
    coverage: float
    margin: float
    type_found: float
    names_missing: float
    intercept: float


CONFIDENCE = SignWeights(4.2, 2.3, 0.4, 1.2, -1.5, -4.8)
CONFIDENCE_LEXICAL = SignWeights(0.0, 3.4, 0.38, 1.6, -1.5, -3.2)

REFUSAL_CONFIDENCE = 0.35
"""How often a refusal was right on the development questions, rounded down: what a refusal says of itself."""

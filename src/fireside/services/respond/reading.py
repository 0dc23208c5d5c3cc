"""Reading the evidence: which units answer each part of the question, from which document, and how surely."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fireside.contracts.answer import Passage
from fireside.services.respond.confidence import Assessment, assess, measure
from fireside.services.respond.conflicts import contradicts
from fireside.services.respond.scoring import Candidate, Floats, ScoredEvidence, repetition, score_units
from fireside.services.respond.selection import SelectionLimits, rank_documents, select_units, with_neighbours

_REPETITION = 3.0
_RIVALS = 4
_RIVAL_DROP = 2.0


@dataclass(frozen=True, slots=True)
class AspectReading:
    """What the evidence says on one part of the question. `chosen` are indexes of candidates, best first."""

    aspect: str
    chosen: tuple[int, ...]
    assessment: Assessment


@dataclass(frozen=True, slots=True)
class Reading:
    """What the evidence says on the whole question. `answered` are the parts that are answered surely enough."""

    candidates: tuple[Candidate, ...]
    aspects: tuple[AspectReading, ...]
    answered: tuple[AspectReading, ...]

    @property
    def quotes(self) -> list[Candidate]:
        """The units worth quoting, each once, in order of the parts they answer."""
        indexes = dict.fromkeys(index for aspect in self.answered for index in aspect.chosen)
        return [self.candidates[index] for index in indexes]

    @property
    def assessment(self) -> Assessment:
        """The assessment of the part answered worst; of the best one when none is answered."""
        if self.answered:
            return min((aspect.assessment for aspect in self.aspects), key=lambda part: part.confidence)
        return max((aspect.assessment for aspect in self.aspects), key=lambda part: part.confidence)


@dataclass(frozen=True, slots=True)
class ReadingRules:
    """Limits of reading: how much to quote, in which language words compare, and when a part counts as answered."""

    language: str
    limits: SelectionLimits
    refusal_threshold: float
    said_before: str = ""
    """The answer that a follow-up question follows; what it said is worth less when said again."""


def read_evidence(
    aspects: Sequence[str],
    candidates: Sequence[Candidate],
    passages: Sequence[Passage],
    *,
    similarities: Floats | None,
    rules: ReadingRules,
) -> Reading:
    """Read the evidence for each part of a question.

    Args:
        aspects: m questions, at least one.
        candidates: n units, at least one.
        passages: What the candidates' `passage` counts.
        similarities: (m, n) float32 cosines, or None without an embedder.
        rules: See there.
    """
    parts = tuple(
        _read_aspect(
            score_units(
                aspect,
                candidates,
                passages,
                language=rules.language,
                similarities=None if similarities is None else similarities[row],
            ),
            rules,
        )
        for row, aspect in enumerate(aspects)
    )
    answered = tuple(part for part in parts if part.assessment.confidence >= rules.refusal_threshold)
    return Reading(tuple(candidates), parts, answered)


def _read_aspect(evidence: ScoredEvidence, rules: ReadingRules) -> AspectReading:
    best_document = rank_documents(evidence)[0][0]
    repeated = repetition(evidence.candidates, rules.said_before, language=rules.language)
    fresh = replace(evidence, scores=(evidence.scores - _REPETITION * repeated).astype(np.float32))
    chosen = select_units(fresh, document_id=best_document, limits=rules.limits)
    assessment = assess(measure(evidence, chosen), semantic=evidence.similarities is not None)
    rivals = _contradicting(evidence, chosen[0])
    if rivals:
        reason = "Another document says something different."
        assessment = replace(assessment, reasons=(*assessment.reasons, reason))
    whole = with_neighbours(chosen, evidence.candidates, limits=rules.limits)
    return AspectReading(evidence.question, (*whole, *rivals), assessment)


def _contradicting(evidence: ScoredEvidence, best: int) -> list[int]:
    """The unit of another document that answers about as well as the best one and contradicts it, if there is one."""
    rivals = [
        index
        for index in evidence.best_first()
        if evidence.document_of(index) != evidence.document_of(best)
        and evidence.scores[index] >= evidence.scores[best] - _RIVAL_DROP
    ]
    said = evidence.candidates[best].unit.text
    return [
        rival
        for rival in rivals[:_RIVALS]
        if contradicts(said, evidence.candidates[rival].unit.text, evidence.question, language=evidence.language)
    ][:1]

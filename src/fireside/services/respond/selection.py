"""Choosing what to quote: as few documents as the question needs, and from them the units that answer it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fireside.core.ids import DocumentId
from fireside.services.respond.scoring import Candidate, ScoredEvidence

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")


@dataclass(frozen=True, slots=True)
class SelectionLimits:
    """How much may be quoted for one aspect of a question."""

    max_units: int = 6
    max_chars: int = 900
    max_drop: float = 6.0
    """A unit whose score lies further than this below the best is left out."""
    whole_list_chars: int = 500
    """A list is quoted whole when one of its items is and it is no longer than this."""


def rank_documents(evidence: ScoredEvidence) -> list[tuple[DocumentId, float]]:
    """Documents by the evidence they hold, best first: log of the summed exp of their units' scores.

    So one very good unit counts most, and several good ones more than one.
    """
    by_document: dict[DocumentId, list[float]] = {}
    for index, score in enumerate(evidence.scores):
        by_document.setdefault(evidence.document_of(index), []).append(float(score))
    ranked = [(document_id, float(np.logaddexp.reduce(values))) for document_id, values in by_document.items()]
    return sorted(ranked, key=lambda entry: -entry[1])


def select_units(evidence: ScoredEvidence, *, document_id: DocumentId, limits: SelectionLimits) -> list[int]:
    """The indexes of the units of one document that answer best, in the order they are worth quoting.

    Repetitions (two units with nearly the same words) are left out, and so is what falls far behind the best.
    """
    chosen: list[int] = []
    chars = 0
    for index in evidence.best_first():
        if evidence.document_of(index) != document_id:
            continue
        candidate = evidence.candidates[index]
        too_weak = chosen and evidence.scores[index] < evidence.scores[chosen[0]] - limits.max_drop
        if too_weak or len(chosen) >= limits.max_units:
            break
        if chosen and chars + len(candidate.unit.text) > limits.max_chars:
            continue
        if not any(_same_words(candidate, evidence.candidates[other]) for other in chosen):
            chosen.append(index)
            chars += len(candidate.unit.text)
    return chosen


def with_neighbours(chosen: Sequence[int], candidates: Sequence[Candidate], *, limits: SelectionLimits) -> list[int]:
    """The chosen units with what makes them whole: the other items of a short list, the sentence after the best one.

    Returns:
        Indexes of candidates, the chosen ones first.
    """
    added: list[int] = []
    for index in chosen:
        unit = candidates[index].unit
        if unit.kind == "item":
            siblings = [
                other for other in range(len(candidates)) if _in_same_list(candidates[index], candidates[other])
            ]
            if sum(len(candidates[other].unit.text) for other in siblings) <= limits.whole_list_chars:
                added.extend(siblings)
    best = chosen[0]
    following = best + 1
    if candidates[best].unit.kind == "sentence" and following < len(candidates):
        after = candidates[following]
        if (after.passage, after.unit.block) == (candidates[best].passage, candidates[best].unit.block):
            added.append(following)
    return list(dict.fromkeys([*chosen, *added]))


def _in_same_list(one: Candidate, other: Candidate) -> bool:
    same_place = (one.passage, one.unit.block) == (other.passage, other.unit.block)
    return same_place and other.unit.kind == "item" and one.unit.lead == other.unit.lead


def _same_words(left: Candidate, right: Candidate) -> bool:
    """Whether two units say nearly the same: most words shared, and the same numbers."""
    a, b = set(left.unit.text.casefold().split()), set(right.unit.text.casefold().split())
    same_numbers = _NUMBER.findall(left.unit.text) == _NUMBER.findall(right.unit.text)
    return same_numbers and len(a & b) >= 0.8 * min(len(a), len(b))

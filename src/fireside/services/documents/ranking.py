"""From the candidates of both searches to passages in the order in which they are shown and read.

A document with several good passages is more likely to be about the question than one with a single lucky passage, so
each passage is lifted by what else its document has to say.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fireside.contracts.vectors import Candidate
from fireside.core.ids import ChunkId, DocumentId
from fireside.services.documents.fusion import fuse_scores
from fireside.services.documents.model import Found

_SUPPORT_SHARES = (0.25, 0.1)
"""What the second and the third best passage of a document add, as shares of their lead over an average candidate."""
_AVERAGE_RANK = 50


@dataclass(frozen=True, slots=True)
class Ranked:
    """A passage in its place.

    Attributes:
        score: What the order is by; comparable within one query only.
        stages: What it is made of: `similarity` (absent when the search went by words alone), `keyword` and `support`.
    """

    chunk_id: ChunkId
    score: float
    stages: Mapping[str, float]


def rank_passages(
    query: str,  # noqa: ARG001 - what a reranker would read; the scores of the candidates say it already
    candidates: Sequence[Candidate],
    passages: Mapping[ChunkId, Found],
) -> list[Ranked]:
    """Put passages in order.

    Args:
        query: As it was asked.
        candidates: With the scores of both searches.
        passages: What each candidate is and where it stands.

    Returns:
        Every candidate once, best first; equal scores in order of path and place in the document.
    """
    relevance = fuse_scores(candidates)
    support = _support(relevance, {item.chunk_id: passages[item.chunk_id].document.id for item in candidates})
    ranked = [
        _ranked(item, relevance[item.chunk_id], support[passages[item.chunk_id].document.id]) for item in candidates
    ]
    return sorted(ranked, key=lambda item: (-item.score, *_place(passages[item.chunk_id])))


def _support(relevance: Mapping[ChunkId, float], documents: Mapping[ChunkId, DocumentId]) -> dict[DocumentId, float]:
    """What each document's further passages add to all of its passages."""
    scores = sorted(relevance.values(), reverse=True)
    average = scores[min(_AVERAGE_RANK, len(scores)) - 1] if scores else 0.0
    leads: dict[DocumentId, list[float]] = defaultdict(list)
    for chunk_id, document_id in documents.items():
        leads[document_id].append(max(0.0, relevance[chunk_id] - average))
    return {
        document_id: sum(
            share * lead for share, lead in zip(_SUPPORT_SHARES, sorted(values, reverse=True)[1:], strict=False)
        )
        for document_id, values in leads.items()
    }


def _ranked(candidate: Candidate, relevance: float, support: float) -> Ranked:
    stages = {"keyword": candidate.keyword, "support": support}
    if candidate.similarity is not None:
        stages["similarity"] = candidate.similarity
    return Ranked(chunk_id=candidate.chunk_id, score=relevance + support, stages=stages)


def _place(found: Found) -> tuple[str, int]:
    return found.document.path, found.chunk.ordinal

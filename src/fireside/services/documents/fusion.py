"""Weighing what the search by meaning and the search by words say about the same passages."""

from collections.abc import Iterable

from fireside.contracts.vectors import Candidate
from fireside.core.ids import ChunkId

KEYWORD_WEIGHT = 0.02
"""Worth of one unit of keyword score in units of similarity.

Measured in docs/decisions/passages-are-found-by-meaning-words-and-company.md.
"""


def fuse_scores(candidates: Iterable[Candidate]) -> dict[ChunkId, float]:
    """One relevance per passage: its similarity plus a share of its keyword score.

    Both scores are absolute, so a query whose words occur nowhere is decided by meaning and one that names a rare
    identifier by that; ranks would hide how sure each side is. A passage without a vector counts as just as similar
    as the least similar of the others.

    Args:
        candidates: Of one query.

    Returns:
        Greater is better; comparable within the query only.
    """
    items = list(candidates)
    similarities = [item.similarity for item in items if item.similarity is not None]
    floor = min(similarities, default=0.0)
    return {
        item.chunk_id: (floor if item.similarity is None else item.similarity) + KEYWORD_WEIGHT * item.keyword
        for item in items
    }

"""Merging what several searches for one question found into one list."""

from collections.abc import Sequence

from fireside.contracts.answer import Passage
from fireside.core.ids import ChunkId


def merge_found(found: Sequence[Sequence[Passage]], *, limit: int, damping: int = 2) -> list[Passage]:
    """Merge lists of passages by reciprocal rank; the first list counts twice.

    Args:
        found: m lists, best first, the most important query's list first.
        limit: Most passages to return.
        damping: Larger flattens the difference between ranks. Far below the usual 60, because a passage that is
            first for one part of a question must not lose against one that is middling for all.

    Returns:
        Passages, best first, each once; a passage keeps the scores of the first list that holds it.
    """
    passages: dict[ChunkId, Passage] = {}
    points: dict[ChunkId, float] = {}
    for position, results in enumerate(found):
        weight = 2.0 if position == 0 else 1.0
        for rank, passage in enumerate(results, 1):
            passages.setdefault(passage.chunk_id, passage)
            points[passage.chunk_id] = points.get(passage.chunk_id, 0.0) + weight / (damping + rank)
    ordered = sorted(points, key=lambda chunk_id: -points[chunk_id])
    return [passages[chunk_id] for chunk_id in ordered[:limit]]

"""Small points and queries for the conformance suite of vector indexes, whose scores can be told by hand."""

import math
from collections.abc import Mapping, Sequence
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from fireside.ports.vector_index import IndexHit, IndexPoint, IndexQuery, Scope, SparseVector, VectorIndex

D = 8
MINE, YOURS = UUID(int=101), UUID(int=102)
EVERYWHERE = Scope()


def direction(*axes: int) -> NDArray[np.float32]:
    """(D,) float32, the unit vector between the named axes."""
    vector = np.zeros(D, dtype=np.float32)
    vector[list(axes)] = 1 / math.sqrt(len(axes))
    return vector


def words(terms: Mapping[int, float]) -> SparseVector:
    """A sparse vector."""
    return SparseVector(np.array(list(terms), dtype=np.uint32), np.array(list(terms.values()), dtype=np.float32))


def point(
    number: int,
    *windows: NDArray[np.float32],
    terms: Mapping[int, float] | None = None,
    collection: UUID = MINE,
    document: int = 0,
) -> IndexPoint:
    """A point whose id says its number."""
    return IndexPoint(
        id=UUID(int=number),
        document_id=UUID(int=1000 + document),
        collection_id=collection,
        windows=np.stack(windows) if windows else np.empty((0, D), dtype=np.float32),
        words=words(terms or {}),
    )


def numbers(hits: Sequence[IndexHit]) -> set[int]:
    """The numbers of the points found."""
    return {hit.id.int for hit in hits}


def idf(*, points: int, with_term: int) -> float:
    """The inverse document frequency the port promises."""
    return math.log(1 + (points - with_term + 0.5) / (with_term + 0.5))


async def by_meaning(index: VectorIndex, vector: NDArray[np.float32], scope: Scope = EVERYWHERE) -> list[IndexHit]:
    """Hits, the most similar first."""
    hits = await index.search(IndexQuery(scope=scope, vector=vector))
    return sorted(hits, key=lambda hit: -(hit.similarity or -1.0))


async def by_words(index: VectorIndex, terms: Mapping[int, float], scope: Scope = EVERYWHERE) -> dict[int, float]:
    """BM25 of the points that hold one of the terms."""
    hits = await index.search(IndexQuery(scope=scope, words=words(terms)))
    return {hit.id.int: hit.bm25 for hit in hits}

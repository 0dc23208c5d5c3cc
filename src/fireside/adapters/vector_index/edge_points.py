"""Points and queries in the terms of Qdrant Edge."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np
import qdrant_edge as edge
from numpy.typing import NDArray

from fireside.adapters.vector_index.edge_shards import translated_errors
from fireside.adapters.vector_index.layout import CHUNK, COLLECTION_FIELD, DOCUMENT_FIELD, WINDOWS, WORDS
from fireside.ports.vector_index import IndexHit, IndexPoint, IndexQuery, Scope, SparseVector


def upsert(shard: edge.EdgeShard, points: Sequence[IndexPoint]) -> None:
    """Write points."""
    with translated_errors():
        shard.update(edge.UpdateOperation.upsert_points([_point(point) for point in points]))


def search(shard: edge.EdgeShard, query: IndexQuery) -> Sequence[IndexHit]:
    """Find the best chunks of both rankings, then score all of them by both."""
    scope = scope_filter(query.scope)
    words = query.words if query.words is not None and len(query.words.terms) else None
    with translated_errors():
        documents = _widely(shard, query.vector, words, scope, query.limit)
        these = edge.Filter(must=[edge.HasIdCondition(set(documents))])
        similarity: dict[UUID, float] = {}
        bm25: dict[UUID, float] = {}
        if documents and query.vector is not None:
            nearest = edge.Query.Nearest(_numbers(query.vector.reshape(1, -1)), using=WINDOWS)
            similarity = _scores(shard.query(_request(nearest, these, len(documents))))
        if documents and words is not None:
            bm25 = _scores(shard.query(_words_request(words, these, len(documents), corpus=scope)))
    return [IndexHit(id, document, similarity.get(id), bm25.get(id, 0.0)) for id, document in documents.items()]


def missing(shard: edge.EdgeShard, ids: Sequence[UUID]) -> Sequence[UUID]:
    """Those of these points that are not there."""
    with translated_errors():
        there = {UUID(str(record.id)) for record in shard.retrieve(list(ids), False, False)}
    return [id for id in ids if id not in there]


def scope_filter(scope: Scope) -> edge.Filter:
    """The conditions of a scope."""
    limits = ((COLLECTION_FIELD, scope.collection_ids), (DOCUMENT_FIELD, scope.document_ids))
    return edge.Filter(
        must=[
            edge.FieldCondition(field, match=edge.MatchAny([str(id) for id in ids]))
            for field, ids in limits
            if ids is not None
        ]
    )


def _widely(
    shard: edge.EdgeShard,
    vector: NDArray[np.float32] | None,
    words: SparseVector | None,
    scope: edge.Filter,
    limit: int,
) -> dict[UUID, UUID]:
    """The best chunks of either ranking, each with its document."""
    requests: list[edge.QueryRequest] = []
    if vector is not None:
        requests.append(_request(edge.Query.Nearest(_numbers(vector), using=CHUNK), scope, limit))
    if words is not None:
        requests.append(_words_request(words, scope, limit, corpus=scope))
    rankings = shard.query_batch(edge.QueryBatchRequest(requests)) if requests else []
    return {UUID(str(hit.id)): UUID((hit.payload or {})[DOCUMENT_FIELD]) for hits in rankings for hit in hits}


def _point(point: IndexPoint) -> edge.Point:
    vectors: dict[str, Any] = {}
    if len(point.windows):
        vectors[CHUNK] = point.windows.mean(axis=0)
        vectors[WINDOWS] = point.windows
    if len(point.words.terms):
        vectors[WORDS] = _sparse(point.words)
    payload = {COLLECTION_FIELD: str(point.collection_id), DOCUMENT_FIELD: str(point.document_id)}
    return edge.Point(point.id, vectors, payload)


def _request(query: edge.Query, scope: edge.Filter, limit: int) -> edge.QueryRequest:
    return edge.QueryRequest(limit=limit, query=query, filter=scope, with_payload=[DOCUMENT_FIELD])


def _words_request(words: SparseVector, scope: edge.Filter, limit: int, *, corpus: edge.Filter) -> edge.QueryRequest:
    return edge.QueryRequest(
        limit=limit,
        query=edge.Query.Nearest(_sparse(words), using=WORDS),
        filter=scope,
        with_payload=[DOCUMENT_FIELD],
        # a corpus keeps statistics of others' chunks out, and unlike the engine's own it is exact after deletions
        params=edge.SearchParams(idf=edge.IdfParams(corpus)),
    )


def _scores(hits: Sequence[edge.ScoredPoint]) -> dict[UUID, float]:
    return {UUID(str(hit.id)): hit.score for hit in hits}


def _sparse(words: SparseVector) -> edge.SparseVector:
    return edge.SparseVector(_numbers(words.terms), _numbers(words.weights))


def _numbers(array: NDArray[Any]) -> Any:
    """The array as it is: the engine reads arrays several times faster than the lists its type stubs ask for."""
    return array

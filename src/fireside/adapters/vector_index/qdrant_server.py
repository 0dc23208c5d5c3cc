"""The search index on a Qdrant server or cluster (1.18 or newer), or in qdrant-client's own local mode for tests.

A generation is a collection `<prefix>.<generation>`; the alias `<prefix>` names the active one.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from fireside.adapters.vector_index import layout
from fireside.adapters.vector_index.layout import CHUNK, COLLECTION_FIELD, DOCUMENT_FIELD, WINDOWS, WORDS
from fireside.ports.vector_index import (
    ActiveGenerationError,
    IndexHit,
    IndexPoint,
    IndexQuery,
    IndexState,
    IndexUnavailableError,
    Scope,
    SparseVector,
    UnknownGenerationError,
    VectorShapeError,
)


class QdrantServerIndex:
    """A `VectorIndex` on a server, which several nodes may use at once."""

    def __init__(self, client: AsyncQdrantClient, *, prefix: str = "fireside", local: bool = False) -> None:
        """Use a client, which is closed with the index.

        Args:
            client: For the server; nothing is sent before `open`.
            prefix: Begins the names of the collections, so that installations can share a server.
            local: Whether the client is in its local mode, which has no payload indexes.
        """
        self._client = client
        self._prefix = prefix
        self._local = local
        self._dimensions: dict[str, int] = {}
        self._closed = False

    async def open(self) -> None:
        """See that the server answers."""
        await self.state()

    async def state(self) -> IndexState:
        """The generations."""
        with self._translated_errors():
            collections = (await self._client.get_collections()).collections
            aliases = (await self._client.get_aliases()).aliases
        start = f"{self._prefix}."
        names = sorted(item.name.removeprefix(start) for item in collections if item.name.startswith(start))
        active = next((item.collection_name for item in aliases if item.alias_name == self._prefix), None)
        return IndexState(tuple(names), active.removeprefix(start) if active else None)

    async def create(self, generation: str, *, dimensions: int) -> None:
        """Make an empty generation."""
        layout.check_generation_name(generation)
        name = self._collection(generation)
        with self._translated_errors():
            if not await self._client.collection_exists(name):
                await self._create_collection(name, dimensions)
        present = await self._dimensions_of(generation)
        if present != dimensions:
            raise VectorShapeError(f"generation {generation!r} has {present} dimensions, not {dimensions}")

    async def dimensions(self, generation: str | None = None) -> int:
        """Length of a generation's vectors."""
        return await self._dimensions_of(await self._get(generation))

    async def activate(self, generation: str) -> None:
        """Search this generation from now on."""
        state = await self.state()
        if generation not in state.generations:
            raise UnknownGenerationError(f"the index has no generation {generation!r}")
        create = models.CreateAlias(collection_name=self._collection(generation), alias_name=self._prefix)
        changes: list[models.AliasOperations] = [models.CreateAliasOperation(create_alias=create)]
        if state.active is not None:
            delete = models.DeleteAlias(alias_name=self._prefix)
            changes.insert(0, models.DeleteAliasOperation(delete_alias=delete))
        with self._translated_errors():
            await self._client.update_collection_aliases(change_aliases_operations=changes)

    async def drop(self, generation: str) -> None:
        """Remove a generation."""
        state = await self.state()
        if generation == state.active:
            raise ActiveGenerationError(f"generation {generation!r} is being searched; activate another one first")
        self._dimensions.pop(generation, None)
        if generation in state.generations:
            with self._translated_errors():
                await self._client.delete_collection(self._collection(generation))

    async def upsert(self, points: Sequence[IndexPoint], *, generation: str | None = None) -> None:
        """Add or replace points."""
        target = await self._get(generation)
        layout.check_points(points, dimensions=await self._dimensions_of(target))
        for batch in layout.batches(points):
            with self._translated_errors():
                await self._client.upsert(self._collection(target), [_point(point) for point in batch], wait=True)

    async def delete(self, ids: Sequence[UUID]) -> None:
        """Remove points from every generation."""
        if ids:
            await self._delete(models.PointIdsList(points=list(ids)))

    async def delete_in(self, scope: Scope) -> None:
        """Remove every point inside the scope from every generation."""
        if not scope.is_empty:
            await self._delete(models.FilterSelector(filter=_filter(scope)))

    async def search(self, query: IndexQuery) -> Sequence[IndexHit]:
        """Search one generation."""
        if query.scope.is_empty:
            return ()
        if query.generation is not None:
            return await self._search(query, await self._get(query.generation))
        while (active := await self._find(None)) is not None:
            with suppress(UnknownGenerationError):  # it was exchanged and dropped since it was looked up
                return await self._search(query, active)
        return ()

    async def _search(self, query: IndexQuery, target: str) -> Sequence[IndexHit]:
        layout.check_query(query.vector, dimensions=await self._dimensions_of(target))
        scope = _filter(query.scope)
        words = query.words if query.words is not None and len(query.words.terms) else None
        wide = _requests(query.vector, words, using=CHUNK, scope=scope, corpus=scope, limit=query.limit)
        found = await self._query(target, wide)
        documents = {UUID(str(hit.id)): UUID((hit.payload or {})[DOCUMENT_FIELD]) for hits in found for hit in hits}
        if not documents:
            return ()
        these = models.Filter(must=[models.HasIdCondition(has_id=list(documents))])
        row = None if query.vector is None else query.vector.reshape(1, -1)
        exact = await self._query(
            target, _requests(row, words, using=WINDOWS, scope=these, corpus=scope, limit=len(documents))
        )
        scores = [{UUID(str(hit.id)): hit.score for hit in hits} for hits in exact]
        similarity = scores[0] if query.vector is not None else {}
        bm25 = scores[-1] if words is not None else {}
        return [IndexHit(id, document, similarity.get(id), bm25.get(id, 0.0)) for id, document in documents.items()]

    async def missing(self, ids: Sequence[UUID], *, generation: str) -> Sequence[UUID]:
        """Those of these points that a generation does not hold."""
        target = self._collection(await self._get(generation))
        with self._translated_errors():
            found = await self._client.retrieve(target, list(ids), with_payload=False, with_vectors=False)
        there = {UUID(str(record.id)) for record in found}
        return [id for id in ids if id not in there]

    async def count(self, scope: Scope, *, generation: str | None = None) -> int:
        """How many points are inside the scope."""
        target = None if scope.is_empty else await self._find(generation)
        if target is None:
            return 0
        with self._translated_errors():
            found = await self._client.count(self._collection(target), count_filter=_filter(scope), exact=True)
        return found.count

    async def aclose(self) -> None:
        """Let go of the connections."""
        if not self._closed:
            self._closed = True
            await self._client.close()

    def _collection(self, generation: str) -> str:
        return f"{self._prefix}.{generation}"

    async def _find(self, generation: str | None) -> str | None:
        """The name of a generation that exists."""
        state = await self.state()
        name = generation or state.active
        return name if name in state.generations else None

    async def _get(self, generation: str | None) -> str:
        name = await self._find(generation)
        if name is None:
            raise UnknownGenerationError(f"no generation {generation!r}" if generation else "no index is active")
        return name

    async def _dimensions_of(self, generation: str) -> int:
        if generation not in self._dimensions:
            with self._translated_errors():
                info = await self._client.get_collection(self._collection(generation))
            vectors = info.config.params.vectors
            if not isinstance(vectors, dict):
                raise IndexUnavailableError(f"collection {self._collection(generation)} was not made by Fireside")
            self._dimensions[generation] = vectors[CHUNK].size
        return self._dimensions[generation]

    async def _create_collection(self, name: str, dimensions: int) -> None:
        await self._client.create_collection(
            name,
            vectors_config={
                CHUNK: _dense(dimensions),
                WINDOWS: _dense(
                    dimensions,
                    hnsw_config=models.HnswConfigDiff(m=0),  # compared only for chunks that were found already
                    multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
                ),
            },
            sparse_vectors_config={WORDS: models.SparseVectorParams(modifier=models.Modifier.IDF)},
        )
        if not self._local:
            for field in (COLLECTION_FIELD, DOCUMENT_FIELD):
                await self._client.create_payload_index(name, field, models.PayloadSchemaType.UUID, wait=True)

    async def _delete(self, selector: models.PointIdsList | models.FilterSelector) -> None:
        for generation in (await self.state()).generations:
            with self._translated_errors():
                await self._client.delete(self._collection(generation), points_selector=selector, wait=True)

    async def _query(
        self, generation: str, requests: list[models.QueryRequest]
    ) -> Sequence[Sequence[models.ScoredPoint]]:
        if not requests:
            return ()
        with self._translated_errors():
            replies = await self._client.query_batch_points(self._collection(generation), requests=requests)
        return [reply.points for reply in replies]

    @contextmanager
    def _translated_errors(self) -> Generator[None]:
        """Turn what the client raises into errors of the port."""
        if self._closed:
            raise IndexUnavailableError("the search index was closed")
        try:
            yield
        except (ApiException, ResponseHandlingException, UnexpectedResponse, OSError, ValueError) as error:
            if _is_unknown_collection(error):
                raise UnknownGenerationError("the generation was dropped meanwhile") from error
            raise IndexUnavailableError(f"the Qdrant server cannot be used: {error}") from error


def _is_unknown_collection(error: Exception) -> bool:
    """Whether a server, or the local mode with its bare ValueError, says that there is no such collection."""
    if isinstance(error, UnexpectedResponse):
        return error.status_code == 404
    return isinstance(error, ValueError) and "not found" in str(error)


def _dense(dimensions: int, **options: Any) -> models.VectorParams:
    half = models.Datatype.FLOAT16
    return models.VectorParams(size=dimensions, distance=models.Distance.DOT, datatype=half, **options)


def _point(point: IndexPoint) -> models.PointStruct:
    vectors: dict[str, Any] = {}
    if len(point.windows):
        vectors[CHUNK] = point.windows.mean(axis=0).tolist()
        vectors[WINDOWS] = point.windows.tolist()
    if len(point.words.terms):
        vectors[WORDS] = _sparse(point.words)
    payload = {COLLECTION_FIELD: str(point.collection_id), DOCUMENT_FIELD: str(point.document_id)}
    return models.PointStruct(id=str(point.id), vector=vectors, payload=payload)


def _requests(
    vector: NDArray[np.float32] | None,
    words: SparseVector | None,
    *,
    using: str,
    scope: models.Filter,
    corpus: models.Filter,
    limit: int,
) -> list[models.QueryRequest]:
    """One request by meaning and one by words, as far as the query has both."""
    common: dict[str, Any] = {"filter": scope, "limit": limit, "with_payload": [DOCUMENT_FIELD]}
    requests: list[models.QueryRequest] = []
    if vector is not None:
        requests.append(models.QueryRequest(query=models.NearestQuery(nearest=vector.tolist()), using=using, **common))
    if words is not None:
        # a corpus keeps statistics of others' chunks out, and unlike the engine's own it is exact after deletions
        idf = models.SearchParams(idf=models.IdfCorpusParams(corpus=corpus))
        nearest = models.NearestQuery(nearest=_sparse(words))
        requests.append(models.QueryRequest(query=nearest, using=WORDS, params=idf, **common))
    return requests


def _sparse(words: SparseVector) -> models.SparseVector:
    return models.SparseVector(indices=words.terms.tolist(), values=words.weights.tolist())


def _filter(scope: Scope) -> models.Filter:
    limits = ((COLLECTION_FIELD, scope.collection_ids), (DOCUMENT_FIELD, scope.document_ids))
    return models.Filter(
        must=[
            models.FieldCondition(key=field, match=models.MatchAny(any=[str(id) for id in ids]))
            for field, ids in limits
            if ids is not None
        ]
    )

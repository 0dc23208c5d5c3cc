"""The vectors service: keeps the search index and searches it within what the asker may see."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from time import perf_counter

from fireside.contracts.base import Nothing
from fireside.contracts.vectors import (
    ACTIVATE,
    COUNT,
    DELETE,
    DROP,
    GENERATIONS,
    MISSING,
    PREPARE,
    SEARCH,
    UPSERT,
    Candidate,
    Candidates,
    ChunkCount,
    CountChunks,
    DeleteChunks,
    FindMissing,
    GenerationName,
    IndexedChunk,
    IndexGenerations,
    MissingChunks,
    PrepareGeneration,
    SearchChunks,
    SearchScope,
    UpsertChunks,
)
from fireside.core.errors import FiresideError
from fireside.core.ids import ChunkId, DocumentId
from fireside.ports.vector_index import IndexPoint, IndexQuery, Scope, VectorIndex
from fireside.runtime.health import Check
from fireside.runtime.mesh import Context, Service, action
from fireside.services.vectors.keywords import index_keywords, query_keywords
from fireside.services.vectors.windows import blend_windows, read_vectors


class VectorsService(Service):
    """Adds, removes, finds and counts chunks in one index."""

    name = "vectors"

    def __init__(self, *, index: VectorIndex) -> None:
        """Serve an index, which is opened and closed with the service."""
        self._index = index

    async def open(self) -> None:
        """Open the index."""
        await self._index.open()

    async def close(self) -> None:
        """Let go of the index."""
        await self._index.aclose()

    async def health(self) -> Mapping[str, Check]:
        """Whether the index answers."""
        started = perf_counter()
        try:
            await self._index.state()
        except FiresideError as error:
            return {"vector index": Check("failed", error.message)}
        return {"vector index": Check("ok", latency_ms=(perf_counter() - started) * 1000)}

    @action(UPSERT)
    async def upsert(self, context: Context, request: UpsertChunks) -> Nothing:  # noqa: ARG002
        """Add or replace chunks; they are found as soon as this returns.

        Raises:
            UnknownGenerationError: There is no such generation, or none is active.
            VectorShapeError: A vector has another length than the generation's.
        """
        dimensions = await self._index.dimensions(request.generation)
        points = await asyncio.to_thread(_points, request.chunks, dimensions)
        await self._index.upsert(points, generation=request.generation)
        return Nothing()

    @action(DELETE)
    async def delete(self, context: Context, request: DeleteChunks) -> Nothing:  # noqa: ARG002
        """Remove chunks from every generation; what is not there is ignored."""
        await self._index.delete(request.chunk_ids)
        await self._index.delete_in(Scope(document_ids=frozenset(request.document_ids)))
        await self._index.delete_in(Scope(collection_ids=frozenset(request.collection_ids)))
        return Nothing()

    @action(SEARCH)
    async def search(self, context: Context, request: SearchChunks) -> Candidates:  # noqa: ARG002
        """Find chunks by meaning, by words, or both.

        Raises:
            UnknownGenerationError: There is no such generation.
            VectorShapeError: The query's vector has another length than the index was made for.
        """
        vector = read_vectors(request.vector)
        words = query_keywords(request.text)
        query = IndexQuery(
            scope=_scope(request.scope),
            vector=vector[0] if len(vector) else None,
            words=words,
            limit=request.limit,
            generation=request.generation,
        )
        spread = math.sqrt(max(1.0, float(words.weights.sum())))
        return Candidates(
            items=tuple(
                Candidate(
                    chunk_id=ChunkId(hit.id),
                    document_id=DocumentId(hit.document_id),
                    similarity=hit.similarity,
                    keyword=hit.bm25 / spread,
                )
                for hit in await self._index.search(query)
            )
        )

    @action(COUNT)
    async def count(self, context: Context, request: CountChunks) -> ChunkCount:  # noqa: ARG002
        """How many chunks a generation has in a scope."""
        scope = Scope() if request.scope is None else _scope(request.scope)
        return ChunkCount(count=await self._index.count(scope, generation=request.generation))

    @action(MISSING)
    async def missing(self, context: Context, request: FindMissing) -> MissingChunks:  # noqa: ARG002
        """Which of these chunks a generation does not hold.

        Raises:
            UnknownGenerationError: There is no such generation.
        """
        lacking = await self._index.missing(request.chunk_ids, generation=request.generation)
        return MissingChunks(chunk_ids=tuple(lacking))

    @action(GENERATIONS)
    async def generations(self, context: Context, request: Nothing) -> IndexGenerations:  # noqa: ARG002
        """The generations of the index."""
        return await self._generations()

    @action(PREPARE)
    async def prepare(self, context: Context, request: PrepareGeneration) -> IndexGenerations:  # noqa: ARG002
        """Make a generation, unless it exists; the first one becomes the active one.

        Raises:
            InvalidInputError: The name is not of the form an index takes.
            VectorShapeError: It exists with another number of dimensions.
        """
        await self._index.create(request.generation, dimensions=request.dimensions)
        if (await self._index.state()).active is None:
            await self._index.activate(request.generation)
        return await self._generations()

    @action(ACTIVATE)
    async def activate(self, context: Context, request: GenerationName) -> IndexGenerations:  # noqa: ARG002
        """Search this generation from now on.

        Raises:
            UnknownGenerationError: There is none of that name.
        """
        await self._index.activate(request.generation)
        return await self._generations()

    @action(DROP)
    async def drop(self, context: Context, request: GenerationName) -> IndexGenerations:  # noqa: ARG002
        """Remove a generation; nothing happens when there is none.

        Raises:
            ActiveGenerationError: It is the active one.
        """
        await self._index.drop(request.generation)
        return await self._generations()

    async def _generations(self) -> IndexGenerations:
        state = await self._index.state()
        return IndexGenerations(generations=state.generations, active=state.active)


def _scope(scope: SearchScope) -> Scope:
    documents = None if scope.document_ids is None else frozenset(scope.document_ids)
    return Scope(collection_ids=frozenset(scope.collection_ids), document_ids=documents)


def _points(chunks: Sequence[IndexedChunk], dimensions: int) -> list[IndexPoint]:
    return [
        IndexPoint(
            id=chunk.chunk_id,
            document_id=chunk.document_id,
            collection_id=chunk.collection_id,
            windows=blend_windows(read_vectors(chunk.vectors, dimensions=dimensions)),
            words=index_keywords(chunk.text),
        )
        for chunk in chunks
    ]

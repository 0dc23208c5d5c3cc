"""The search index inside this process: Qdrant Edge, on files that only one process may hold.

Every search compares all chunks in the scope, exactly: there is no approximate graph to build, and so nothing to wait
for. The engine holds Python's global lock while it works, so one thread serves all calls, in order. How far that
carries, and why: docs/decisions/the-index-compares-every-chunk.md.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import qdrant_edge as edge
import structlog

from fireside.adapters.vector_index import edge_points, layout
from fireside.adapters.vector_index.edge_shards import EdgeShards, translated_errors
from fireside.ports.vector_index import IndexHit, IndexPoint, IndexQuery, IndexState, IndexUnavailableError, Scope

log = structlog.stdlib.get_logger(__name__)

ResultT = TypeVar("ResultT")

_FLUSH_AFTER_S = 2.0


class QdrantEdgeIndex:
    """A `VectorIndex` in a folder.

    What `upsert` and `delete` acknowledged survives the death of the process at once, and a loss of power after two
    seconds at most.
    """

    def __init__(self, folder: Path, *, flush_after_s: float = _FLUSH_AFTER_S) -> None:
        """Nothing is opened or written before `open`.

        Args:
            folder: Made when it is not there.
            flush_after_s: How long after a write its files are flushed, at the latest.
        """
        self._flush_after_s = flush_after_s
        self._shards = EdgeShards(folder)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vector-index")
        self._closed = False
        self._flush_timer: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Open the files."""
        await self._run(self._shards.open)

    async def state(self) -> IndexState:
        """The generations."""
        return await self._run(self._shards.state)

    async def create(self, generation: str, *, dimensions: int) -> None:
        """Make an empty generation."""
        layout.check_generation_name(generation)
        await self._run(lambda: self._shards.create(generation, dimensions=dimensions))

    async def dimensions(self, generation: str | None = None) -> int:
        """Length of a generation's vectors."""
        return (await self._run(lambda: self._shards.get(generation))).dimensions

    async def activate(self, generation: str) -> None:
        """Search this generation from now on."""
        await self._run(lambda: self._shards.activate(generation))

    async def drop(self, generation: str) -> None:
        """Remove a generation."""
        await self._run(lambda: self._shards.drop(generation))

    async def upsert(self, points: Sequence[IndexPoint], *, generation: str | None = None) -> None:
        """Add or replace points."""
        target = await self._run(lambda: self._shards.get(generation))
        layout.check_points(points, dimensions=target.dimensions)
        for batch in layout.batches(points):
            await self._run(lambda batch=batch: edge_points.upsert(target.shard, batch))
        self._flush_soon()

    async def delete(self, ids: Sequence[UUID]) -> None:
        """Remove points from every generation."""
        if ids:
            await self._update_all(edge.UpdateOperation.delete_points(list(ids)))

    async def delete_in(self, scope: Scope) -> None:
        """Remove every point inside the scope from every generation."""
        if not scope.is_empty:
            await self._update_all(edge.UpdateOperation.delete_points_by_filter(edge_points.scope_filter(scope)))

    async def search(self, query: IndexQuery) -> Sequence[IndexHit]:
        """Search one generation."""
        if query.scope.is_empty:
            return ()
        return await self._run(lambda: self._search(query))

    async def missing(self, ids: Sequence[UUID], *, generation: str) -> Sequence[UUID]:
        """Those of these points that a generation does not hold."""
        return await self._run(lambda: edge_points.missing(self._shards.get(generation).shard, ids))

    async def count(self, scope: Scope, *, generation: str | None = None) -> int:
        """How many points are inside the scope."""
        if scope.is_empty:
            return 0
        return await self._run(lambda: self._count(scope, generation))

    async def aclose(self) -> None:
        """Write everything down and let go of the files."""
        if self._closed:
            return
        self._closed = True
        if self._flush_timer is not None:
            self._flush_timer.cancel()
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._shards.close)
        finally:
            self._thread.shutdown()

    async def _run(self, work: Callable[[], ResultT]) -> ResultT:
        if self._closed:
            raise IndexUnavailableError("the search index was closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _update_all(self, operation: edge.UpdateOperation) -> None:
        await self._run(lambda: self._apply(operation))
        self._flush_soon()

    def _apply(self, operation: edge.UpdateOperation) -> None:
        with translated_errors():
            for generation in self._shards.generations.values():
                generation.shard.update(operation)

    def _flush_soon(self) -> None:
        if self._flush_timer is None and not self._closed:
            self._flush_timer = asyncio.get_running_loop().call_later(self._flush_after_s, self._begin_flush)

    def _begin_flush(self) -> None:
        self._flush_timer = None
        self._thread.submit(self._flush)

    def _flush(self) -> None:
        try:
            self._shards.flush()
        except IndexUnavailableError as error:  # the next write tries again; nobody waits for this one
            log.warning("vector_index_not_flushed", detail=error.message)

    def _count(self, scope: Scope, name: str | None) -> int:
        generation = self._shards.find(name)
        if generation is None:
            return 0
        with translated_errors():
            return generation.shard.count(edge.CountRequest(filter=edge_points.scope_filter(scope), exact=True))

    def _search(self, query: IndexQuery) -> Sequence[IndexHit]:
        generation = self._shards.find(None) if query.generation is None else self._shards.get(query.generation)
        if generation is None:
            return ()
        layout.check_query(query.vector, dimensions=generation.dimensions)
        return edge_points.search(generation.shard, query)

"""The job that moves the search index to another embedding model, while the old generation is still searched.

It goes through all documents in order of their ids and notes how far it is; documents that are added meanwhile are
written to both generations by the job that indexes them. At the end the new generation takes over and the old ones go.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fireside.contracts import embeddings, vectors
from fireside.contracts.base import Nothing
from fireside.runtime.context import Context
from fireside.runtime.durable import Database, JobRun
from fireside.services.documents.index_writer import Generations, find_generations, write_entries
from fireside.services.documents.model import Document
from fireside.services.documents.preparing import Preparing
from fireside.services.documents.repository import documents
from fireside.services.documents.search_cache import SearchCache
from fireside.services.documents.settings import DocumentsSettings

_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Reembedding:
    """Fills the generation of the present embedding model."""

    database: Database
    preparing: Preparing
    searches: SearchCache
    settings: DocumentsSettings

    async def is_due(self, context: Context) -> bool:
        """Whether the index is searched in another generation than the embedding model's.

        Raises:
            UnavailableError: The embedding model or the index is not available.
        """
        model = await context.call(embeddings.MODEL, Nothing())
        index = await context.call(vectors.GENERATIONS, Nothing())
        return index.active is not None and index.active != model.index_name

    async def reembed(self, context: Context, run: JobRun) -> dict[str, Any]:
        """Fill the generation, activate it, drop the others.

        Raises:
            UnavailableError: The embedding model or the index is not available; what is done stays done.
        """
        generations = await find_generations(context)
        name = generations.model.index_name
        checkpoint = run.checkpoint if run.checkpoint.get("generation") == name else {}
        after, count = checkpoint.get("after"), int(checkpoint.get("documents", 0))
        total = await self._count()
        while page := await self._next(None if after is None else UUID(after)):
            for document in page:
                await self._reembed_document(context, document, generations)
            after, count = str(page[-1].id), count + len(page)
            await run.save({"generation": name, "after": after, "documents": count})
            await run.progress(99 * count / max(total, count), "embedding", page[-1].path)
        index = await context.call(vectors.ACTIVATE, vectors.GenerationName(generation=name))
        await self.searches.index_changed()
        for other in index.generations:
            if other != name:
                await context.call(vectors.DROP, vectors.GenerationName(generation=other))
        return {"generation": name, "documents": count}

    async def _reembed_document(self, context: Context, document: Document, generations: Generations) -> None:
        stored, _ = await self.preparing.find_stored(document.as_served())
        if stored is None:
            return
        entries, step = stored.entries(), self.settings.index_chunks_at_once
        for start in range(0, len(entries), step):
            await write_entries(context, entries[start : start + step], generations)

    async def _next(self, after: UUID | None) -> list[Document]:
        async with self.database.read() as session:
            return await documents.indexed_after(session, after, limit=_AT_ONCE)

    async def _count(self) -> int:
        async with self.database.read() as session:
            return await documents.count_indexed(session)

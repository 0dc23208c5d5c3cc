"""Embedding what is served into one generation of the index, and seeing that nothing is missing from it."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from uuid import UUID

from fireside.contracts import vectors
from fireside.core.errors import UnavailableError
from fireside.runtime.context import Context
from fireside.runtime.durable import Database
from fireside.services.documents.index_writer import Entry, Target, write_entries
from fireside.services.documents.model import Document
from fireside.services.documents.preparing import Preparing
from fireside.services.documents.repository import contents as content_rows
from fireside.services.documents.repository import documents
from fireside.services.documents.settings import DocumentsSettings

_AT_ONCE = 20
_IDS_AT_ONCE = 1000
_ROUNDS = 10


class IndexNotWholeError(UnavailableError):
    """Passages are still missing from a generation of the index after they were written several times."""

    code = "index_not_whole"


@dataclass(frozen=True, slots=True)
class Filling:
    """Fills one generation."""

    database: Database
    preparing: Preparing
    settings: DocumentsSettings

    async def count(self) -> int:
        """How many documents there are to embed."""
        async with self.database.read() as session:
            return await documents.count_indexed(session)

    async def pages(self, after: UUID | None = None) -> AsyncGenerator[Sequence[Document], None]:
        """The documents that are served, in order of their ids."""
        while page := await self._next(after):
            yield page
            after = page[-1].id

    async def embed(self, context: Context, page: Sequence[Document], target: Target) -> None:
        """Put the passages of documents into the generation, and those out of it again that are outdated by then.

        Raises:
            UnavailableError: The embedding model or the index is not available.
        """
        for document in page:
            entries, step = await self._entries(document), self.settings.index_chunks_at_once
            for start in range(0, len(entries), step):
                await write_entries(context, entries[start : start + step], [target])
            self.database.probe("document embedded")
            await self._take_back(context, document, entries)

    async def complete(self, context: Context, target: Target) -> int:
        """Look through all documents until the generation holds every passage that is served.

        Returns:
            How many passages those are.

        Raises:
            IndexNotWholeError: Passages are missing again and again.
            UnavailableError: The embedding model or the index is not available.
        """
        lacking = 0
        for _ in range(_ROUNDS):
            found, lacking = 0, 0
            async for page in self.pages():
                count, short = await self._lacking(context, page, target)
                found, lacking = found + count, lacking + len(short)
                await self.embed(context, short, target)
            if not lacking:
                return found
        raise IndexNotWholeError(f"{lacking} documents are still not whole in generation {target.generation}")

    async def _next(self, after: UUID | None) -> list[Document]:
        async with self.database.read() as session:
            return await documents.indexed_after(session, after, limit=_AT_ONCE)

    async def _lacking(
        self, context: Context, page: Sequence[Document], target: Target
    ) -> tuple[int, Sequence[Document]]:
        """How many passages documents have, and those documents of which the generation lacks some."""
        async with self.database.read() as session:
            served = await content_rows.served_ids(session, [document.id for document in page])
        ids = list(served)
        short: set[UUID] = set()
        for start in range(0, len(ids), _IDS_AT_ONCE):
            part = tuple(ids[start : start + _IDS_AT_ONCE])
            asked = vectors.FindMissing(generation=target.generation, chunk_ids=part)
            missing = await context.call(vectors.MISSING, asked)
            short |= {served[chunk_id] for chunk_id in missing.chunk_ids}
        return len(ids), [document for document in page if document.id in short]

    async def _entries(self, document: Document) -> list[Entry]:
        """The passages of a document as they are served, cut as they were when it was read."""
        served = document.as_served()
        stored, _ = await self.preparing.find_stored(served)
        if stored is not None:
            return stored.entries()
        async with self.database.read() as session:
            passages = await self.preparing.contents.passages(session, served.id, served.version)
        texts = ["\n".join(filter(None, (served.title, passage.heading, passage.text))) for passage in passages]
        return [
            Entry(passage.id, served.id, served.collection_id, text, (text,))
            for passage, text in zip(passages, texts, strict=True)
        ]

    async def _take_back(self, context: Context, document: Document, entries: Sequence[Entry]) -> None:
        """Delete from the index what was outdated or deleted while it was written."""
        async with self.database.read() as session:
            now = (await documents.find_all(session, [document.id])).get(document.id)
        if now is None:
            await context.call(vectors.DELETE, vectors.DeleteChunks(document_ids=(document.id,)))
        elif now.live_version != document.live_version:
            outdated = tuple(entry.chunk_id for entry in entries)
            await context.call(vectors.DELETE, vectors.DeleteChunks(chunk_ids=outdated))

"""Looking at documents: lists, single ones, their text, their passages, their files."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fireside.contracts.documents import (
    ChunkPage,
    DocumentContent,
    DocumentPage,
    DocumentView,
    FilePiece,
    ListChunks,
    ListDocuments,
)
from fireside.core.clock import Clock
from fireside.core.ids import CollectionId
from fireside.runtime.context import Context
from fireside.runtime.durable import Database
from fireside.services.documents.access import readable_collections, readable_document, resolve_collection
from fireside.services.documents.cursors import after_id, after_number, id_of, number_of
from fireside.services.documents.errors import DocumentNotReadyError
from fireside.services.documents.model import Asker, Document
from fireside.services.documents.repository import documents
from fireside.services.documents.repository.contents import Contents
from fireside.services.documents.repository.documents import Page
from fireside.services.documents.stored_files import StoredFiles
from fireside.services.documents.views import chunk_view, content_view, document_view


@dataclass(frozen=True, slots=True)
class Reading:
    """Shows documents to those who may read them."""

    database: Database
    contents: Contents
    files: StoredFiles
    clock: Clock

    async def page(self, context: Context, request: ListDocuments) -> DocumentPage:
        """Documents that the caller may read, newest first.

        Raises:
            CollectionNotFoundError: A collection was named that is not there for the caller.
            InvalidCursorError: The cursor is not one of a page.
        """
        asker = Asker.of(context.identity)
        async with self.database.read() as session:
            wanted = Page(
                collection_ids=await self._collection_ids(session, asker, request.collection),
                limit=request.limit + 1,
                before=None if request.cursor is None else id_of(request.cursor),
                state=request.state,
                words=request.query,
            )
            found = await documents.page(session, wanted)
        shown = found[: request.limit]
        next_cursor = after_id(shown[-1].id) if len(found) > request.limit else None
        return DocumentPage(items=tuple(document_view(document) for document in shown), next_cursor=next_cursor)

    async def get(self, context: Context, document_id: UUID) -> DocumentView:
        """One document.

        Raises:
            DocumentNotFoundError: There is none that the caller may read.
        """
        async with self.database.read() as session:
            document, _ = await readable_document(session, Asker.of(context.identity), document_id)
        return document_view(document)

    async def content(self, context: Context, document_id: UUID) -> DocumentContent:
        """The text whose passages are found.

        Raises:
            DocumentNotFoundError: There is none that the caller may read.
            DocumentNotReadyError: It was not read yet, or could not be.
        """
        async with self.database.read() as session:
            document, _ = await readable_document(session, Asker.of(context.identity), document_id)
            parsed = await self.contents.find_text(session, document.id, document.live_version)
        if parsed is None:
            raise _not_ready(document)
        return content_view(document, parsed)

    async def chunks(self, context: Context, request: ListChunks) -> ChunkPage:
        """The passages that are found, in order.

        Raises:
            DocumentNotFoundError: There is none that the caller may read.
            InvalidCursorError: The cursor is not one of a page.
        """
        first = 0 if request.cursor is None else number_of(request.cursor)
        async with self.database.read() as session:
            document, _ = await readable_document(session, Asker.of(context.identity), request.document_id)
            found = await self.contents.passages(
                session, document.id, document.live_version, first=first, limit=request.limit + 1
            )
        shown = found[: request.limit]
        next_cursor = after_number(shown[-1].ordinal + 1) if len(found) > request.limit else None
        return ChunkPage(items=tuple(chunk_view(chunk) for chunk in shown), next_cursor=next_cursor)

    async def download(self, context: Context, document_id: UUID) -> AsyncGenerator[FilePiece, None]:
        """The file as it was uploaded.

        Raises:
            DocumentNotFoundError: There is none that the caller may read.
            DocumentNotReadyError: Its bytes were not kept, because it was refused.
        """
        async with self.database.read() as session:
            document, _ = await readable_document(session, Asker.of(context.identity), document_id)
        if not document.digest:
            raise _not_ready(document)
        name = document.path.rpartition("/")[2]
        yield FilePiece(data=b"", file_name=name, media_type=document.media_type, size_bytes=document.size_bytes)
        async for piece in self.files.open(document.digest):
            yield FilePiece(data=piece)

    async def _collection_ids(self, session: AsyncSession, asker: Asker, reference: str | None) -> list[CollectionId]:
        now = self.clock.now()
        if reference is not None:
            return [(await resolve_collection(session, asker, reference, now=now)).id]
        return [collection.id for collection in await readable_collections(session, asker, now=now)]


def _not_ready(document: Document) -> DocumentNotReadyError:
    state = document.state
    message = f"the document is {state}" + (f": {document.reason}" if document.reason else "")
    return DocumentNotReadyError(message, document_id=str(document.id), state=state)

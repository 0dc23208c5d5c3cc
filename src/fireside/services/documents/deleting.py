"""Documents on their way out: hidden at once, erased by a job."""

from collections.abc import Collection as Ids
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from fireside.contracts import vectors
from fireside.contracts.documents import DocumentDeleted
from fireside.core.clock import Clock
from fireside.core.ids import DocumentId, UserId
from fireside.runtime.context import Context
from fireside.runtime.durable import Database, UnitOfWork
from fireside.services.documents.access import readable_document, require_writable
from fireside.services.documents.model import Asker, Document, personal_id
from fireside.services.documents.repository import collections, contents, documents, objects
from fireside.services.documents.search_cache import SearchCache
from fireside.services.documents.settings import DocumentsSettings
from fireside.services.documents.stored_files import StoredFiles
from fireside.services.documents.work import SWEEP, SweepDocuments

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Deleting:
    """Deletes documents, and erases what they leave behind."""

    database: Database
    files: StoredFiles
    searches: SearchCache
    settings: DocumentsSettings
    clock: Clock

    async def delete(self, context: Context, document_id: UUID) -> None:
        """Delete a document: from now on it is neither listed nor found.

        Raises:
            DocumentNotFoundError: There is none that the caller may read.
            CollectionReadOnlyError: The caller may not change it.
        """
        asker = Asker.of(context.identity)
        async with self.database.transaction(context) as unit:
            document, collection = await readable_document(unit.session, asker, document_id)
            require_writable(collection, asker)
            await self.bury(unit, [document])
        await self.searches.collections_changed([document.collection_id])

    async def delete_of_user(self, unit: UnitOfWork, user_id: UserId) -> None:
        """Delete the collections of a user whose account is gone, with all documents in them."""
        owned = await collections.owned_by(unit.session, user_id)
        await self.bury_all(unit, await documents.ids_in(unit.session, owned))
        await collections.remove(unit.session, owned)
        await collections.remove_memberships(unit.session, user_id)
        self.searches.collections_gone([personal_id(user_id), *owned])

    async def bury_all(self, unit: UnitOfWork, document_ids: Sequence[DocumentId]) -> None:
        """Hide any number of documents and have them erased."""
        for start in range(0, len(document_ids), _AT_ONCE):
            found = await documents.find_all(unit.session, document_ids[start : start + _AT_ONCE], lock=True)
            await self.bury(unit, list(found.values()))

    async def bury(self, unit: UnitOfWork, buried: Sequence[Document]) -> None:
        """Hide documents, state that they are deleted, and have the rest erased."""
        ids = [document.id for document in buried]
        await documents.mark_deleted(unit.session, ids, now=self.clock.now())
        for document in buried:
            unit.emit(
                DocumentDeleted(document_id=document.id, collection_id=document.collection_id, path=document.path)
            )
        if ids:
            digests = tuple({document.digest for document in buried} - {""})
            unit.enqueue(SWEEP, SweepDocuments(document_ids=tuple(ids), digests=digests), owner_id=None)

    async def sweep(self, context: Context, request: SweepDocuments) -> None:
        """Erase what is left of deleted documents and of outdated versions, and bytes that nothing refers to.

        Each step is harmless to repeat: the index first, then the rows, then the bytes.
        """
        async with self.database.read() as session:
            gone = await documents.deleted_of(session, request.document_ids)
        if gone:
            await context.call(vectors.DELETE, vectors.DeleteChunks(document_ids=tuple(gone)))
            self.database.probe("chunks out of the index")
        for document_id in set(request.document_ids) - set(gone):
            await self._sweep_outdated(context, document_id)
        await self._erase_rows(gone)
        await self.files.release(request.digests)

    async def _sweep_outdated(self, context: Context, document_id: UUID) -> None:
        while True:
            async with self.database.read() as session:
                chunk_ids = await contents.outdated(session, document_id, limit=_AT_ONCE)
            if chunk_ids:
                await context.call(vectors.DELETE, vectors.DeleteChunks(chunk_ids=tuple(chunk_ids)))
            async with self.database.transaction(context) as unit:
                await contents.remove_passages(unit.session, chunk_ids)
                if len(chunk_ids) < _AT_ONCE:
                    await contents.remove_outdated_texts(unit.session, document_id)
                    return

    async def _erase_rows(self, document_ids: Ids[DocumentId]) -> None:
        if not document_ids:
            return
        async with self.database.transaction() as unit:
            await contents.erase(unit.session, document_ids)
            await documents.erase(unit.session, document_ids)
        self.database.probe("document erased")

    async def drop_leftovers(self) -> None:
        """Forget received files that were never added, and bytes that a process which died left behind."""
        before = self.clock.now() - timedelta(seconds=self.settings.upload_ttl_s)
        async with self.database.transaction() as unit:
            digests = await objects.drop_expired_uploads(unit.session, before=before)
        await self.files.release(set(digests))
        await self.files.erase_unknown()

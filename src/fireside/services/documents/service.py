"""The documents service: its actions and jobs, and the parts it is put together from."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import structlog
from pydantic import TypeAdapter

from fireside.contracts import collections, documents
from fireside.contracts.auth_facts import UserDeleted
from fireside.contracts.base import Nothing
from fireside.contracts.conversation import OwnerErased
from fireside.contracts.embedding_models import (
    LIST_MODELS,
    USE_MODEL,
    EmbeddingModelsView,
    MoveBegun,
    UseEmbeddingModel,
)
from fireside.contracts.jobs import JobFinished
from fireside.contracts.vectors import SEARCH, SearchChunks
from fireside.core.clock import Clock
from fireside.core.errors import FiresideError
from fireside.core.tasks import end
from fireside.ports.document_parser import DocumentParser
from fireside.ports.node_notes import NodeNotes
from fireside.ports.object_store import ObjectStore
from fireside.ports.secret_box import SecretBox
from fireside.runtime.caching import Cache, Often
from fireside.runtime.context import Context
from fireside.runtime.durable import Database, DurableService, JobRun, UnitOfWork, on_job
from fireside.runtime.mesh import action, on_event, on_signal, stream_action
from fireside.services.documents.deleting import Deleting
from fireside.services.documents.embedding_models import EmbeddingChoice
from fireside.services.documents.index_filling import Filling
from fireside.services.documents.index_moving import Moving
from fireside.services.documents.indexing import Indexing
from fireside.services.documents.managing import Managing
from fireside.services.documents.model import personal_id
from fireside.services.documents.preparing import Preparing
from fireside.services.documents.reading import Reading
from fireside.services.documents.receiving import Receiving
from fireside.services.documents.repository.contents import Contents
from fireside.services.documents.sealing import TextSeals
from fireside.services.documents.search_cache import SearchCache
from fireside.services.documents.searching import Searching
from fireside.services.documents.settings import DocumentsSettings
from fireside.services.documents.stored_files import StoredFiles
from fireside.services.documents.work import INDEX, MOVE, SWEEP, IndexDocuments, MoveIndex, SweepDocuments

log = structlog.stdlib.get_logger(__name__)

_CARE_INTERVAL_S = 1800.0


class DocumentsService(DurableService):
    """Knowledge: collections, documents, passages."""

    name = "documents"

    def __init__(  # noqa: PLR0913 - everything it needs from outside, passed by name in one place
        self,
        *,
        database: Database,
        store: ObjectStore,
        parser: DocumentParser,
        box: SecretBox,
        settings: DocumentsSettings,
        clock: Clock,
        cache: Cache | None = None,
        notes: NodeNotes | None = None,
    ) -> None:
        """Put the service together.

        Args:
            database: The service's own.
            store: Keeps the bytes of files.
            parser: Reads files.
            box: Seals texts at rest.
            settings: Limits.
            clock: Tells the time.
            cache: Keeps what searches found; nothing does without one.
            notes: Tell after a start which searches came most often; sealed, because they hold their words.
        """
        super().__init__(database=database)
        contents = Contents(TextSeals(box))
        files = StoredFiles(database=database, store=store)
        often = Often(TypeAdapter(SearchChunks), most=settings.warm_searches, clock=clock, notes=notes)
        self._searches = searches = SearchCache(cache, ttl_s=lambda: settings.search_cache_ttl_s, often=often)
        preparing = Preparing(database, contents, files, parser, settings)
        self._store, self._parser = store, parser
        self._reading = Reading(database, contents, files, clock)
        self._receiving = Receiving(database=database, files=files, parser=parser, settings=settings, clock=clock)
        self._deleting = Deleting(database, files, searches, settings, clock)
        self._managing = Managing(database, self._deleting, clock)
        self._indexing = Indexing(database, contents, preparing, searches, settings, clock)
        self._moving = Moving(database, Filling(database, preparing, settings), searches, settings)
        self._choice = EmbeddingChoice(database)
        self._searching = Searching(database, contents, searches, settings, clock)
        self._care: asyncio.Task[None] | None = None

    async def start(self, context: Context) -> None:
        """Look after leftovers and the embedding model from time to time, and make the usual searches."""
        asking = context.as_service(self.name)
        await self._searches.start(lambda wanted: asking.call(SEARCH, wanted))
        self._care = asyncio.create_task(self._take_care(context))

    async def stop(self) -> None:
        """End what `start` began, and note which searches came most often."""
        await end(self._care)
        await self._searches.stop()

    async def close(self) -> None:
        """Let go of readers, objects and the database."""
        await self._parser.aclose()
        await self._store.aclose()
        await super().close()

    async def _take_care(self, context: Context) -> None:
        while True:
            try:
                await self._deleting.drop_leftovers()
                await self._choice.see_to_it(context)
            except FiresideError as error:
                log.info("documents_not_looked_after", code=error.code)
            except Exception:  # the outermost loop: the next round may work
                log.exception("documents_not_looked_after")
            await asyncio.sleep(_CARE_INTERVAL_S)

    @action(documents.STAGE)
    async def stage(self, context: Context, request: documents.StageUpload) -> documents.StagedUpload:
        """Receive one file.

        Raises:
            InvalidPathError: It cannot be kept under this name.
        """
        return await self._receiving.stage(context, request)

    @action(documents.ADD)
    async def add(self, context: Context, request: documents.AddDocuments) -> documents.AddedDocuments:
        """Make documents of received files, and have them read."""
        return await self._receiving.add(context, request)

    @action(documents.REINDEX)
    async def reindex(self, context: Context, request: documents.DocumentRef) -> documents.AddedDocuments:
        """Read a document anew."""
        return await self._receiving.reindex(context, request.document_id)

    @action(documents.LIST)
    async def list_page(self, context: Context, request: documents.ListDocuments) -> documents.DocumentPage:
        """List documents that the caller may read, newest first."""
        return await self._reading.page(context, request)

    @action(documents.GET)
    async def get(self, context: Context, request: documents.DocumentRef) -> documents.DocumentView:
        """One document."""
        return await self._reading.get(context, request.document_id)

    @action(documents.DELETE)
    async def delete(self, context: Context, request: documents.DocumentRef) -> Nothing:
        """Delete a document."""
        await self._deleting.delete(context, request.document_id)
        return Nothing()

    @action(documents.CONTENT)
    async def content(self, context: Context, request: documents.DocumentRef) -> documents.DocumentContent:
        """Show the text of a document."""
        return await self._reading.content(context, request.document_id)

    @stream_action(documents.DOWNLOAD)
    async def download(
        self, context: Context, request: documents.DocumentRef
    ) -> AsyncGenerator[documents.FilePiece, None]:
        """Send a file as it was uploaded."""
        async with aclosing(self._reading.download(context, request.document_id)) as pieces:
            async for piece in pieces:
                yield piece

    @action(documents.CHUNKS)
    async def chunks(self, context: Context, request: documents.ListChunks) -> documents.ChunkPage:
        """List the passages of a document."""
        return await self._reading.chunks(context, request)

    @action(documents.SEARCH)
    async def search(self, context: Context, request: documents.SearchDocuments) -> documents.Passages:
        """Find the passages that answer a query, best first.

        Raises:
            EmptyQueryError: The query is blank.
        """
        return await self._searching.search(context, request)

    @action(LIST_MODELS)
    async def list_embedding_models(self, context: Context, request: Nothing) -> EmbeddingModelsView:  # noqa: ARG002
        """List the embedding models, and say which one is searched with."""
        return await self._choice.show(context)

    @action(USE_MODEL)
    async def use_embedding_model(self, context: Context, request: UseEmbeddingModel) -> MoveBegun:
        """Have everything embedded anew with another model, and then search with that."""
        return MoveBegun(job_id=await self._choice.use(context, request.model))

    @action(collections.LIST)
    async def list_collections(
        self, context: Context, request: collections.ListCollections
    ) -> collections.CollectionPage:
        """List the collections that the caller may read."""
        return await self._managing.page(context, request)

    @action(collections.GET)
    async def get_collection(self, context: Context, request: collections.CollectionRef) -> collections.CollectionView:
        """One collection."""
        return await self._managing.get(context, request.collection)

    @action(collections.CREATE)
    async def create_collection(
        self, context: Context, request: collections.CreateCollection
    ) -> collections.CollectionView:
        """Make a collection."""
        return await self._managing.create(context, request)

    @action(collections.PATCH)
    async def patch_collection(
        self, context: Context, request: collections.PatchCollection
    ) -> collections.CollectionView:
        """Rename or describe a collection."""
        return await self._managing.patch(context, request)

    @action(collections.DELETE)
    async def delete_collection(self, context: Context, request: collections.CollectionRef) -> Nothing:
        """Delete a collection with its documents."""
        await self._managing.delete(context, request.collection)
        return Nothing()

    @action(collections.MEMBERS)
    async def list_members(self, context: Context, request: collections.CollectionRef) -> collections.Members:
        """List the members of a collection."""
        return await self._managing.members(context, request.collection)

    @action(collections.PUT_MEMBER)
    async def put_member(self, context: Context, request: collections.PutMember) -> collections.Member:
        """Open a collection to a user."""
        return await self._managing.put_member(context, request)

    @action(collections.REMOVE_MEMBER)
    async def remove_member(self, context: Context, request: collections.MemberRef) -> Nothing:
        """Close a collection to a user."""
        await self._managing.remove_member(context, request)
        return Nothing()

    @on_job(INDEX)
    async def run_index(self, context: Context, run: JobRun, payload: IndexDocuments) -> dict[str, Any]:
        """Make documents findable."""
        return await self._indexing.index(context, run, payload)

    @on_job(SWEEP)
    async def run_sweep(self, context: Context, run: JobRun, payload: SweepDocuments) -> dict[str, Any]:
        """Erase what deleted and outdated documents leave behind."""
        run.check_cancelled()
        await self._deleting.sweep(context, payload)
        return {}

    @on_job(MOVE)
    async def run_move(self, context: Context, run: JobRun, payload: MoveIndex) -> dict[str, Any]:
        """Move the search index to another embedding model."""
        return await self._moving.move(context, run, payload.model)

    @on_event(JobFinished)
    async def note_stopped(self, context: Context, event: JobFinished, unit: UnitOfWork) -> None:
        """Say of documents whose job was cancelled or given up why they are not found."""
        del context
        if event.service == self.name and event.kind == INDEX.kind and event.state in {"cancelled", "failed"}:
            detail = (event.error or {}).get("message", "")
            reason = "indexing was cancelled" if event.state == "cancelled" else f"indexing was given up: {detail}"
            await self._indexing.note_stopped(unit, event.job_id, reason)

    @on_event(UserDeleted)
    async def erase_user(self, context: Context, event: UserDeleted, unit: UnitOfWork) -> None:
        """Delete what a user kept whose account is gone."""
        del context
        await self._deleting.delete_of_user(unit, event.user_id)

    @on_signal(OwnerErased)
    async def forget_searches(self, _context: Context, signal: OwnerErased) -> None:
        """Remember no search of a user who is gone; the fact of that is handled on one node alone."""
        self._searches.collections_gone([personal_id(signal.owner_id)])

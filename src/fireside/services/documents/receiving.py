"""Files on their way in: received one by one, then recorded together with the job that reads them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from uuid import UUID

from fireside.contracts.documents import AddDocuments, AddedDocuments, StagedUpload, StageUpload
from fireside.core.clock import Clock
from fireside.core.errors import FiresideError, error_from_dict
from fireside.core.ids import DocumentId, UserId, new_id
from fireside.ports.document_parser import (
    DocumentParser,
    DocumentTooLargeError,
    EmptyDocumentError,
    UnsupportedDocumentError,
)
from fireside.ports.object_store import StoredObject
from fireside.runtime.context import Context
from fireside.runtime.durable import Database, UnitOfWork
from fireside.services.documents.access import readable_document, require_writable, target_collection
from fireside.services.documents.errors import CollectionNotFoundError, UploadNotFoundError
from fireside.services.documents.model import Asker, Collection, Document, Upload, latest_by_path
from fireside.services.documents.paths import normalise_path
from fireside.services.documents.repository import collections, documents, objects
from fireside.services.documents.settings import DocumentsSettings
from fireside.services.documents.stored_files import StoredFiles
from fireside.services.documents.views import document_view
from fireside.services.documents.work import INDEX, SWEEP, DocumentVersion, IndexDocuments, SweepDocuments

_UNKNOWN_TYPE = "application/octet-stream"


class Receiving:
    """Takes files in."""

    def __init__(
        self,
        *,
        database: Database,
        files: StoredFiles,
        parser: DocumentParser,
        settings: DocumentsSettings,
        clock: Clock,
    ) -> None:
        self._database = database
        self._files = files
        self._parser = parser
        self._settings = settings
        self._clock = clock

    async def stage(self, context: Context, request: StageUpload) -> StagedUpload:
        """Receive one file. One that cannot be read is noted with the reason; its bytes are not kept.

        Raises:
            InvalidPathError: It cannot be kept under this name.
        """
        path = normalise_path(request.path)
        media_type = self._parser.media_type_of(path, declared=request.media_type)
        refusal = self._refusal(request, path=path, media_type=media_type)
        upload = Upload(
            id=new_id(),
            owner_id=context.identity.user_id,
            path=path,
            media_type=media_type or _UNKNOWN_TYPE,
            digest="",
            size_bytes=len(request.content),
            refusal=refusal.message if refusal else None,
            refusal_code=refusal.code if refusal else None,
            title=request.title,
            url=request.url,
            source_id=request.source_id,
            created_at=self._clock.now(),
        )
        if refusal is None:
            upload = await self._files.keep(context, request.content, partial(_stored, upload))
        else:
            async with self._database.transaction(context) as unit:
                await objects.add_upload(unit.session, upload)
        return StagedUpload(upload_id=upload.id, path=upload.path, refusal=upload.refusal)

    def _refusal(self, request: StageUpload, *, path: str, media_type: str | None) -> FiresideError | None:
        limit = self._settings.max_file_bytes
        if media_type is None:
            return UnsupportedDocumentError(f"{path}: files of this kind cannot be read")
        if len(request.content) > limit:
            return DocumentTooLargeError(f"{path}: the file is larger than {limit // 1024**2} MB")
        if not request.content or request.content.isspace():
            return EmptyDocumentError(f"{path}: the file is empty")
        return None

    async def add(self, context: Context, request: AddDocuments) -> AddedDocuments:
        """Record documents and the job that reads them, in one transaction.

        Equal bytes under a known path change nothing. When some of several files were refused, they become documents
        that failed; when all were, nothing is recorded.

        Raises:
            UploadNotFoundError: An upload is not there, or not the caller's.
            CollectionNotFoundError: There is no such collection for the caller.
            CollectionReadOnlyError: The caller may not write there.
            FiresideError: All files were refused: what is wrong with the first.
        """
        asker, now = Asker.of(context.identity), self._clock.now()
        async with self._database.transaction(context) as unit:
            found = await objects.take_uploads(unit.session, request.uploads, owner_id=context.identity.user_id)
            uploads = latest_by_path(_in_order(request.uploads, found))
            _require_any_readable(uploads)
            collection = await target_collection(unit.session, asker, request.collection, now=now)
            if collection.kind == "personal":
                await collections.ensure(unit.session, collection)
            if not await collections.lock(unit.session, collection.id):
                raise CollectionNotFoundError(collection=str(collection.id))
            recorded = await self._record(unit, uploads, collection, now=now)
            return await self._with_job(unit, recorded, owner_id=context.identity.user_id)

    async def reindex(self, context: Context, document_id: UUID) -> AddedDocuments:
        """Read a document anew, as after an error that has passed.

        Raises:
            DocumentNotFoundError: There is none that the caller may read.
            CollectionReadOnlyError: The caller may not change it.
        """
        asker = Asker.of(context.identity)
        async with self._database.transaction(context) as unit:
            document, collection = await readable_document(unit.session, asker, document_id)
            require_writable(collection, asker)
            if document.digest:
                document = document.renewed()
                await documents.save(unit.session, document)
            return await self._with_job(unit, [document], owner_id=context.identity.user_id)

    async def _record(
        self, unit: UnitOfWork, uploads: Sequence[Upload], collection: Collection, *, now: datetime
    ) -> list[Document]:
        paths = [upload.path for upload in uploads]
        known = await documents.find_by_path(unit.session, collection.id, paths, lock=True)
        recorded: list[Document] = []
        for upload in uploads:
            before = known.get(upload.path)
            if before is None:
                document = Document.of(upload, collection.id, document_id=DocumentId(new_id()))
                await documents.add(unit.session, document)
            else:
                document = before.updated(upload, now=now)
                if document != before:
                    await documents.save(unit.session, document)
            recorded.append(document)
        self._sweep_replaced(unit, known, recorded)
        return recorded

    def _sweep_replaced(self, unit: UnitOfWork, known: dict[str, Document], recorded: Sequence[Document]) -> None:
        kept = {document.digest for document in recorded}
        replaced = {document.digest for document in known.values()} - kept - {""}
        if replaced:
            unit.enqueue(SWEEP, SweepDocuments(digests=tuple(sorted(replaced))), owner_id=None)

    async def _with_job(
        self, unit: UnitOfWork, recorded: Sequence[Document], *, owner_id: UserId | None
    ) -> AddedDocuments:
        versions = [DocumentVersion(document_id=document.id, version=document.version) for document in recorded]
        job_id = unit.enqueue(INDEX, IndexDocuments(documents=tuple(versions)), owner_id=owner_id)
        waiting = [document.id for document in recorded if document.needs_indexing]
        await documents.note_job(unit.session, waiting, job_id)
        return AddedDocuments(documents=tuple(document_view(document) for document in recorded), job_id=job_id)


def _stored(upload: Upload, stored: StoredObject) -> Upload:
    return replace(upload, digest=stored.digest, size_bytes=stored.size_bytes)


def _in_order(wanted: Sequence[UUID], found: dict[UUID, Upload]) -> list[Upload]:
    missing = [str(upload_id) for upload_id in wanted if upload_id not in found]
    if missing:
        raise UploadNotFoundError(f"there is no upload {missing[0]}; send its file again", uploads=missing)
    return [found[upload_id] for upload_id in dict.fromkeys(wanted)]


def _require_any_readable(uploads: Sequence[Upload]) -> None:
    refused = [upload for upload in uploads if upload.refusal is not None]
    if len(refused) == len(uploads):
        files = [{"path": upload.path, "reason": upload.refusal, "code": upload.refusal_code} for upload in refused]
        first = refused[0]
        raise error_from_dict({"code": first.refusal_code, "message": first.refusal, "details": {"files": files}})

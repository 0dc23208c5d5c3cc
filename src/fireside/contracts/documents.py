"""What the documents service offers: keeping files, reading them into passages, finding passages.

Collections say who may read and write: see `fireside.contracts.collections`.
"""

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from fireside.contracts.answer import Passage, Span
from fireside.contracts.base import Action, Contract, Event, Nothing, StreamAction
from fireside.contracts.permissions import DOCUMENTS_READ, DOCUMENTS_WRITE
from fireside.core.ids import ChunkId, CollectionId, DocumentId, JobId

DocumentState = Literal["pending", "indexing", "indexed", "failed"]
SearchMode = Literal["hybrid", "vector", "keyword"]

INDEX_JOB = "documents.index"
"""The kind of the jobs that read, cut and embed documents."""


class DocumentView(Contract):
    """A document as those see it who may read it.

    `path` is the name it was added under, with folders; unique in its collection. `reason` and `reason_code` are set
    while the state is failed. A document that is being read again keeps serving its old passages until the new ones
    are ready. `updated_at` is when its content last changed.
    """

    id: DocumentId
    collection_id: CollectionId
    path: str
    title: str
    media_type: str
    bytes: int
    state: DocumentState
    reason: str | None = None
    reason_code: str | None = None
    source_id: UUID | None = None
    url: str | None = None
    chunk_count: int = 0
    created_at: datetime
    updated_at: datetime
    indexed_at: datetime | None = None


class StageUpload(Contract):
    """One file on its way in. It becomes a document when `documents.add` names its upload id.

    `media_type` is what the sender declared; the ending of the path counts more. `title` and `url` are for sources
    that know them; otherwise the title comes from the content.
    """

    path: str
    content: bytes
    media_type: str = ""
    title: str | None = None
    url: str | None = None
    source_id: UUID | None = None


class StagedUpload(Contract):
    """A file that was received. It is forgotten after an hour unless it is added.

    `refusal` says why it cannot become a document, and is then its document's reason.
    """

    upload_id: UUID
    path: str
    refusal: str | None = None


class AddDocuments(Contract):
    """Make documents of uploads: all recorded in one transaction with the job that reads them.

    `collection` is `shared`, `personal`, or the name or id of another one; None means shared for those who may write
    there, personal for others.
    """

    uploads: tuple[UUID, ...] = Field(min_length=1)
    collection: str | None = None


class AddedDocuments(Contract):
    """The documents, in the order of their uploads, and the job that reads those that are new or changed."""

    documents: tuple[DocumentView, ...]
    job_id: JobId


class DocumentRef(Contract):
    """Which document is meant."""

    document_id: DocumentId


class ListDocuments(Contract):
    """Documents that the caller may read, newest first; `query` is part of a path or title."""

    collection: str | None = None
    state: DocumentState | None = None
    query: str | None = Field(default=None, max_length=200)
    cursor: str | None = None
    limit: int = Field(default=20, ge=1, le=100)


class DocumentPage(Contract):
    """Documents; `next_cursor` is None on the last page."""

    items: tuple[DocumentView, ...] = ()
    next_cursor: str | None = None


class TextBlock(Contract):
    """A stretch of a document's text that belongs together, as `fireside.ports.document_parser.Block` has it."""

    start: int
    end: int
    kind: Literal["heading", "paragraph", "list", "table", "code"]
    level: int = 0
    page: int | None = None


class DocumentContent(Contract):
    """What a document says, as plain text; passages are ranges of it. `level` of a heading counts from 1."""

    document_id: DocumentId
    path: str
    title: str
    media_type: str
    url: str | None = None
    text: str
    blocks: tuple[TextBlock, ...] = ()


class FilePiece(Contract):
    """A piece of a document's file as it was uploaded; the first carries what a download is named after."""

    data: bytes
    file_name: str = ""
    media_type: str = ""
    size_bytes: int = 0


class ChunkView(Contract):
    """A passage of a document: `text` stands at `[start, end)` of its content."""

    chunk_id: ChunkId
    document_id: DocumentId
    ordinal: int
    start: int
    end: int
    text: str
    heading: str | None = None
    page: int | None = None


class ListChunks(Contract):
    """The passages of a document in order."""

    document_id: DocumentId
    cursor: str | None = None
    limit: int = Field(default=20, ge=1, le=100)


class ChunkPage(Contract):
    """Passages; `next_cursor` is None on the last page."""

    items: tuple[ChunkView, ...] = ()
    next_cursor: str | None = None


class SearchDocuments(Contract):
    """Find the passages that answer a query, among those the caller may read.

    `collections` narrows the search: names or ids as in `AddDocuments.collection`; empty means all that are readable.
    `path` narrows it to documents whose path begins so.
    """

    query: str = Field(max_length=4000)
    limit: int = Field(default=20, ge=1, le=100)
    mode: SearchMode = "hybrid"
    collections: tuple[str, ...] = ()
    path: str | None = Field(default=None, max_length=1024)


class FoundPassage(Passage):
    """A passage with the ranges of its text that the query's words or meaning point at."""

    collection_id: CollectionId
    highlights: tuple[Span, ...] = ()


class Passages(Contract):
    """Passages, best first. `degraded` holds one plain sentence for each part of the search that was missing."""

    items: tuple[FoundPassage, ...] = ()
    degraded: tuple[str, ...] = ()


class DocumentIndexed(Event):
    """A document's passages can be found; they replace earlier ones."""

    topic: ClassVar[str] = "documents.indexed"

    document_id: DocumentId
    collection_id: CollectionId
    path: str
    title: str
    chunk_count: int

    @property
    def aggregate_id(self) -> UUID:
        """The document."""
        return self.document_id


class DocumentDeleted(Event):
    """A document is gone: it is listed and found no more. What is left of it is erased soon after."""

    topic: ClassVar[str] = "documents.deleted"

    document_id: DocumentId
    collection_id: CollectionId
    path: str

    @property
    def aggregate_id(self) -> UUID:
        """The document."""
        return self.document_id


STAGE: Action[StageUpload, StagedUpload] = Action(
    "documents.stage", StageUpload, StagedUpload, access=DOCUMENTS_WRITE, timeout_s=120.0
)
ADD: Action[AddDocuments, AddedDocuments] = Action(
    "documents.add", AddDocuments, AddedDocuments, access=DOCUMENTS_WRITE, timeout_s=60.0
)
LIST: Action[ListDocuments, DocumentPage] = Action(
    "documents.list", ListDocuments, DocumentPage, access=DOCUMENTS_READ, idempotent=True
)
GET: Action[DocumentRef, DocumentView] = Action(
    "documents.get", DocumentRef, DocumentView, access=DOCUMENTS_READ, idempotent=True
)
DELETE: Action[DocumentRef, Nothing] = Action("documents.delete", DocumentRef, Nothing, access=DOCUMENTS_WRITE)
REINDEX: Action[DocumentRef, AddedDocuments] = Action(
    "documents.reindex", DocumentRef, AddedDocuments, access=DOCUMENTS_WRITE
)
CONTENT: Action[DocumentRef, DocumentContent] = Action(
    "documents.content", DocumentRef, DocumentContent, access=DOCUMENTS_READ, idempotent=True
)
DOWNLOAD: StreamAction[DocumentRef, FilePiece] = StreamAction(
    "documents.download", DocumentRef, FilePiece, access=DOCUMENTS_READ, idempotent=True
)
CHUNKS: Action[ListChunks, ChunkPage] = Action(
    "documents.chunks", ListChunks, ChunkPage, access=DOCUMENTS_READ, idempotent=True
)
SEARCH: Action[SearchDocuments, Passages] = Action(
    "documents.search", SearchDocuments, Passages, access=DOCUMENTS_READ, idempotent=True
)

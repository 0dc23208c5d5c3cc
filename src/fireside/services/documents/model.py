"""Collections, documents and their passages: what they are and who may do what. No input or output."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from fireside.contracts.collections import CollectionKind, MemberRole
from fireside.contracts.documents import DocumentState
from fireside.contracts.permissions import COLLECTIONS_WRITE
from fireside.core.identity import Identity
from fireside.core.ids import ChunkId, CollectionId, DocumentId, JobId, UserId

SHARED_ID: Final = CollectionId(UUID("00000000-0000-7000-8000-000000000001"))
"""The collection that everyone reads has the same id in every installation."""
STOPPED: Final = "indexing_stopped"
"""The reason code of documents whose job was cancelled or given up; they go on when the job is tried again."""
_PERSONAL: Final = UUID("3e4f0d1c-7a52-4f0b-8a55-0f6d9a6c1b70")


def personal_id(user_id: UserId) -> CollectionId:
    """The id of a user's own collection: known before it is made, so that it is made once."""
    return CollectionId(uuid5(_PERSONAL, str(user_id)))


@dataclass(frozen=True, slots=True)
class Asker:
    """Who wants to read or write knowledge.

    Attributes:
        user_id: The user; None when a part of Fireside acts for itself.
        writes_shared: Whether they may write to shared knowledge.
    """

    user_id: UserId | None
    writes_shared: bool

    @classmethod
    def of(cls, identity: Identity) -> "Asker":
        """The asker behind an identity. A part of Fireside that acts for a user may do what the user may."""
        acts_for_itself = identity.is_service and identity.user_id is None
        return cls(identity.user_id, acts_for_itself or COLLECTIONS_WRITE in identity.permissions)


@dataclass(frozen=True, slots=True)
class Collection:
    """A place where documents live.

    Attributes:
        role: The asker's membership; None without one.
    """

    id: CollectionId
    kind: CollectionKind
    name: str
    description: str
    owner_id: UserId | None
    created_at: datetime
    updated_at: datetime
    role: MemberRole | None = None

    def is_readable(self, asker: Asker) -> bool:
        """Whether the asker may know of it."""
        return self.kind == "shared" or self._is_owned(asker) or (self.kind == "named" and self.role is not None)

    def is_writable(self, asker: Asker) -> bool:
        """Whether the asker may add and delete documents."""
        if self.kind == "shared":
            return asker.writes_shared
        return self._is_owned(asker) or (self.kind == "named" and self.role == "writer")

    def is_manageable(self, asker: Asker) -> bool:
        """Whether the asker may rename it, delete it and choose its members."""
        return self.kind == "named" and self._is_owned(asker)

    def _is_owned(self, asker: Asker) -> bool:
        return self.owner_id is not None and self.owner_id == asker.user_id


@dataclass(frozen=True, slots=True)
class Document:
    """A file and how far its reading is.

    Attributes:
        digest: SHA-256 of its bytes; empty when they were refused.
        version: Counts the contents it has had, from 1.
        live_version: The version whose passages are found; 0 before the first.
        embedded_chunks: How many chunks of `version`, counted from the first, are in the index already.
        job_id: The job that reads its present content.
    """

    id: DocumentId
    collection_id: CollectionId
    path: str
    title: str
    media_type: str
    digest: str
    size_bytes: int
    state: DocumentState
    reason: str | None
    reason_code: str | None
    source_id: UUID | None
    url: str | None
    version: int
    live_version: int
    embedded_chunks: int
    chunk_count: int
    job_id: JobId | None
    created_by: UserId | None
    created_at: datetime
    updated_at: datetime
    indexed_at: datetime | None

    @classmethod
    def of(cls, upload: "Upload", collection_id: CollectionId, *, document_id: DocumentId) -> "Document":
        """The document that a new file becomes; a refused file becomes one that failed."""
        return cls(
            id=document_id,
            collection_id=collection_id,
            path=upload.path,
            title=upload.title or "",
            media_type=upload.media_type,
            digest=upload.digest,
            size_bytes=upload.size_bytes,
            state="failed" if upload.refusal else "pending",
            reason=upload.refusal,
            reason_code=upload.refusal_code,
            source_id=upload.source_id,
            url=upload.url,
            version=1,
            live_version=0,
            embedded_chunks=0,
            chunk_count=0,
            job_id=None,
            created_by=upload.owner_id,
            created_at=upload.created_at,
            updated_at=upload.created_at,
            indexed_at=None,
        )

    @property
    def needs_indexing(self) -> bool:
        """Whether there is anything left to do before the present content can be found."""
        return self.state in {"pending", "indexing"} or self.reason_code == STOPPED

    def updated(self, upload: "Upload", *, now: datetime) -> "Document":
        """The document after a file was sent again under its path.

        Equal bytes change nothing, unless reading them failed before. Of a refused file only the reason is kept:
        what was found before is still found.
        """
        if upload.refusal is not None:
            return replace(self, state="failed", reason=upload.refusal, reason_code=upload.refusal_code)
        same = upload.digest == self.digest and upload.title in {None, self.title} and upload.url in {None, self.url}
        if same:
            return self.renewed() if self.state == "failed" else self
        return replace(
            self.renewed(),
            title=upload.title or "",
            media_type=upload.media_type,
            digest=upload.digest,
            size_bytes=upload.size_bytes,
            url=upload.url,
            updated_at=now,
        )

    def renewed(self) -> "Document":
        """The document when its content is to be read again; what was found before is found until that is done."""
        version = self.version + 1
        return replace(self, state="pending", reason=None, reason_code=None, version=version, embedded_chunks=0)

    def begun(self) -> "Document":
        """The document while its present content is being read."""
        return replace(self, state="indexing", reason=None, reason_code=None)

    def as_served(self) -> "Document":
        """The document as its present passages know it, whatever is being prepared."""
        return replace(self, version=self.live_version, embedded_chunks=0)

    def failed(self, reason: str, code: str) -> "Document":
        """The document when its present content could not be read; what was found before is still found."""
        return replace(self, state="failed", reason=reason, reason_code=code)

    def indexed(self, *, title: str, chunk_count: int, now: datetime) -> "Document":
        """The document when the passages of its present content can be found."""
        return replace(
            self,
            state="indexed",
            reason=None,
            reason_code=None,
            title=self.title or title,
            live_version=self.version,
            embedded_chunks=chunk_count,
            chunk_count=chunk_count,
            indexed_at=now,
        )


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was received and waits to be added.

    Attributes:
        digest: SHA-256 of its bytes; empty when they were not kept because it is refused.
        refusal: Why it cannot become an indexed document; None when it can.
        refusal_code: The code of the error that says so.
        title: Its title where the sender knows it.
    """

    id: UUID
    owner_id: UserId | None
    path: str
    media_type: str
    digest: str
    size_bytes: int
    refusal: str | None
    refusal_code: str | None
    title: str | None
    url: str | None
    source_id: UUID | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A passage of one version of a document: `text` stands at `[start, end)` of the document's text."""

    id: ChunkId
    document_id: DocumentId
    version: int
    ordinal: int
    start: int
    end: int
    text: str
    heading: str | None
    page: int | None


@dataclass(frozen=True, slots=True)
class Found:
    """A passage with the document it stands in, as search reads both."""

    chunk: StoredChunk
    document: Document


def latest_by_path(uploads: Sequence[Upload]) -> list[Upload]:
    """Of several uploads under one name the last; the others were overwritten by it."""
    return list({upload.path: upload for upload in uploads}.values())

"""The long work of the documents service: what its jobs are told."""

from typing import Final
from uuid import UUID

from fireside.contracts.base import Contract
from fireside.contracts.documents import INDEX_JOB
from fireside.contracts.embedding_models import MOVE_JOB
from fireside.core.ids import DocumentId
from fireside.runtime.durable import Job


class DocumentVersion(Contract):
    """One content of a document."""

    document_id: DocumentId
    version: int


class IndexDocuments(Contract):
    """Read, cut and embed these, so that they can be found. Versions that were overtaken are left out."""

    documents: tuple[DocumentVersion, ...]


class SweepDocuments(Contract):
    """Erase what is left of deleted documents and of outdated versions, and bytes that nothing refers to any more."""

    document_ids: tuple[UUID, ...] = ()
    digests: tuple[str, ...] = ()


class MoveIndex(Contract):
    """Embed everything that is served with this model, and search that."""

    model: str


INDEX: Final = Job(
    INDEX_JOB, IndexDocuments, max_attempts=8, timeout_s=None, concurrency=2, retry_s=2.0, waits_for_parts=True
)
SWEEP: Final = Job("documents.sweep", SweepDocuments, max_attempts=20, timeout_s=3600.0, concurrency=1, retry_s=2.0)
MOVE: Final = Job(MOVE_JOB, MoveIndex, max_attempts=6, timeout_s=None, concurrency=1, retry_s=5.0, waits_for_parts=True)

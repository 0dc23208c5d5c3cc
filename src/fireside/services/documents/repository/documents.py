"""Queries on documents."""

from collections.abc import Collection as Ids
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, Select, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.contracts.documents import DocumentState
from fireside.core.ids import CollectionId, DocumentId, JobId
from fireside.services.documents.model import Document
from fireside.services.documents.tables import documents


@dataclass(frozen=True, slots=True)
class Page:
    """Which documents of a list are wanted.

    Attributes:
        before: Only those older than this one; None begins with the newest.
        words: Part of a path or a title.
    """

    collection_ids: Ids[CollectionId]
    limit: int
    before: UUID | None = None
    state: DocumentState | None = None
    words: str | None = None


async def find(session: AsyncSession, document_id: UUID, *, lock: bool = False) -> Document | None:
    """One document that is not deleted; with `lock`, nobody else changes it until the transaction ends."""
    query = _present().where(documents.c.id == document_id)
    row = (await session.execute(query.with_for_update() if lock else query)).mappings().one_or_none()
    return None if row is None else _document(row)


async def find_all(session: AsyncSession, document_ids: Ids[UUID], *, lock: bool = False) -> dict[DocumentId, Document]:
    """Those of these documents that are not deleted, by id."""
    query = _present().where(documents.c.id.in_(document_ids)).order_by(documents.c.id)
    rows = (await session.execute(query.with_for_update() if lock else query)).mappings()
    return {document.id: document for document in map(_document, rows)}


async def find_by_path(
    session: AsyncSession, collection_id: CollectionId, paths: Ids[str], *, lock: bool = False
) -> dict[str, Document]:
    """The documents of a collection under these paths, by path."""
    query = _present().where(documents.c.collection_id == collection_id, documents.c.path.in_(paths))
    rows = (await session.execute(query.with_for_update() if lock else query)).mappings()
    return {document.path: document for document in map(_document, rows)}


async def page(session: AsyncSession, wanted: Page) -> list[Document]:
    """Documents, newest first."""
    query = _present().where(documents.c.collection_id.in_(wanted.collection_ids))
    if wanted.before is not None:
        query = query.where(documents.c.id < wanted.before)
    if wanted.state is not None:
        query = query.where(documents.c.state == wanted.state)
    if wanted.words:
        in_path = documents.c.path.icontains(wanted.words, autoescape=True)
        query = query.where(or_(in_path, documents.c.title.icontains(wanted.words, autoescape=True)))
    rows = (await session.execute(query.order_by(documents.c.id.desc()).limit(wanted.limit))).mappings()
    return [_document(row) for row in rows]


async def ids_below(session: AsyncSession, collection_ids: Ids[CollectionId], *, path: str) -> list[DocumentId]:
    """The documents of these collections whose path begins so."""
    query = select(documents.c.id).where(
        documents.c.collection_id.in_(collection_ids),
        documents.c.deleted_at.is_(None),
        documents.c.path.startswith(path, autoescape=True),
    )
    return [DocumentId(document_id) for document_id in await session.scalars(query)]


async def ids_in(session: AsyncSession, collection_ids: Ids[CollectionId]) -> list[DocumentId]:
    """All documents of these collections."""
    return await ids_below(session, collection_ids, path="")


async def add(session: AsyncSession, document: Document) -> None:
    """Store a new document.

    Raises:
        IntegrityError: Its collection has one under this path.
    """
    await session.execute(insert(documents).values(_values(document)))


async def save(session: AsyncSession, document: Document) -> None:
    """Store what has changed about a document."""
    await session.execute(update(documents).where(documents.c.id == document.id).values(_values(document)))


async def note_job(session: AsyncSession, document_ids: Ids[UUID], job_id: JobId) -> None:
    """Note which job reads documents."""
    await session.execute(update(documents).where(documents.c.id.in_(document_ids)).values(job_id=job_id))


async def note_embedded(session: AsyncSession, document: Document, count: int) -> None:
    """Note how many chunks of a version are in the index, unless there is another version by now."""
    this_version = documents.c.id == document.id, documents.c.version == document.version
    await session.execute(update(documents).where(*this_version).values(embedded_chunks=count))


async def waiting_for(session: AsyncSession, job_id: UUID) -> list[Document]:
    """Documents that a job was to read and has not."""
    waiting = documents.c.job_id == job_id, documents.c.state.in_(["pending", "indexing"])
    rows = (await session.execute(_present().where(*waiting).with_for_update())).mappings()
    return [_document(row) for row in rows]


async def mark_deleted(session: AsyncSession, document_ids: Ids[UUID], *, now: datetime) -> None:
    """Hide documents; what is left of them is erased by a job."""
    await session.execute(update(documents).where(documents.c.id.in_(document_ids)).values(deleted_at=now))


async def deleted_of(session: AsyncSession, document_ids: Ids[UUID]) -> list[DocumentId]:
    """Those of these documents that are deleted and not yet erased."""
    query = select(documents.c.id).where(documents.c.id.in_(document_ids), documents.c.deleted_at.is_not(None))
    return [DocumentId(document_id) for document_id in await session.scalars(query)]


async def erase(session: AsyncSession, document_ids: Ids[UUID]) -> None:
    """Remove the rows of documents."""
    await session.execute(delete(documents).where(documents.c.id.in_(document_ids)))


async def count_indexed(session: AsyncSession) -> int:
    """How many documents have passages that are found."""
    query = select(func.count()).select_from(_present().where(documents.c.live_version > 0).subquery())
    return int((await session.execute(query)).scalar_one())


async def indexed_after(session: AsyncSession, document_id: UUID | None, *, limit: int) -> list[Document]:
    """Documents whose passages are found, in order of id, after this one."""
    query = _present().where(documents.c.live_version > 0)
    if document_id is not None:
        query = query.where(documents.c.id > document_id)
    rows = (await session.execute(query.order_by(documents.c.id).limit(limit))).mappings()
    return [_document(row) for row in rows]


def _present() -> Select[Any]:
    return select(documents).where(documents.c.deleted_at.is_(None))


def _values(document: Document) -> dict[str, Any]:
    return {name: getattr(document, name) for name in Document.__slots__}


def _document(row: RowMapping) -> Document:
    return Document(**{name: row[name] for name in Document.__slots__})

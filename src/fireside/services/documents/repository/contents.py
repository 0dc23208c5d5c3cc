"""Queries on the texts of documents and on their passages. Texts go in and out sealed."""

from collections.abc import Collection as Ids
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Column, ColumnElement, RowMapping, and_, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.core.ids import ChunkId, DocumentId
from fireside.ports.document_parser import ParsedDocument
from fireside.services.documents.model import Document, Found, StoredChunk
from fireside.services.documents.repository.inserting import insert_missing
from fireside.services.documents.sealing import TextSeals
from fireside.services.documents.tables import chunks, documents, texts


class Contents:
    """Reads and writes what documents say."""

    def __init__(self, seals: TextSeals) -> None:
        self._seals = seals

    async def add(self, session: AsyncSession, parsed: ParsedDocument, passages: Sequence[StoredChunk]) -> None:
        """Store the text of a version of a document and its passages, unless they are stored."""
        first = passages[0]
        body = self._seals.seal_document(parsed, document_id=first.document_id, version=first.version)
        row = {"document_id": first.document_id, "version": first.version, "body": body}
        await insert_missing(session, texts, [row])
        await insert_missing(session, chunks, [self._row(passage) for passage in passages])

    async def find_text(self, session: AsyncSession, document_id: DocumentId, version: int) -> ParsedDocument | None:
        """What a version of a document says."""
        query = select(texts.c.body).where(texts.c.document_id == document_id, texts.c.version == version)
        body = (await session.execute(query)).scalar_one_or_none()
        return None if body is None else self._seals.open_document(body, document_id=document_id, version=version)

    async def passages(
        self, session: AsyncSession, document_id: DocumentId, version: int, *, first: int = 0, limit: int | None = None
    ) -> list[StoredChunk]:
        """Passages of a version in order, from a place on."""
        query = select(chunks).where(
            chunks.c.document_id == document_id, chunks.c.version == version, chunks.c.ordinal >= first
        )
        rows = (await session.execute(query.order_by(chunks.c.ordinal).limit(limit))).mappings()
        return [self._passage(row) for row in rows]

    async def find_served(
        self, session: AsyncSession, chunk_ids: Ids[UUID], *, collection_ids: Ids[UUID]
    ) -> dict[ChunkId, Found]:
        """Those of these passages that are served in these collections now, each with its document, by id.

        The index may still hold passages of deleted documents and of other versions; they are not among them.
        """
        query = (
            select(chunks, *(documents.c[name].label(f"of_{name}") for name in Document.__slots__))
            .join(documents, and_(documents.c.id == chunks.c.document_id, documents.c.live_version == chunks.c.version))
            .where(
                chunks.c.id.in_(chunk_ids),
                documents.c.deleted_at.is_(None),
                documents.c.collection_id.in_(collection_ids),
            )
        )
        rows = (await session.execute(query)).mappings()
        return {ChunkId(row["id"]): Found(self._passage(row), _document_of(row)) for row in rows}

    def _row(self, passage: StoredChunk) -> dict[str, Any]:
        values = {name: getattr(passage, name) for name in StoredChunk.__slots__ if name != "text"}
        return {**values, "body": self._seals.seal_chunk(passage.text, chunk_id=passage.id)}

    def _passage(self, row: RowMapping) -> StoredChunk:
        values = {name: row[name] for name in StoredChunk.__slots__ if name != "text"}
        return StoredChunk(**values, text=self._seals.open_chunk(row["body"], chunk_id=row["id"]))


async def count(session: AsyncSession, document_id: UUID, version: int) -> int:
    """How many passages a version of a document has."""
    query = select(func.count()).where(chunks.c.document_id == document_id, chunks.c.version == version)
    return int((await session.execute(query)).scalar_one())


async def served_ids(session: AsyncSession, document_ids: Ids[UUID]) -> dict[UUID, UUID]:
    """The passages of documents that are served, each with its document."""
    served = documents.c.id == chunks.c.document_id, documents.c.live_version == chunks.c.version
    query = (
        select(chunks.c.id, chunks.c.document_id)
        .join(documents, and_(*served))
        .where(chunks.c.document_id.in_(document_ids), documents.c.deleted_at.is_(None))
    )
    return {row.id: row.document_id for row in await session.execute(query)}


async def outdated(session: AsyncSession, document_id: UUID, *, limit: int) -> list[UUID]:
    """Passages of versions that are neither served nor being prepared."""
    query = (
        select(chunks.c.id)
        .join(documents, documents.c.id == chunks.c.document_id)
        .where(chunks.c.document_id == document_id, _is_outdated(chunks.c.version))
        .limit(limit)
    )
    return list(await session.scalars(query))


async def remove_passages(session: AsyncSession, chunk_ids: Ids[UUID]) -> None:
    """Delete passages."""
    await session.execute(delete(chunks).where(chunks.c.id.in_(chunk_ids)))


async def remove_outdated_texts(session: AsyncSession, document_id: UUID) -> None:
    """Delete the texts of versions that are neither served nor being prepared."""
    versions = select(texts.c.version).join(documents, documents.c.id == texts.c.document_id)
    old = versions.where(texts.c.document_id == document_id, _is_outdated(texts.c.version))
    await session.execute(delete(texts).where(texts.c.document_id == document_id, texts.c.version.in_(old)))


async def erase(session: AsyncSession, document_ids: Ids[UUID]) -> None:
    """Delete everything that documents say."""
    await session.execute(delete(chunks).where(chunks.c.document_id.in_(document_ids)))
    await session.execute(delete(texts).where(texts.c.document_id.in_(document_ids)))


async def discard_version(session: AsyncSession, document_id: UUID, version: int) -> None:
    """Delete the text and passages of one version."""
    await session.execute(delete(chunks).where(chunks.c.document_id == document_id, chunks.c.version == version))
    await session.execute(delete(texts).where(texts.c.document_id == document_id, texts.c.version == version))


def _document_of(row: RowMapping) -> Document:
    return Document(**{name: row[f"of_{name}"] for name in Document.__slots__})


def _is_outdated(version: Column[Any]) -> ColumnElement[bool]:
    return and_(version != documents.c.version, version != documents.c.live_version)

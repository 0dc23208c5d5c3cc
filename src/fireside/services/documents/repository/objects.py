"""Queries on received files and on the stored bytes that documents and uploads refer to."""

from collections.abc import Collection as Ids
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, exists, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.core.ids import UserId
from fireside.services.documents.model import Upload
from fireside.services.documents.repository.inserting import insert_missing
from fireside.services.documents.tables import documents, objects, uploads


async def keep(session: AsyncSession, digest: str) -> bool:
    """Note that stored bytes are wanted.

    Returns:
        False when they are just being erased: store them again later.
    """
    await insert_missing(session, objects, [{"digest": digest, "state": "kept"}])
    query = select(objects.c.state).where(objects.c.digest == digest).with_for_update()
    # on PostgreSQL the row that was in the way may be gone by now
    return (await session.execute(query)).scalar_one_or_none() == "kept"


async def doom(session: AsyncSession, digest: str) -> bool:
    """Mark stored bytes as about to be erased, if nothing refers to them; says whether they are so marked."""
    query = select(objects.c.state).where(objects.c.digest == digest).with_for_update()
    state = (await session.execute(query)).scalar_one_or_none()
    if state is None:
        return False
    in_use = exists().where(documents.c.digest == digest), exists().where(uploads.c.digest == digest)
    if any((await session.execute(select(*in_use))).one()):
        return False
    await session.execute(update(objects).where(objects.c.digest == digest).values(state="doomed"))
    return True


async def doom_unknown(session: AsyncSession, digest: str) -> bool:
    """Mark stored bytes that nobody ever noted as about to be erased; says whether they are so marked."""
    await insert_missing(session, objects, [{"digest": digest, "state": "doomed"}])
    query = select(objects.c.state).where(objects.c.digest == digest)
    return (await session.execute(query)).scalar_one_or_none() == "doomed"


async def forget(session: AsyncSession, digest: str) -> None:
    """Note that bytes marked as doomed are erased."""
    await session.execute(delete(objects).where(objects.c.digest == digest, objects.c.state == "doomed"))


async def add_upload(session: AsyncSession, upload: Upload) -> None:
    """Store a received file."""
    await session.execute(insert(uploads).values({name: getattr(upload, name) for name in Upload.__slots__}))


async def take_uploads(session: AsyncSession, upload_ids: Ids[UUID], *, owner_id: UserId | None) -> dict[UUID, Upload]:
    """Remove received files of a user and return them, by id; those of others and unknown ones are missing."""
    query = select(uploads).where(uploads.c.id.in_(upload_ids), uploads.c.owner_id.is_not_distinct_from(owner_id))
    rows = (await session.execute(query.with_for_update())).mappings()
    found = {row["id"]: Upload(**{name: row[name] for name in Upload.__slots__}) for row in rows}
    await session.execute(delete(uploads).where(uploads.c.id.in_(found)))
    return found


async def drop_expired_uploads(session: AsyncSession, *, before: datetime) -> list[str]:
    """Forget files that were received before this moment and never added; returns the digests of their bytes."""
    query = delete(uploads).where(uploads.c.created_at < before).returning(uploads.c.digest)
    return [digest for digest in await session.scalars(query) if digest]

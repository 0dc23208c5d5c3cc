"""Queries on collections and their members."""

from collections.abc import Collection as Ids
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Select, and_, case, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.contracts.collections import Member, MemberRole
from fireside.core.ids import CollectionId, UserId
from fireside.services.documents.model import Asker, Collection
from fireside.services.documents.repository.inserting import insert_missing
from fireside.services.documents.tables import collection_members, collections, documents


async def readable(session: AsyncSession, asker: Asker) -> list[Collection]:
    """The collections that the asker may read: shared, personal, then the named ones by name."""
    rank = case((collections.c.kind == "shared", 0), (collections.c.kind == "personal", 1), else_=2)
    query = _with_role(asker).where(_may_read(asker)).order_by(rank, collections.c.name_key, collections.c.id)
    return [_collection(row) for row in (await session.execute(query)).mappings()]


async def find(session: AsyncSession, collection_id: CollectionId, asker: Asker) -> Collection | None:
    """One collection, if the asker may read it."""
    query = _with_role(asker).where(collections.c.id == collection_id, _may_read(asker))
    row = (await session.execute(query)).mappings().one_or_none()
    return None if row is None else _collection(row)


async def owned_by(session: AsyncSession, user_id: UserId) -> list[CollectionId]:
    """The collections of a user, the personal one among them."""
    query = select(collections.c.id).where(collections.c.owner_id == user_id)
    return [CollectionId(collection_id) for collection_id in await session.scalars(query)]


async def add(session: AsyncSession, collection: Collection) -> None:
    """Store a new collection.

    Raises:
        IntegrityError: Its owner has one of this name.
    """
    await session.execute(insert(collections).values(_values(collection)))


async def ensure(session: AsyncSession, collection: Collection) -> None:
    """Store a collection unless it is there."""
    await insert_missing(session, collections, [_values(collection)])


async def save(session: AsyncSession, collection: Collection) -> None:
    """Store what has changed about a collection.

    Raises:
        IntegrityError: Its owner has another one of this name.
    """
    values = _values(collection)
    await session.execute(update(collections).where(collections.c.id == collection.id).values(values))


async def lock(session: AsyncSession, collection_id: CollectionId) -> bool:
    """Keep others from deleting a collection until the transaction ends; says whether it is there."""
    query = select(collections.c.id).where(collections.c.id == collection_id).with_for_update()
    return (await session.execute(query)).first() is not None


async def remove(session: AsyncSession, collection_ids: Ids[CollectionId]) -> None:
    """Delete collections with their memberships; their documents are somebody else's business."""
    await session.execute(delete(collection_members).where(collection_members.c.collection_id.in_(collection_ids)))
    await session.execute(delete(collections).where(collections.c.id.in_(collection_ids)))


async def document_counts(session: AsyncSession, collection_ids: Ids[CollectionId]) -> dict[CollectionId, int]:
    """How many documents each of these collections has."""
    query = (
        select(documents.c.collection_id, func.count())
        .where(documents.c.collection_id.in_(collection_ids), documents.c.deleted_at.is_(None))
        .group_by(documents.c.collection_id)
    )
    return {CollectionId(row[0]): int(row[1]) for row in await session.execute(query)}


async def members(session: AsyncSession, collection_id: CollectionId) -> list[Member]:
    """The members of a collection, in the order they were added."""
    query = (
        select(collection_members)
        .where(collection_members.c.collection_id == collection_id)
        .order_by(collection_members.c.added_at, collection_members.c.user_id)
    )
    rows = (await session.execute(query)).mappings()
    return [Member(user_id=UserId(row["user_id"]), role=row["role"], added_at=row["added_at"]) for row in rows]


async def put_member(
    session: AsyncSession, collection_id: CollectionId, user_id: UserId, *, role: MemberRole, now: datetime
) -> None:
    """Add a member, or change the role of one."""
    row = {"collection_id": collection_id, "user_id": user_id, "role": role, "added_at": now}
    await insert_missing(session, collection_members, [row])
    await session.execute(update(collection_members).where(_membership(collection_id, user_id)).values(role=role))


async def remove_member(session: AsyncSession, collection_id: CollectionId, user_id: UserId) -> bool:
    """Take a member out; says whether there was one."""
    query = delete(collection_members).where(_membership(collection_id, user_id))
    return (await session.execute(query.returning(collection_members.c.user_id))).first() is not None


async def remove_memberships(session: AsyncSession, user_id: UserId) -> None:
    """Take a user out of every collection."""
    await session.execute(delete(collection_members).where(collection_members.c.user_id == user_id))


def _membership(collection_id: CollectionId, user_id: UserId) -> ColumnElement[bool]:
    return and_(collection_members.c.collection_id == collection_id, collection_members.c.user_id == user_id)


def _with_role(asker: Asker) -> Select[Any]:
    mine = and_(collection_members.c.collection_id == collections.c.id, collection_members.c.user_id == asker.user_id)
    return select(collections, collection_members.c.role.label("role")).outerjoin(collection_members, mine)


def _may_read(asker: Asker) -> ColumnElement[bool]:
    """What `Collection.is_readable` says, as a condition."""
    if asker.user_id is None:
        return collections.c.kind == "shared"
    is_member = and_(collections.c.kind == "named", collection_members.c.role.is_not(None))
    return or_(collections.c.kind == "shared", collections.c.owner_id == asker.user_id, is_member)


def _values(collection: Collection) -> dict[str, Any]:
    values = {name: getattr(collection, name) for name in Collection.__slots__ if name != "role"}
    return {**values, "name_key": collection.name.casefold()}


def _collection(row: RowMapping) -> Collection:
    return Collection(**{name: row[name] for name in Collection.__slots__})

"""Queries of kept Responses, each held to its owner."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.core.ids import UserId
from fireside.services.chat.repository import erased_owners
from fireside.services.chat.tables import stored_responses


async def add(session: AsyncSession, row: Mapping[str, Any]) -> None:
    """Store a Response, unless its owner is gone."""
    if not await erased_owners.is_refused(session, row["owner_id"]):
        await session.execute(insert(stored_responses).values(row))


async def get(session: AsyncSession, response_id: UUID, owner_id: UserId, *, at: datetime) -> RowMapping | None:
    """A Response of this owner that has not expired by then."""
    found = await session.execute(
        select(stored_responses).where(
            stored_responses.c.id == response_id,
            stored_responses.c.owner_id == owner_id,
            stored_responses.c.expires_at > at,
        )
    )
    return found.mappings().one_or_none()


async def remove(session: AsyncSession, response_id: UUID, owner_id: UserId) -> bool:
    """Delete a Response of this owner; whether there was one."""
    deleted = await session.scalars(
        delete(stored_responses)
        .where(stored_responses.c.id == response_id, stored_responses.c.owner_id == owner_id)
        .returning(stored_responses.c.id)
    )
    return deleted.one_or_none() is not None


async def remove_expired(session: AsyncSession, *, at: datetime) -> None:
    """Delete what has expired by then, whoever owns it."""
    await session.execute(delete(stored_responses).where(stored_responses.c.expires_at <= at))


async def erase_of(session: AsyncSession, owner_id: UserId) -> None:
    """Delete every Response of an owner, and keep none from now on. Doing it again changes nothing."""
    await erased_owners.refuse(session, owner_id)
    await session.execute(delete(stored_responses).where(stored_responses.c.owner_id == owner_id))

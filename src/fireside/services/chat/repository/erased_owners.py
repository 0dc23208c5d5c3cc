"""Queries on users who are gone: nothing is kept for them any more."""

from uuid import UUID

from sqlalchemy import exists, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.runtime.durable import hold_lock
from fireside.services.chat.tables import erased_owners

_ERASING = "chat_erased_owners"
"""The lock of those who erase; whoever keeps something for an owner holds it shared."""


async def refuse(session: AsyncSession, owner_id: UUID) -> None:
    """Note that a user is gone. Doing it again changes nothing."""
    await hold_lock(session, _ERASING)
    if not await _is_noted(session, owner_id):
        await session.execute(insert(erased_owners).values(owner_id=owner_id))


async def is_refused(session: AsyncSession, owner_id: UUID) -> bool:
    """Whether a user is gone; when not, whoever erases the user waits until this transaction ends."""
    await hold_lock(session, _ERASING, shared=True)
    return await _is_noted(session, owner_id)


async def _is_noted(session: AsyncSession, owner_id: UUID) -> bool:
    return bool(await session.scalar(select(exists().where(erased_owners.c.owner_id == owner_id))))

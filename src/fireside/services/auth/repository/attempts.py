"""Queries on wrong passwords."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.runtime.durable.job_table import insert_or_ignore
from fireside.services.auth.lock_out import Attempts
from fireside.services.auth.tables import sign_in_attempts


async def get(session: AsyncSession, key: str, *, account: str, now: datetime) -> Attempts:
    """What is remembered under this key, kept from being changed by others until the transaction ends."""
    fresh = {"key": key, "account": account, "failures": 0, "last_at": now}
    await session.execute(insert_or_ignore(session, sign_in_attempts), fresh)
    query = select(sign_in_attempts).where(sign_in_attempts.c.key == key).with_for_update()
    return Attempts(**(await session.execute(query)).mappings().one())


async def save(session: AsyncSession, attempts: Attempts) -> None:
    """Remember instead of what there was."""
    values = {"failures": attempts.failures, "last_at": attempts.last_at, "locked_until": attempts.locked_until}
    await session.execute(update(sign_in_attempts).where(sign_in_attempts.c.key == attempts.key).values(values))


async def forget(session: AsyncSession, keys: Sequence[str]) -> None:
    """Forget what is remembered under these keys."""
    await session.execute(delete(sign_in_attempts).where(sign_in_attempts.c.key.in_(keys)))


async def forget_account(session: AsyncSession, account: str) -> None:
    """Forget everything about an account."""
    await session.execute(delete(sign_in_attempts).where(sign_in_attempts.c.account == account))


async def forget_before(session: AsyncSession, moment: datetime) -> None:
    """Forget what happened before a moment."""
    await session.execute(delete(sign_in_attempts).where(sign_in_attempts.c.last_at < moment))

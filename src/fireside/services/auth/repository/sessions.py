"""Queries on sessions."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import RowMapping, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.core.ids import SessionId, UserId
from fireside.services.auth.model import Session
from fireside.services.auth.tables import sessions


async def add(session: AsyncSession, signed_in: Session) -> None:
    """Store a new session."""
    await session.execute(insert(sessions).values(**{name: getattr(signed_in, name) for name in Session.__slots__}))


async def find(session: AsyncSession, session_id: SessionId, *, lock: bool = False) -> Session | None:
    """The session with this id; `lock` keeps it from being changed by others until the transaction ends."""
    query = select(sessions).where(sessions.c.id == session_id)
    row = (await session.execute(query.with_for_update() if lock else query)).mappings().one_or_none()
    return None if row is None else _session(row)


async def rotate(
    session: AsyncSession, session_id: SessionId, *, refresh_hash: bytes, used_at: datetime, expires_at: datetime
) -> None:
    """Put the next refresh token in the place of the present one."""
    query = update(sessions).where(sessions.c.id == session_id)
    await session.execute(
        query.values(
            refresh_hash=refresh_hash,
            generation=sessions.c.generation + 1,
            last_used_at=used_at,
            expires_at=expires_at,
        )
    )


async def remove(session: AsyncSession, session_id: SessionId) -> None:
    """End a session."""
    await session.execute(delete(sessions).where(sessions.c.id == session_id))


async def remove_of(session: AsyncSession, user_id: UserId, *, keep: SessionId | None = None) -> Sequence[SessionId]:
    """End the sessions of a user, but for one.

    Returns:
        Which ended.
    """
    query = delete(sessions).where(sessions.c.user_id == user_id).returning(sessions.c.id)
    if keep is not None:
        query = query.where(sessions.c.id != keep)
    return (await session.execute(query)).scalars().all()


async def list_of(session: AsyncSession, user_id: UserId, *, now: datetime, limit: int) -> list[Session]:
    """A user's live sessions, last used first."""
    query = (
        select(sessions)
        .where(sessions.c.user_id == user_id, sessions.c.expires_at > now)
        .order_by(sessions.c.last_used_at.desc(), sessions.c.id)
        .limit(limit)
    )
    return [_session(row) for row in (await session.execute(query)).mappings()]


async def remove_expired(session: AsyncSession, *, now: datetime) -> None:
    """Forget sessions that ran out."""
    await session.execute(delete(sessions).where(sessions.c.expires_at <= now))


def _session(row: RowMapping) -> Session:
    return Session(**row)

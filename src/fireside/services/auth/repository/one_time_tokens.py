"""Queries on one-time links."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import RowMapping, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.services.auth.errors import InvalidOneTimeTokenError
from fireside.services.auth.model import OneTimeToken, TokenPurpose
from fireside.services.auth.tables import one_time_tokens


async def add(session: AsyncSession, token: OneTimeToken) -> None:
    """Store a new link."""
    values = {name: getattr(token, name) for name in OneTimeToken.__slots__}
    await session.execute(insert(one_time_tokens).values(**values))


async def get(session: AsyncSession, purpose: TokenPurpose, token_hash: bytes, *, now: datetime) -> OneTimeToken:
    """A link that still works, without using it up.

    Raises:
        InvalidOneTimeTokenError: It was used, has expired, was made for something else, or never was one.
    """
    query = (
        select(one_time_tokens)
        .where(one_time_tokens.c.token_hash == token_hash, one_time_tokens.c.purpose == purpose)
        .where(one_time_tokens.c.expires_at > now)
    )
    row = (await session.execute(query)).mappings().one_or_none()
    if row is None:
        raise InvalidOneTimeTokenError
    return _token(row)


async def take(session: AsyncSession, purpose: TokenPurpose, token_hash: bytes, *, now: datetime) -> None:
    """Use a link up: of several who try at once, one succeeds.

    Raises:
        InvalidOneTimeTokenError: It was used, has expired, was made for something else, or never was one.
    """
    query = (
        delete(one_time_tokens)
        .where(one_time_tokens.c.token_hash == token_hash, one_time_tokens.c.purpose == purpose)
        .where(one_time_tokens.c.expires_at > now)
        .returning(one_time_tokens.c.id)
    )
    if (await session.execute(query)).first() is None:
        raise InvalidOneTimeTokenError


async def list_all(session: AsyncSession, purpose: TokenPurpose, *, now: datetime, limit: int) -> list[OneTimeToken]:
    """The links that still work, newest first."""
    query = (
        select(one_time_tokens)
        .where(one_time_tokens.c.purpose == purpose, one_time_tokens.c.expires_at > now)
        .order_by(one_time_tokens.c.created_at.desc(), one_time_tokens.c.id)
        .limit(limit)
    )
    return [_token(row) for row in (await session.execute(query)).mappings()]


async def remove(session: AsyncSession, token_id: UUID, purpose: TokenPurpose) -> bool:
    """Take a link back.

    Returns:
        Whether there was one.
    """
    query = (
        delete(one_time_tokens)
        .where(one_time_tokens.c.id == token_id, one_time_tokens.c.purpose == purpose)
        .returning(one_time_tokens.c.id)
    )
    return (await session.execute(query)).first() is not None


async def remove_all(session: AsyncSession, purpose: TokenPurpose) -> None:
    """Take all links of a kind back."""
    await session.execute(delete(one_time_tokens).where(one_time_tokens.c.purpose == purpose))


async def remove_expired(session: AsyncSession, *, now: datetime) -> None:
    """Forget links that ran out."""
    await session.execute(delete(one_time_tokens).where(one_time_tokens.c.expires_at <= now))


def _token(row: RowMapping) -> OneTimeToken:
    return OneTimeToken(**row)

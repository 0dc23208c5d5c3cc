"""Queries on API keys."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import RowMapping, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.core.ids import ApiKeyId, UserId
from fireside.services.auth.model import ApiKey
from fireside.services.auth.tables import api_keys


async def add(session: AsyncSession, key: ApiKey) -> None:
    """Store a new key."""
    values = {name: getattr(key, name) for name in ApiKey.__slots__}
    await session.execute(insert(api_keys).values({**values, "scopes": None if key.scopes is None else [*key.scopes]}))


async def find_by_prefix(session: AsyncSession, prefix: str) -> ApiKey | None:
    """The key that begins like this."""
    row = (await session.execute(select(api_keys).where(api_keys.c.prefix == prefix))).mappings().one_or_none()
    return None if row is None else _key(row)


async def list_of(session: AsyncSession, user_id: UserId) -> list[ApiKey]:
    """A user's keys, newest first."""
    query = select(api_keys).where(api_keys.c.user_id == user_id).order_by(api_keys.c.created_at.desc(), api_keys.c.id)
    return [_key(row) for row in (await session.execute(query)).mappings()]


async def count_of(session: AsyncSession, user_id: UserId) -> int:
    """How many keys a user has."""
    query = select(func.count()).select_from(api_keys).where(api_keys.c.user_id == user_id)
    return int((await session.execute(query)).scalar_one())


async def remove(session: AsyncSession, key_id: ApiKeyId, *, user_id: UserId) -> bool:
    """Delete a user's key.

    Returns:
        Whether the user had it.
    """
    query = delete(api_keys).where(api_keys.c.id == key_id, api_keys.c.user_id == user_id).returning(api_keys.c.id)
    return (await session.execute(query)).first() is not None


async def remove_named(session: AsyncSession, user_id: UserId, name: str) -> None:
    """Delete the keys of a user that have this name."""
    await session.execute(delete(api_keys).where(api_keys.c.user_id == user_id, api_keys.c.name == name))


async def note_uses(session: AsyncSession, used_at: Mapping[ApiKeyId, datetime]) -> None:
    """Write when keys were last used."""
    for key_id, moment in used_at.items():
        await session.execute(update(api_keys).where(api_keys.c.id == key_id).values(last_used_at=moment))


def _key(row: RowMapping) -> ApiKey:
    values = dict(row)
    scopes = values.pop("scopes")
    return ApiKey(**values, scopes=None if scopes is None else tuple(scopes))

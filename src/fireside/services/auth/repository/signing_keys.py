"""Queries on the keys of access tokens; their private halves are sealed here and opened here."""

from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.ports.secret_box import SecretBox
from fireside.services.auth.access_tokens import SigningKey
from fireside.services.auth.tables import signing_keys


async def list_all(session: AsyncSession, box: SecretBox) -> list[SigningKey]:
    """Every key, oldest first.

    Raises:
        SecretUnreadableError: The key ring is not the one they were sealed with.
    """
    rows = await session.execute(select(signing_keys).order_by(signing_keys.c.created_at))
    return [
        SigningKey(row.id, row.created_at, box.open(row.sealed_private_jwk, place=_place(row.id)), row.retired_at)
        for row in rows
    ]


async def add(session: AsyncSession, key: SigningKey, box: SecretBox) -> None:
    """Store a new key."""
    sealed = box.seal(key.private_jwk, place=_place(key.id))
    await session.execute(insert(signing_keys).values(id=key.id, sealed_private_jwk=sealed, created_at=key.created_at))


async def retire_all(session: AsyncSession, *, now: datetime) -> None:
    """Sign no more with the keys there are."""
    await session.execute(update(signing_keys).where(signing_keys.c.retired_at.is_(None)).values(retired_at=now))


def _place(key_id: object) -> str:
    return f"auth.signing_keys:{key_id}"

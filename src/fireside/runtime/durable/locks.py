"""Locks that transactions hold until they end, for what no row stands for."""

from zlib import crc32

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession


async def hold_lock(session: AsyncSession, name: str, *, shared: bool = False) -> None:
    """Hold a lock until the transaction ends; wait for those who hold it otherwise.

    On SQLite there is nothing to do: transactions that write follow one another.

    Args:
        session: Of the transaction.
        name: Tells the lock from others in the database.
        shared: Hold it together with others who hold it shared.
    """
    if session.get_bind().dialect.name == "postgresql":
        lock = func.pg_advisory_xact_lock_shared if shared else func.pg_advisory_xact_lock
        await session.execute(select(lock(crc32(f"fireside {name}".encode()))))

"""The epoch of the search index: it advances whenever writers must look anew which generations there are.

Whoever makes passages findable reads the epoch before looking, and in the transaction of the switch requires that it
still holds. So no document is served of which a generation does not know that is filled at the time.
"""

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.services.documents.errors import EmbeddingModelChangedError
from fireside.services.documents.tables import documents, index_writing

_UNFINISHED = ["pending", "indexing"]


async def epoch(session: AsyncSession) -> int:
    """The present epoch."""
    return (await session.execute(select(index_writing.c.epoch))).scalar_one()


async def require(session: AsyncSession, seen: int) -> None:
    """Pass when the epoch is still this one; it stays so until the transaction ends.

    Raises:
        EmbeddingModelChangedError: It is another.
    """
    now = (await session.execute(select(index_writing.c.epoch).with_for_update(read=True))).scalar_one()
    if now != seen:
        raise EmbeddingModelChangedError("the generations of the index changed; trying again writes to all of them")


async def advance(session: AsyncSession) -> None:
    """Begin another epoch: whoever is writing must write again, large documents from their first slice."""
    await session.execute(update(index_writing).values(epoch=index_writing.c.epoch + 1))
    await session.execute(update(documents).where(documents.c.state.in_(_UNFINISHED)).values(embedded_chunks=0))


async def wanted(session: AsyncSession, *, lock: bool = False) -> str | None:
    """The embedding model that was asked for last."""
    query = select(index_writing.c.wanted)
    return (await session.execute(query.with_for_update() if lock else query)).scalar_one()


async def want(session: AsyncSession, model: str) -> None:
    """Note which embedding model is asked for."""
    await session.execute(update(index_writing).values(wanted=model))

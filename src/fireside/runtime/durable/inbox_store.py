"""Queries on the table of received facts."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, Row, Select, and_, bindparam, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.ports.event_stream import EventEnvelope
from fireside.runtime.durable import dead_letter_table
from fireside.runtime.durable.bulk_insert import add_unless_present
from fireside.runtime.durable.tables import inbox

_FROM_ENVELOPE = {"event_id": "id"} | {
    name: name for name in EventEnvelope.__slots__ if name in inbox.c and name != "id"
}


async def add(session: AsyncSession, group: str, envelopes: Sequence[EventEnvelope], *, now: datetime) -> None:
    """Store facts for a consumer group, in this order. Those it has already had are left alone."""
    shared = {
        "consumer_group": group,
        "state": "pending",
        "attempts": 0,
        "run_at": now,
        "received_at": now,
    }
    await add_unless_present(session, inbox, envelopes, own=_FROM_ENVELOPE, shared=shared)


async def next_in_line(session: AsyncSession, group: str, topics: Collection[str], *, limit: int) -> list[Row[Any]]:
    """The oldest waiting fact of each aggregate, in order of when it may be handled, whether that is now or later."""
    asked = {"group": group, "topics": list(topics), "most": limit}
    return list((await session.execute(_line(), asked)).all())


@cache
def _line() -> Select[Any]:
    """What `next_in_line` asks for; built once, because building it takes longer than the answer to it.

    Steps from one aggregate to the next along the index of waiting facts, so that the time it takes grows with the
    aggregates that have some, and not with a long line of facts about few of them.
    """
    waiting = and_(
        inbox.c.consumer_group == bindparam("group"),
        inbox.c.state == "pending",
        inbox.c.topic.in_(bindparam("topics", expanding=True)),
    )
    aggregates = select(inbox.c.aggregate_id).where(waiting).order_by(inbox.c.aggregate_id).limit(1)
    step = select(aggregates.scalar_subquery().label("id")).cte("aggregate", recursive=True)
    following = aggregates.where(inbox.c.aggregate_id > step.c.id).correlate(step).scalar_subquery()
    found = step.union_all(select(following).where(step.c.id.is_not(None)))
    first = select(func.min(inbox.c.position)).where(waiting, inbox.c.aggregate_id == found.c.id).correlate(found)
    heads = select(first.scalar_subquery()).select_from(found)
    query = select(inbox).where(inbox.c.position.in_(heads)).order_by(inbox.c.run_at, inbox.c.position)
    return query.limit(bindparam("most", type_=Integer))


async def take(session: AsyncSession, position: int, *, now: datetime) -> bool:
    """Mark a fact as handled, in the transaction of what its handler does. False when another node is handling it."""
    query = select(inbox.c.position).where(inbox.c.position == position, inbox.c.state == "pending")
    if (await session.execute(query.with_for_update(skip_locked=True))).one_or_none() is None:
        return False
    values = {"state": "handled", "handled_at": now, "payload": None}
    await session.execute(update(inbox).where(inbox.c.position == position).values(values))
    return True


async def postpone(session: AsyncSession, row: Row[Any], *, now: datetime, delay_s: float) -> None:
    """Have a fact handled again later, and the later facts of its aggregate after it."""
    values = {"attempts": row.attempts + 1, "run_at": now + timedelta(seconds=delay_s)}
    await session.execute(update(inbox).where(_still(row)).values(values))


async def give_up(session: AsyncSession, row: Row[Any], *, error: Mapping[str, Any], now: datetime) -> None:
    """Make a dead letter of a fact; the later facts of its aggregate go on."""
    values = {"attempts": row.attempts + 1, "state": "dead"}
    await session.execute(update(inbox).where(_still(row)).values(values))
    await dead_letter_table.add_event(session, row, error=error, now=now)


async def revive(session: AsyncSession, group: str, event_id: UUID, *, now: datetime) -> None:
    """Have a fact handled again that was given up."""
    dead = inbox.c.consumer_group == group, inbox.c.event_id == event_id, inbox.c.state == "dead"
    await session.execute(update(inbox).where(*dead).values(state="pending", attempts=0, run_at=now))


async def forget(session: AsyncSession, group: str, topics: Collection[str]) -> None:
    """Forget that facts of these topics were ever received."""
    await session.execute(delete(inbox).where(inbox.c.consumer_group == group, inbox.c.topic.in_(topics)))


def _still(row: Row[Any]) -> Any:
    return and_(inbox.c.position == row.position, inbox.c.state == "pending")

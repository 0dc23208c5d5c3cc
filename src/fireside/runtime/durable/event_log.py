"""The append-only log of a service's facts: the outbox that the relay reads, and the audit trail."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import orjson
from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.core.errors import ConflictError
from fireside.core.ids import EventId, UserId
from fireside.ports.event_stream import EventEnvelope
from fireside.runtime.durable.chain import FIRST_HASH, entry_hash
from fireside.runtime.durable.origin import Origin
from fireside.runtime.durable.tables import event_head, events

SOURCE = "service"
"""Under which key a session says whose log it reads."""

_PAGE = 1000


class VersionConflictError(ConflictError):
    """The object has changed since it was read."""

    code = "version_conflict"


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """A fact that will be written when its unit of work commits.

    Attributes:
        id: Of the entry.
        topic: What kind of fact.
        aggregate_id: The object whose history it belongs to.
        payload: The fact itself, as plain data.
        origin: Its cause.
        occurred_at: When it was stated.
        expected_version: How many facts of the aggregate must stand before it; None for any.
        is_moved: Whether it was stated elsewhere under this id, so that it may stand in the log already.
    """

    id: EventId
    topic: str
    aggregate_id: UUID
    payload: Mapping[str, Any]
    origin: Origin
    occurred_at: datetime
    expected_version: int | None = None
    is_moved: bool = False


@dataclass(frozen=True, slots=True)
class ChainBreak:
    """The first place where a log is not what was written.

    Attributes:
        sequence: The entry.
        reason: `missing` from the middle, `changed` in any column that counts, or `cut` off the end with all after it.
    """

    sequence: int
    reason: Literal["missing", "changed", "cut"]


async def append(session: AsyncSession, pending: Sequence[PendingEvent], *, service: str) -> None:
    """Write facts at the end of the log, in this order.

    Raises:
        VersionConflictError: An aggregate's newest version is not the one that was expected.
    """
    if not pending:
        return
    head = (await session.execute(select(event_head).with_for_update())).one()
    pending = await _without_known(session, pending)
    if not pending:
        return
    versions = await _versions(session, {item.aggregate_id for item in pending})
    sequence, previous, rows = int(head.sequence), str(head.hash), list[dict[str, Any]]()
    for item in pending:
        aggregate_id = item.aggregate_id
        _check_version(item, versions.get(aggregate_id, 0))
        sequence += 1
        versions[aggregate_id] = versions.get(aggregate_id, 0) + 1
        entry = _envelope(item, service=service, sequence=sequence, version=versions[aggregate_id])
        row = {**_columns(entry), "prev_hash": previous, "hash": entry_hash(entry, previous)}
        previous = row["hash"]
        rows.append(row)
    await session.execute(insert(events), rows)
    await session.execute(update(event_head).values(sequence=sequence, hash=previous))


async def _without_known(session: AsyncSession, pending: Sequence[PendingEvent]) -> Sequence[PendingEvent]:
    """Facts that were moved here and do not stand here yet, and all others."""
    moved = [item.id for item in pending if item.is_moved]
    if not moved:
        return pending
    known = set(await session.scalars(select(events.c.id).where(events.c.id.in_(moved))))
    return [item for item in pending if item.id not in known]


async def version_of(session: AsyncSession, aggregate_id: UUID) -> int:
    """How many facts the log holds about an aggregate."""
    return (await _versions(session, {aggregate_id})).get(aggregate_id, 0)


async def read(
    session: AsyncSession, *, after: int, topics: Collection[str] | None = None, limit: int = _PAGE
) -> list[EventEnvelope]:
    """Entries after a place in the log, in order; of some topics, or all."""
    query = select(events).where(events.c.sequence > after).order_by(events.c.sequence).limit(limit)
    if topics is not None:
        query = query.where(events.c.topic.in_(topics))
    return [_entry(row, session.info[SOURCE]) for row in await session.execute(query)]


async def history(session: AsyncSession, aggregate_id: UUID, *, until: datetime | None = None) -> list[EventEnvelope]:
    """All entries about one aggregate, oldest first; with `until`, those stated by then."""
    query = select(events).where(events.c.aggregate_id == aggregate_id).order_by(events.c.aggregate_version)
    if until is not None:
        query = query.where(events.c.occurred_at <= until)
    return [_entry(row, session.info[SOURCE]) for row in await session.execute(query)]


async def newest(
    session: AsyncSession, aggregate_id: UUID, *, before: int | None = None, limit: int = 1
) -> list[EventEnvelope]:
    """The latest entries about one aggregate, newest first; with `before`, of those below this version of it."""
    query = select(events).where(events.c.aggregate_id == aggregate_id)
    if before is not None:
        query = query.where(events.c.aggregate_version < before)
    query = query.order_by(events.c.aggregate_version.desc()).limit(limit)
    return [_entry(row, session.info[SOURCE]) for row in await session.execute(query)]


async def last_sequence(session: AsyncSession) -> int:
    """The place of the newest entry; 0 in an empty log."""
    return int((await session.execute(select(event_head.c.sequence))).scalar_one())


async def find_chain_break(session: AsyncSession) -> ChainBreak | None:
    """Read the whole log and compare it with its hashes. None when it is as it was written."""
    head = (await session.execute(select(event_head))).one()
    sequence, previous = 0, FIRST_HASH
    async for row in _all(session):
        sequence += 1
        if row.sequence != sequence:
            return ChainBreak(sequence, "missing")
        if row.prev_hash != previous or row.hash != entry_hash(_entry(row, head.service), previous):
            return ChainBreak(sequence, "changed")
        previous = row.hash
    if sequence < head.sequence:
        return ChainBreak(sequence + 1, "cut")
    return None if (sequence, previous) == (head.sequence, head.hash) else ChainBreak(sequence, "changed")


async def _all(session: AsyncSession) -> AsyncIterator[Row[Any]]:
    after = 0
    while True:
        query = select(events).where(events.c.sequence > after).order_by(events.c.sequence).limit(_PAGE)
        page = (await session.execute(query)).all()
        for row in page:
            yield row
        if len(page) < _PAGE:
            return
        after = int(page[-1].sequence)


async def _versions(session: AsyncSession, aggregates: set[UUID]) -> dict[UUID, int]:
    query = (
        select(events.c.aggregate_id, func.max(events.c.aggregate_version))
        .where(events.c.aggregate_id.in_(aggregates))
        .group_by(events.c.aggregate_id)
    )
    return {row[0]: int(row[1]) for row in await session.execute(query)}


def _check_version(item: PendingEvent, present: int) -> None:
    if item.expected_version is not None and item.expected_version != present:
        raise VersionConflictError(
            "the object has changed since it was read; read it again",
            aggregate_id=str(item.aggregate_id),
            expected=item.expected_version,
            present=present,
        )


def _envelope(item: PendingEvent, *, service: str, sequence: int, version: int) -> EventEnvelope:
    payload = orjson.dumps(item.payload, option=orjson.OPT_SORT_KEYS)
    return EventEnvelope(
        id=item.id,
        topic=item.topic,
        source=service,
        sequence=sequence,
        aggregate_id=item.aggregate_id,
        aggregate_version=version,
        occurred_at=item.occurred_at,
        actor_id=item.origin.actor_id,
        request_id=item.origin.request_id,
        payload=payload.decode(),
    )


def _columns(entry: EventEnvelope) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in EventEnvelope.__slots__ if name != "source"}


def _entry(row: Row[Any], source: str) -> EventEnvelope:
    return EventEnvelope(
        id=EventId(row.id),
        topic=row.topic,
        source=source,
        sequence=row.sequence,
        aggregate_id=row.aggregate_id,
        aggregate_version=row.aggregate_version,
        occurred_at=row.occurred_at,
        actor_id=None if row.actor_id is None else UserId(row.actor_id),
        request_id=row.request_id,
        payload=row.payload,
    )

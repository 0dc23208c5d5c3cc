"""Queries on the table of jobs and facts that were given up."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.contracts.jobs import DeadLetter
from fireside.core.errors import NotFoundError
from fireside.core.ids import UserId, new_id
from fireside.runtime.durable.tables import dead_letters


class DeadLetterNotFoundError(NotFoundError):
    """There is no such dead letter, or it was driven again already."""

    code = "dead_letter_not_found"


async def add_job(session: AsyncSession, job: Row[Any], *, error: Mapping[str, Any], now: datetime) -> None:
    """Note that a job was given up."""
    await _add(session, job.kind, error, type="job", subject_id=job.id, attempts=job.attempts + 1, now=now)


async def add_event(session: AsyncSession, received: Row[Any], *, error: Mapping[str, Any], now: datetime) -> None:
    """Note that a fact was given up by a consumer group."""
    await _add(
        session,
        received.topic,
        error,
        type="event",
        subject_id=received.event_id,
        consumer_group=received.consumer_group,
        attempts=received.attempts + 1,
        now=now,
    )


async def _add(session: AsyncSession, name: str, error: Mapping[str, Any], *, now: datetime, **columns: Any) -> None:
    row = {"consumer_group": "", **columns, "id": new_id(), "name": name, "occurred_at": now}
    await session.execute(insert(dead_letters), {**row, "error": orjson.dumps(dict(error), default=str).decode()})


async def page(session: AsyncSession, *, redriven: bool, before: UUID | None, limit: int) -> list[DeadLetter]:
    """Dead letters, newest first, from before one; with `redriven`, those too that were driven again."""
    query = select(dead_letters).order_by(dead_letters.c.id.desc()).limit(limit)
    if not redriven:
        query = query.where(dead_letters.c.redriven_at.is_(None))
    if before is not None:
        query = query.where(dead_letters.c.id < before)
    return [_letter(row) for row in await session.execute(query)]


async def take(session: AsyncSession, letter_id: UUID, *, by: UserId | None, now: datetime) -> DeadLetter:
    """Mark a dead letter as driven again.

    Raises:
        DeadLetterNotFoundError: There is none that waits.
    """
    query = select(dead_letters).where(dead_letters.c.id == letter_id).with_for_update()
    row = (await session.execute(query)).one_or_none()
    if row is None or row.redriven_at is not None:
        raise DeadLetterNotFoundError(id=str(letter_id))
    await session.execute(
        update(dead_letters).where(dead_letters.c.id == letter_id).values(redriven_at=now, redriven_by=by)
    )
    return _letter(row).model_copy(update={"redriven_at": now, "redriven_by": by})


async def take_of_subject(session: AsyncSession, subject_id: UUID, *, by: UserId | None, now: datetime) -> None:
    """Mark the dead letters of a job or fact as driven again."""
    waiting = dead_letters.c.redriven_at.is_(None), dead_letters.c.subject_id == subject_id
    await session.execute(update(dead_letters).where(*waiting).values(redriven_at=now, redriven_by=by))


def _letter(row: Row[Any]) -> DeadLetter:
    return DeadLetter(
        id=row.id,
        type=row.type,
        name=row.name,
        subject_id=row.subject_id,
        consumer_group=row.consumer_group,
        attempts=row.attempts,
        error=orjson.loads(row.error),
        occurred_at=row.occurred_at,
        redriven_at=row.redriven_at,
        redriven_by=row.redriven_by,
    )

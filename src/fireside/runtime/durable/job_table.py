"""Queries on the table of jobs that run inside somebody else's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import orjson
from sqlalchemy import Dialect, Row, Table, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.contracts.jobs import JobView
from fireside.core.errors import ConflictError
from fireside.core.ids import JobId, UserId
from fireside.runtime.durable.origin import Origin
from fireside.runtime.durable.tables import jobs

LIVE = ("queued", "running")
_KEYED = UUID("6b1f3a0e-5d0c-4f5e-9a55-4a0f3f1b7c21")


class JobBeingCancelledError(ConflictError):
    """A job with this key is just being cancelled; ask again when it has ended."""

    code = "job_being_cancelled"
    retryable = True


@dataclass(frozen=True, slots=True)
class PendingJob:
    """A job that will be written when its unit of work commits."""

    id: JobId
    kind: str
    key: str | None
    payload: str
    owner_id: UserId | None
    origin: Origin
    created_at: datetime
    run_at: datetime


def keyed_id(kind: str, key: str) -> JobId:
    """The id of the job of this kind with this key: always the same, so that there is one."""
    return JobId(uuid5(_KEYED, f"{kind}\n{key}"))


async def add(session: AsyncSession, pending: Sequence[PendingJob]) -> None:
    """Write jobs. One whose key belongs to a live job is left to that; a finished one begins anew.

    Raises:
        JobBeingCancelledError: The live job with the same key is being cancelled.
    """
    for job in pending:
        if job.key is None:
            await session.execute(insert(jobs), _fresh(job))
        else:
            await _add_keyed(session, job)


async def _add_keyed(session: AsyncSession, job: PendingJob) -> None:
    query = select(jobs.c.state, jobs.c.cancel_requested).where(jobs.c.id == job.id).with_for_update()
    present = (await session.execute(query)).one_or_none()
    if present is None:
        await session.execute(insert_or_ignore(session, jobs), _fresh(job))
    elif present.state not in LIVE:
        await session.execute(update(jobs).where(jobs.c.id == job.id).values(_fresh(job)))
    elif present.cancel_requested:
        raise JobBeingCancelledError(kind=job.kind, job_id=str(job.id))


async def find_keyed_job(session: AsyncSession, kind: str, key: str) -> JobView | None:
    """The job of this kind with this key, as it stands or ended."""
    row = (await session.execute(select(jobs).where(jobs.c.id == keyed_id(kind, key)))).one_or_none()
    return None if row is None else job_view(row)


def insert_or_ignore(session: AsyncSession, table: Table) -> Any:
    """An insert that leaves rows alone which are there already."""
    return insert_or_ignore_on(session.get_bind().dialect, table)


def insert_or_ignore_on(dialect: Dialect, table: Table) -> Any:
    """The same for one dialect."""
    if dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


def job_view(row: Row[Any]) -> JobView:
    """A row of the table as its owner sees it."""
    return JobView(
        id=JobId(row.id),
        kind=row.kind,
        state=row.state,
        percent=row.percent,
        stage=row.stage,
        detail=row.detail,
        result=None if row.result is None else orjson.loads(row.result),
        error=None if row.error is None else orjson.loads(row.error),
        attempts=row.attempts,
        cancelling=row.cancel_requested and row.state in LIVE,
        owner_id=row.owner_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def _fresh(job: PendingJob) -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": job.kind,
        "key": job.key,
        "owner_id": job.owner_id,
        "request_id": job.origin.request_id,
        "payload": job.payload,
        "created_at": job.created_at,
        "updated_at": job.created_at,
        "run_at": job.run_at,
        **NEW,
    }


NEW: dict[str, Any] = {
    "state": "queued",
    "percent": 0.0,
    "stage": "",
    "detail": "",
    "result": None,
    "error": None,
    "checkpoint": None,
    "attempts": 0,
    "interruptions": 0,
    "cancel_requested": False,
    "lease_node": None,
    "lease_boot": None,
    "lease_until": None,
    "started_at": None,
    "finished_at": None,
}
"""The columns of a job that has not run yet."""

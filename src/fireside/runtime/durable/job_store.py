"""Queries with which a worker takes, keeps and ends jobs, each a transaction of its own."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, Row, and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.contracts.jobs import JobFinished, JobState, JobView
from fireside.core.errors import FiresideError
from fireside.core.ids import JobId, UserId
from fireside.runtime.context import Context
from fireside.runtime.durable import dead_letter_table
from fireside.runtime.durable.database import Database
from fireside.runtime.durable.job_table import job_view
from fireside.runtime.durable.tables import jobs
from fireside.runtime.durable.unit_of_work import UnitOfWork

_FREE: dict[str, Any] = {"lease_node": None, "lease_boot": None, "lease_until": None}


class JobLostError(FiresideError):
    """The job does not belong to this process any more: its lease ran out and another took it."""

    code = "job_lost"


class JobInterruptedError(FiresideError):
    """The process that ran the job ended in the middle of it, again and again."""

    code = "job_interrupted"


@dataclass(frozen=True, slots=True)
class Lease:
    """In whose name jobs are held.

    Attributes:
        node: The node, the same after a restart.
        boot: This run of its process.
    """

    node: str
    boot: UUID


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job that this process runs, as it stood when it was taken."""

    id: JobId
    kind: str
    owner_id: UserId | None
    request_id: str
    payload: str
    percent: float
    stage: str
    detail: str
    checkpoint: str | None
    attempts: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is."""

    percent: float
    stage: str
    detail: str


class JobStore:
    """Jobs of one service, for the worker that holds a lease."""

    def __init__(self, database: Database, lease: Lease) -> None:
        self._database = database
        self._lease = lease
        self._lease_span = timedelta(seconds=database.settings.lease_s)

    async def free_interrupted(self, *, before_boot: bool = False) -> None:
        """Queue jobs again whose process is gone: the lease ran out, or belongs to an earlier run of this node.

        Args:
            before_boot: Take those of earlier runs of this node whose lease still runs.
        """
        now = self._database.clock.now()
        gone: ColumnElement[bool] = jobs.c.lease_until < now
        if before_boot:
            gone = or_(gone, jobs.c.lease_node == self._lease.node)
        condition = and_(jobs.c.state == "running", jobs.c.lease_boot != self._lease.boot, gone)
        async with self._database.read() as session:
            if (await session.execute(select(jobs.c.id).where(condition).limit(1))).one_or_none() is None:
                return
        async with self._database.transaction() as unit:
            for row in (await unit.session.execute(select(jobs).where(condition).with_for_update())).all():
                await self._free(unit, row)

    async def _free(self, unit: UnitOfWork, row: Row[Any]) -> None:
        if row.cancel_requested:
            await self._end(unit, row, "cancelled", {})
        elif row.interruptions + 1 >= self._database.settings.interruptions:
            error = JobInterruptedError().to_dict()
            await self._end(unit, row, "failed", {"error": to_json(error), "interruptions": row.interruptions + 1})
            await dead_letter_table.add_job(unit.session, row, error=error, now=self._database.clock.now())
        else:
            values = {**_FREE, "state": "queued", "interruptions": row.interruptions + 1}
            await unit.session.execute(update(jobs).where(jobs.c.id == row.id).values(values))

    async def claim(self, free: Mapping[str, int]) -> list[ClaimedJob]:
        """Take due jobs, longest due first.

        Args:
            free: How many more of each kind may run.
        """
        now = self._database.clock.now()
        due = and_(jobs.c.state == "queued", jobs.c.run_at <= now)
        async with self._database.read() as session:
            query = select(jobs.c.kind).where(due, jobs.c.kind.in_([kind for kind, n in free.items() if n])).distinct()
            kinds = list((await session.execute(query)).scalars())
        if not kinds:
            return []
        claimed = list[ClaimedJob]()
        async with self._database.transaction() as unit:
            for kind in kinds:
                query = select(jobs).where(due, jobs.c.kind == kind).order_by(jobs.c.run_at, jobs.c.id)
                rows = await unit.session.execute(query.limit(free[kind]).with_for_update(skip_locked=True))
                claimed += [await self._take(unit.session, row) for row in rows.all()]
        self._database.probe("job claimed")
        return claimed

    async def _take(self, session: AsyncSession, row: Row[Any]) -> ClaimedJob:
        now = self._database.clock.now()
        values = {
            "state": "running",
            "lease_node": self._lease.node,
            "lease_boot": self._lease.boot,
            "lease_until": now + self._lease_span,
            "started_at": row.started_at or now,
            "updated_at": now,
        }
        await session.execute(update(jobs).where(jobs.c.id == row.id).values(values))
        return ClaimedJob(**{name: getattr(row, name) for name in ClaimedJob.__slots__})

    async def next_due_in_s(self, kinds: Collection[str]) -> float | None:
        """Seconds until a queued job of these kinds is due, 0 when one is; None when there is none."""
        query = select(func.min(jobs.c.run_at)).where(jobs.c.state == "queued", jobs.c.kind.in_(kinds))
        async with self._database.read() as session:
            due = (await session.execute(query)).scalar_one()
        return None if due is None else max(0.0, (due - self._database.clock.now()).total_seconds())

    async def renew(self, job_ids: Collection[JobId]) -> None:
        """Hold these jobs of this process for another full lease."""
        until = self._database.clock.now() + self._lease_span
        async with self._database.transaction() as unit:
            await unit.session.execute(
                update(jobs)
                .where(jobs.c.id.in_(job_ids), jobs.c.state == "running", self._mine())
                .values(lease_until=until)
            )

    async def held(self) -> dict[JobId, bool]:
        """The jobs that this process holds, each with whether it is to be cancelled."""
        query = select(jobs.c.id, jobs.c.cancel_requested).where(jobs.c.state == "running", self._mine())
        async with self._database.read() as session:
            return {JobId(row.id): bool(row.cancel_requested) for row in await session.execute(query)}

    async def save_progress(self, job_id: JobId, progress: Progress) -> JobView:
        """Write how far a job is.

        Raises:
            JobLostError: It is not this process's any more.
        """
        async with self._database.transaction() as unit:
            await self._change(unit.session, job_id, _progress(progress))
            return job_view((await unit.session.execute(select(jobs).where(jobs.c.id == job_id))).one())

    async def save_checkpoint(self, job_id: JobId, checkpoint: Mapping[str, Any], unit: UnitOfWork) -> None:
        """Write from where the job goes on after an interruption, in a transaction of the caller's.

        Raises:
            JobLostError: The job is not this process's any more; the transaction must not commit.
        """
        await self._change(unit.session, job_id, {"checkpoint": to_json(checkpoint)})

    async def succeed(self, context: Context, job: ClaimedJob, *, result: str, progress: Progress) -> None:
        """End a job well, with its result."""
        done = Progress(100.0, progress.stage, progress.detail)
        values = {"result": result, "error": None, "attempts": job.attempts + 1, **_progress(done)}
        async with self._database.transaction(context) as unit:
            await self._end(unit, await self._locked(unit.session, job.id), "succeeded", values)
        self._database.probe("job succeeded")

    async def cancel(self, context: Context, job: ClaimedJob, *, progress: Progress) -> None:
        """End a job that was cancelled."""
        async with self._database.transaction(context) as unit:
            await self._end(unit, await self._locked(unit.session, job.id), "cancelled", _progress(progress))

    async def give_up(self, context: Context, job: ClaimedJob, *, error: dict[str, Any], progress: Progress) -> None:
        """End a job that failed for good: it becomes a dead letter."""
        values = {"error": to_json(error), "attempts": job.attempts + 1, **_progress(progress)}
        async with self._database.transaction(context) as unit:
            row = await self._locked(unit.session, job.id)
            await self._end(unit, row, "failed", values)
            await dead_letter_table.add_job(unit.session, row, error=error, now=self._database.clock.now())
        self._database.probe("job failed")

    async def try_again(self, job: ClaimedJob, *, error: dict[str, Any], progress: Progress, delay_s: float) -> None:
        """Queue a job again after an attempt that failed."""
        values = {
            **_FREE,
            "state": "queued",
            "attempts": job.attempts + 1,
            "error": to_json(error),
            "run_at": self._database.clock.now() + timedelta(seconds=delay_s),
            **_progress(progress),
        }
        async with self._database.transaction() as unit:
            row = await self._locked(unit.session, job.id)
            if row.cancel_requested:
                await self._end(unit, row, "cancelled", {"attempts": job.attempts + 1, "error": to_json(error)})
            else:
                await self._change(unit.session, job.id, values)

    async def release(self, job: ClaimedJob, *, progress: Progress) -> None:
        """Queue a job again that this process stops running, as if it had not been taken."""
        async with self._database.transaction() as unit:
            await self._change(unit.session, job.id, {**_FREE, "state": "queued", **_progress(progress)})

    def _mine(self) -> ColumnElement[bool]:
        return jobs.c.lease_boot == self._lease.boot

    async def _locked(self, session: AsyncSession, job_id: JobId) -> Row[Any]:
        query = select(jobs).where(jobs.c.id == job_id, jobs.c.state == "running", self._mine()).with_for_update()
        row = (await session.execute(query)).one_or_none()
        if row is None:
            raise JobLostError(job_id=str(job_id))
        return row

    async def _change(self, session: AsyncSession, job_id: JobId, values: Mapping[str, Any]) -> None:
        await self._locked(session, job_id)
        now = self._database.clock.now()
        await session.execute(update(jobs).where(jobs.c.id == job_id).values(updated_at=now, **values))

    async def _end(self, unit: UnitOfWork, row: Row[Any], state: JobState, values: Mapping[str, Any]) -> None:
        await end_job(unit, self._database, row, state=state, values=values)


async def end_job(
    unit: UnitOfWork, database: Database, row: Row[Any], *, state: JobState, values: Mapping[str, Any]
) -> None:
    """Write the last state of a job and state the fact."""
    now = database.clock.now()
    ended = {**_FREE, "state": state, "finished_at": now, "updated_at": now, **values}
    await unit.session.execute(update(jobs).where(jobs.c.id == row.id).values(ended))
    error = ended.get("error", row.error)
    unit.emit(
        JobFinished(
            service=database.service,
            job_id=JobId(row.id),
            kind=row.kind,
            state=state,
            owner_id=row.owner_id,
            error=None if error is None or state == "succeeded" else orjson.loads(error),
        )
    )


def _progress(progress: Progress) -> dict[str, Any]:
    return {"percent": progress.percent, "stage": progress.stage, "detail": progress.detail}


def to_json(value: Mapping[str, Any]) -> str:
    """A dictionary as it is stored; what JSON does not know becomes text."""
    return orjson.dumps(dict(value), default=str, option=orjson.OPT_NON_STR_KEYS).decode()

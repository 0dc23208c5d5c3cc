"""Serves the job actions of one service."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.contracts.jobs import (
    MANAGE_JOBS,
    DeadLetter,
    DeadLetterPage,
    DeadLetterRef,
    JobPage,
    JobRef,
    JobView,
    ListDeadLetters,
    ListJobs,
    jobs_of,
)
from fireside.core.errors import ConflictError, InvalidInputError, NotFoundError
from fireside.core.ids import JobId
from fireside.runtime.context import Context
from fireside.runtime.durable import dead_letter_table, inbox_store
from fireside.runtime.durable.database import Database
from fireside.runtime.durable.job_store import end_job
from fireside.runtime.durable.job_table import NEW, job_view
from fireside.runtime.durable.rejected_letters import offer_again, rejected_letters
from fireside.runtime.durable.tables import jobs
from fireside.runtime.durable.unit_of_work import UnitOfWork
from fireside.runtime.durable.worker import Worker
from fireside.runtime.mesh.service import AnyAction


class JobNotFoundError(NotFoundError):
    """There is no such job, or it is not the caller's."""

    code = "job_not_found"


class JobNotEndedError(ConflictError):
    """Only a job that failed or was cancelled can be tried again."""

    code = "job_not_ended"


class JobDesk:
    """Shows and steers jobs: to their owners, and to managers of jobs."""

    def __init__(self, database: Database, worker: Worker) -> None:
        self._database = database
        self._worker = worker

    def offers(self) -> Iterator[tuple[AnyAction, Callable[..., Any]]]:
        """The actions, each with the method that serves it."""
        actions = jobs_of(self._database.service)
        yield actions.list, self.list_jobs
        yield actions.get, self.get_job
        yield actions.cancel, self.cancel_job
        yield actions.retry, self.retry_job
        yield actions.dead, self.list_dead_letters
        yield actions.redrive, self.redrive

    async def list_jobs(self, context: Context, request: ListJobs) -> JobPage:
        """The caller's jobs, or everybody's, newest first.

        Raises:
            ForbiddenError: Everybody's were asked for without the permission.
        """
        query = select(jobs).order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(request.limit + 1)
        if request.everyone:
            context.identity.require(MANAGE_JOBS)
        else:
            query = query.where(jobs.c.owner_id == context.identity.require_user())
        if request.kind is not None:
            query = query.where(jobs.c.kind == request.kind)
        if request.state is not None:
            query = query.where(jobs.c.state == request.state)
        if request.cursor is not None:
            query = query.where(_after(request.cursor))
        async with self._database.read() as session:
            views = [job_view(row) for row in await session.execute(query)]
        shown = views[: request.limit]
        more = len(views) > request.limit
        return JobPage(jobs=tuple(shown), next_cursor=_cursor(shown[-1]) if more else None)

    async def get_job(self, context: Context, request: JobRef) -> JobView:
        """One job.

        Raises:
            JobNotFoundError: There is none that the caller may see.
        """
        async with self._database.read() as session:
            return job_view(await self._visible(session, context, request.id, lock=False))

    async def cancel_job(self, context: Context, request: JobRef) -> JobView:
        """End a queued job now and a running one soon. One that has ended stays as it is.

        Raises:
            JobNotFoundError: There is none that the caller may see.
        """
        async with self._database.transaction(context) as unit:
            row = await self._visible(unit.session, context, request.id)
            if row.state == "queued":
                await end_job(unit, self._database, row, state="cancelled", values={})
            elif row.state == "running":
                await unit.session.execute(update(jobs).where(jobs.c.id == row.id).values(cancel_requested=True))
            view = job_view(await self._visible(unit.session, context, request.id))
        self._worker.cancel(request.id)
        return view

    async def retry_job(self, context: Context, request: JobRef) -> JobView:
        """Queue a job again that failed or was cancelled; it goes on from its checkpoint.

        Raises:
            JobNotFoundError: There is none that the caller may see.
            JobNotEndedError: It is queued, running, or succeeded.
        """
        async with self._database.transaction(context) as unit:
            row = await self._visible(unit.session, context, request.id)
            await self._queue_again(unit, row)
            now, by = self._database.clock.now(), context.identity.user_id
            await dead_letter_table.take_of_subject(unit.session, row.id, by=by, now=now)
            view = job_view(await self._visible(unit.session, context, request.id))
        self._database.wakeups.wake("jobs")
        return view

    async def list_dead_letters(self, _context: Context, request: ListDeadLetters) -> DeadLetterPage:
        """Jobs and facts that were given up, newest first; after the last of them, what the stream put aside."""
        before = None if request.cursor is None else _letter_id(request.cursor)
        async with self._database.read() as session:
            letters = await dead_letter_table.page(
                session, redriven=request.redriven, before=before, limit=request.limit + 1
            )
        shown, more = letters[: request.limit], len(letters) > request.limit
        put_aside = [] if more else await rejected_letters(self._database)
        return DeadLetterPage(letters=(*shown, *put_aside), next_cursor=str(shown[-1].id) if more else None)

    async def redrive(self, context: Context, request: DeadLetterRef) -> DeadLetter:
        """Drive a job or fact again that was given up, or offer a message again that was put aside.

        Raises:
            DeadLetterNotFoundError: There is none that waits under this id.
            JobNotEndedError: The job was queued again in another way.
            EventStreamError: The message waits in a broker that is away.
        """
        for letter in await rejected_letters(self._database):
            if letter.id == request.id:
                return await offer_again(self._database, letter, by=context.identity.user_id)
        now, by = self._database.clock.now(), context.identity.user_id
        async with self._database.transaction(context) as unit:
            letter = await dead_letter_table.take(unit.session, request.id, by=by, now=now)
            if letter.type == "job":
                row = await self._visible(unit.session, context, JobId(letter.subject_id))
                await self._queue_again(unit, row)
            else:
                await inbox_store.revive(unit.session, letter.consumer_group, letter.subject_id, now=now)
        self._database.wakeups.wake("jobs" if letter.type == "job" else "inbox")
        return letter

    async def _visible(self, session: AsyncSession, context: Context, job_id: JobId, *, lock: bool = True) -> Row[Any]:
        query = select(jobs).where(jobs.c.id == job_id)
        row = (await session.execute(query.with_for_update() if lock else query)).one_or_none()
        mine = row is not None and row.owner_id is not None and row.owner_id == context.identity.user_id
        if row is None or not (mine or context.identity.may(MANAGE_JOBS)):
            raise JobNotFoundError(job_id=str(job_id))
        return row

    async def _queue_again(self, unit: UnitOfWork, row: Row[Any]) -> None:
        if row.state not in {"failed", "cancelled"}:
            raise JobNotEndedError(f"the job is {row.state}", job_id=str(row.id), state=row.state)
        now = self._database.clock.now()
        kept = {"percent", "stage", "detail", "checkpoint", "started_at"}
        values = {name: value for name, value in NEW.items() if name not in kept}
        await unit.session.execute(
            update(jobs).where(jobs.c.id == row.id).values({**values, "run_at": now, "updated_at": now})
        )


def _cursor(view: JobView) -> str:
    return urlsafe_b64encode(f"{view.created_at.isoformat()} {view.id}".encode()).decode()


def _after(cursor: str) -> ColumnElement[bool]:
    try:
        moment, _, job_id = urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        created_at, last_id = datetime.fromisoformat(moment), UUID(job_id)
        if created_at.tzinfo is None:
            raise ValueError("no time zone")
    except ValueError as error:
        raise InvalidInputError("cursor: not one that a page of jobs gave", cursor=cursor) from error
    return or_(jobs.c.created_at < created_at, and_(jobs.c.created_at == created_at, jobs.c.id < last_id))


def _letter_id(cursor: str) -> UUID:
    try:
        return UUID(cursor)
    except ValueError as error:
        raise InvalidInputError("cursor: not one that a page of dead letters gave", cursor=cursor) from error

"""A database that is away for a while: nothing is lost, and everything goes on when it is back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from fireside.adapters.event_stream.outbox import OutboxEventStream
from fireside.contracts.jobs import JobRef, JobView, jobs_of
from fireside.core.ids import JobId
from fireside.runtime.context import Context
from fireside.runtime.durable import Database, Job, JobRun
from fireside.runtime.durable.tables import jobs
from fireside.testing.durable import QUICK, eventually, job_that_ended
from fireside.testing.mesh import local_node
from tests.runtime.durable.conftest import MakeDatabase
from tests.runtime.durable.notes import (
    MIGRATIONS,
    SCRIBE,
    SINGLE,
    Noted,
    NotesService,
    Scribe,
    someone,
    texts,
    write_note,
)
from tests.runtime.durable.test_facts import keep_text


@asynccontextmanager
async def two_programs(folder: Path) -> AsyncIterator[tuple[Database, Database]]:
    """One file opened by two programs that wait for each other's locks only briefly."""
    settings = QUICK.model_copy(update={"busy_timeout_s": 0.01})
    url = f"sqlite:///{folder}/notes.sqlite"
    first, second = (
        Database(url, service="notes", migrations=MIGRATIONS, settings=settings, stream=OutboxEventStream())
        for _ in range(2)
    )
    await first.open()
    await second.open()
    try:
        yield first, second
    finally:
        await first.close()
        await second.close()


async def logged(logs: list[Any], event: str, times: int = 1) -> None:
    """Wait until something was logged."""

    async def look() -> bool | None:
        return True if sum(log["event"] == event for log in logs) >= times else None

    await eventually(look)


async def enqueue(database: Database, context: Context, job: Job[Scribe] = SCRIBE) -> JobId:
    async with database.transaction(context) as unit:
        return unit.enqueue(job, Scribe(), owner_id=context.identity.user_id)


async def test_the_end_of_a_job_is_written_as_soon_as_it_can_be(tmp_path: Path) -> None:
    may_end = asyncio.Event()
    runs = 0

    async def body(_context: Context, run: JobRun, _payload: Scribe) -> dict[str, Any]:
        nonlocal runs
        runs += 1
        await may_end.wait()
        await run.progress(50.0, "half")
        return {"run": runs}

    async with two_programs(tmp_path) as (database, other):
        with capture_logs() as logs:
            async with local_node(NotesService(database=database, job=body)) as node:
                context = node.context(identity=someone())
                job_id = await enqueue(database, context)
                await _running(context, job_id)
                async with other.transaction() as lock:
                    await write_note(lock.session, "in the way")
                    may_end.set()
                    await logged(logs, "job_progress_not_stored")
                    await logged(logs, "job_end_not_stored", times=2)
                view = await job_that_ended(context, "notes", job_id)
    assert (view.state, view.result, runs) == ("succeeded", {"run": 1}, 1)


async def test_a_node_that_stops_while_nothing_can_be_written_leaves_its_jobs_to_the_next_start(tmp_path: Path) -> None:
    begun = asyncio.Event()
    hold = True

    async def body(_context: Context, _run: JobRun, _payload: Scribe) -> None:
        begun.set()
        if hold:
            await asyncio.Event().wait()

    async with two_programs(tmp_path) as (database, other):
        user = someone()
        async with other.transaction() as lock, local_node(NotesService(database=database, job=body)) as node:
            job_id = await enqueue(database, node.context(identity=user))
            await begun.wait()
            await write_note(lock.session, "in the way")
        hold = False
        async with local_node(NotesService(database=database, job=body)) as node:
            view = await job_that_ended(node.context(identity=user), "notes", job_id)
    assert view.state == "succeeded"


async def test_everything_goes_on_after_the_database_was_closed_and_opened_again(make: MakeDatabase) -> None:
    may_end = asyncio.Event()

    async def body(_context: Context, _run: JobRun, _payload: Scribe) -> None:
        await may_end.wait()

    database = make()
    with capture_logs() as logs:
        async with local_node(NotesService(database=database, job=body, event=keep_text)) as node:
            context = node.context(identity=someone())
            job_id = await enqueue(database, context)
            await _running(context, job_id)
            await database.close()
            for part in ("jobs_not_taken", "leases_not_kept", "inbox_not_read", "facts_not_taken"):
                await logged(logs, part)
            await database.open()
            may_end.set()
            async with database.transaction() as unit:
                unit.emit(Noted(note_id=uuid4(), text="milk"))

            async def kept() -> bool | None:
                return True if await texts(database) == ["milk"] else None

            await eventually(kept)
            assert (await job_that_ended(context, "notes", job_id)).state == "succeeded"


async def test_a_job_that_finds_that_it_was_taken_over_ends_without_a_trace(make: MakeDatabase) -> None:
    taken = asyncio.Event()

    async def body(_context: Context, run: JobRun, _payload: Scribe) -> None:
        await taken.wait()
        await run.save({"late": True})

    database = make(settings=QUICK.model_copy(update={"heartbeat_s": 3600.0}))
    with capture_logs() as logs:
        async with local_node(NotesService(database=database, job=body)) as node:
            context = node.context(identity=someone())
            job_id = await enqueue(database, context)
            await _running(context, job_id)
            async with database.transaction() as unit:
                until = database.clock.now().replace(year=2999)
                other = {"lease_boot": job_id, "lease_node": "other", "lease_until": until}
                await unit.session.execute(update(jobs).values(other))
            taken.set()
            await logged(logs, "job_lost")
            view = await context.call(jobs_of("notes").get, JobRef(id=job_id))
    assert (view.state, view.error, view.attempts) == ("running", None, 0)


async def test_a_job_that_cancels_itself_has_failed(database: Database) -> None:
    async def body(_context: Context, _run: JobRun, _payload: Scribe) -> None:
        raise asyncio.CancelledError

    async with local_node(NotesService(database=database, job=body)) as node:
        context = node.context(identity=someone())
        view = await job_that_ended(context, "notes", await enqueue(database, context, SINGLE))
    assert (view.state, (view.error or {})["message"]) == ("failed", "the job cancelled itself")


async def test_waiting_for_something_that_never_comes_ends() -> None:
    async def never() -> bool | None:
        return None

    with pytest.raises(TimeoutError, match=r"not within 0\.01 s"):
        await eventually(never, within_s=0.01)


async def _running(context: Context, job_id: JobId) -> None:
    async def look() -> JobView | None:
        view = await context.call(jobs_of("notes").get, JobRef(id=job_id))
        return view if view.state == "running" else None

    await eventually(look)

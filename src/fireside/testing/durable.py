"""Databases for tests: real files that are gone afterwards."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TypeVar

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData

from fireside.contracts.jobs import JobRef, JobView, jobs_of
from fireside.core.clock import Clock
from fireside.core.ids import JobId
from fireside.ports.event_stream import EventStream
from fireside.runtime.context import Context
from fireside.runtime.durable import Database, DurableSettings

SeenT = TypeVar("SeenT")

QUICK = DurableSettings(
    retry_s=0.01,
    max_retry_s=0.1,
    poll_s=0.2,
    heartbeat_s=0.05,
    cancel_grace_s=0.2,
    progress_s=0.0,
    start_wait_s=0.0,
    close_s=1.0,
)
"""Settings with which a test need not wait."""


@asynccontextmanager
async def temporary_database(
    service: str,
    migrations: Path | None = None,
    *,
    stream: EventStream | None = None,
    settings: DurableSettings = QUICK,
    clock: Clock | None = None,
) -> AsyncGenerator[Database]:
    """An open database of a service in a file of its own.

    Args:
        service: Name of the service.
        migrations: The folder of its migrations: `Path(tables.__file__).parent / "migrations"`.
        stream: Carries its facts; the same object for all services that shall hear of each other.
        settings: Times and limits; quick ones by default.
        clock: Tells the time; the machine's by default.
    """
    with TemporaryDirectory(prefix="fireside-") as folder:
        url = f"sqlite:///{folder}/{service}.sqlite"
        database = Database(url, service=service, migrations=migrations, stream=stream, settings=settings, clock=clock)
        await database.open()
        try:
            yield database
        finally:
            await database.close()


async def job_that_ended(context: Context, service: str, job_id: JobId, *, within_s: float = 60.0) -> JobView:
    """Wait for a job of a service to succeed, fail for good or be cancelled.

    Args:
        context: Of the job's owner, or of someone who may manage jobs.
        service: Whose job it is.
        job_id: The job.
        within_s: Longest wait.

    Raises:
        TimeoutError: It has not ended.
    """
    get = jobs_of(service).get

    async def ended() -> JobView | None:
        view = await context.call(get, JobRef(id=job_id))
        return None if view.state in {"queued", "running"} else view

    return await eventually(ended, within_s=within_s)


async def eventually(look: Callable[[], Awaitable[SeenT | None]], *, within_s: float = 60.0) -> SeenT:
    """Look again and again until there is something to see.

    Raises:
        TimeoutError: There was nothing in time.
    """
    deadline = monotonic() + within_s
    while (seen := await look()) is None:
        if monotonic() > deadline:
            raise TimeoutError(f"not within {within_s} s")
        await asyncio.sleep(0.01)
    return seen


async def schema_differences(database: Database, *expected: MetaData) -> list[str]:
    """How the tables that the migrations made differ from those that the code describes; empty when they do not.

    Args:
        database: An open one.
        expected: All the tables that belong in it: `durable_metadata` and the service's own.
    """
    described = MetaData()
    for table in (table for metadata in expected for table in metadata.tables.values()):
        table.to_metadata(described)

    def compare(connection: Connection) -> list[str]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return [str(difference) for difference in compare_metadata(context, described)]

    async with database.read() as session:
        return await (await session.connection()).run_sync(compare)

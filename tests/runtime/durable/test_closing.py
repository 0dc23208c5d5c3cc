"""A database that is closed leaves no connection open, whatever was going on."""

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from fireside.core.errors import InternalError
from fireside.runtime.durable import Database
from fireside.runtime.durable.failures import DatabaseUnavailableError
from fireside.testing.durable import QUICK, eventually
from tests.postgresql import fetch_all
from tests.runtime.durable.conftest import MakeDatabase
from tests.runtime.durable.notes import MIGRATIONS, texts, write_note

CONNECTIONS = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'fireside-notes'"
)


@asynccontextmanager
async def reading(database: Database) -> AsyncIterator[asyncio.Event]:
    """A task that reads, and goes on doing so until the event is set."""
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def read() -> None:
        async with database.read() as session:
            await session.execute(text("SELECT 1"))
            begun.set()
            await may_end.wait()

    task = asyncio.create_task(read())
    await begun.wait()
    try:
        yield may_end
    finally:
        may_end.set()
        await asyncio.gather(task, return_exceptions=True)


async def nothing_is_left(url: str) -> None:
    """No connection is open at the server, and none lies about in this process."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gc.collect()

    async def none() -> bool | None:
        return None if await fetch_all(url, CONNECTIONS) else True

    if url.startswith("postgresql"):
        await eventually(none)


async def test_closing_waits_for_what_is_in_use(make: MakeDatabase, database_url: str) -> None:
    database = make()
    await database.open()
    async with reading(database) as may_end:
        closing = asyncio.create_task(database.close())
        done, _ = await asyncio.wait([closing], timeout=0.05)
        assert not done
        with pytest.raises(InternalError, match="not open"):
            await texts(database)
        may_end.set()
        await asyncio.wait_for(closing, 0.5)
    await nothing_is_left(database_url)


async def test_closing_does_not_wait_for_ever(make: MakeDatabase, database_url: str) -> None:
    database = make(settings=QUICK.model_copy(update={"close_s": 0.05}))
    await database.open()
    with capture_logs() as logs:
        async with reading(database):
            await asyncio.wait_for(database.close(), 5)
            assert [(log["event"], log["sessions"]) for log in logs] == [("sessions_not_ended", 1)]
    await nothing_is_left(database_url)


async def test_a_server_is_left_at_once_whatever_is_in_use(postgresql_url: str) -> None:
    settings = QUICK.model_copy(update={"close_s": 0.01})
    database = Database(postgresql_url, service="notes", migrations=MIGRATIONS, settings=settings)
    await database.open()
    with capture_logs():
        async with reading(database):
            await database.close()
            await nothing_is_left(postgresql_url)


async def test_a_transaction_that_is_cut_says_so_and_leaves_nothing(postgresql_url: str) -> None:
    settings = QUICK.model_copy(update={"close_s": 0.01})
    database = Database(postgresql_url, service="notes", migrations=MIGRATIONS, settings=settings)
    await database.open()

    async def write() -> None:
        async with database.transaction() as unit:
            await write_note(unit.session, "half")
            await database.close()

    with capture_logs(), pytest.raises(DatabaseUnavailableError, match="closed in the middle"):
        await write()
    await nothing_is_left(postgresql_url)
    await database.open()
    assert await texts(database) == []
    await database.close()


async def test_connections_whose_making_is_cancelled_are_closed(postgresql_url: str) -> None:
    settings = QUICK.model_copy(update={"readers": 8})

    async def read(database: Database) -> None:
        async with database.read() as session:
            await session.execute(text("SELECT 1"))

    for wait_s in (0.001, 0.004, 0.008, 0.016):
        database = Database(postgresql_url, service="notes", migrations=MIGRATIONS, settings=settings)
        await database.open()
        tasks = [asyncio.create_task(read(database)) for _ in range(8)]
        await asyncio.wait(tasks, timeout=wait_s)
        for task in tasks:
            task.cancel()
        closing = asyncio.create_task(database.close())
        await asyncio.gather(*tasks, return_exceptions=True)
        await closing
        await nothing_is_left(postgresql_url)

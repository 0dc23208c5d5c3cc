"""PostgreSQL that is busy, slow, restarted, away or read-only: what callers are told, and that it is used again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from fireside.runtime.durable import Database
from fireside.runtime.durable.failures import DatabaseReadOnlyError, DatabaseRefusedError, DatabaseUnavailableError
from fireside.testing.durable import QUICK, eventually
from tests.postgresql import OwnCluster, execute
from tests.runtime.durable.notes import MIGRATIONS, texts, write_note


@asynccontextmanager
async def notes_on(url: str, **settings: Any) -> AsyncIterator[Database]:
    """An open database of the service `notes`."""
    chosen = QUICK.model_copy(update=settings)
    database = Database(url, service="notes", migrations=MIGRATIONS, settings=chosen)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
async def url(postgresql_url: str) -> AsyncIterator[str]:
    """A database without the tables of `notes`."""
    yield postgresql_url
    await asyncio.to_thread(execute, postgresql_url, "DROP SCHEMA IF EXISTS notes CASCADE")


async def write(database: Database, words: str) -> None:
    async with database.transaction() as unit:
        await write_note(unit.session, words)


async def statement(database: Database, words: str) -> None:
    async with database.transaction() as unit:
        await unit.session.execute(text(words))


async def test_when_all_connections_for_reading_are_in_use_the_next_caller_is_told(url: str) -> None:
    async with notes_on(url, readers=1, pool_wait_s=0.05) as database:
        async with database.read() as session:
            await session.execute(text("SELECT 1"))
            with pytest.raises(DatabaseUnavailableError, match="all connections to the database are in use") as told:
                await asyncio.create_task(texts(database))
        assert told.value.retryable
        assert told.value.status == 503
        assert await texts(database) == []


async def test_when_as_many_transactions_go_on_as_may_the_next_caller_is_told(url: str) -> None:
    async with notes_on(url, writers=1, pool_wait_s=0.05) as database:
        async with database.transaction():
            with pytest.raises(DatabaseUnavailableError, match="1 transactions are going on") as told:
                await asyncio.create_task(write(database, "late"))
            assert (await database.check()).status == "ok"
        assert told.value.retryable
        await write(database, "now")


async def test_a_statement_that_takes_too_long_is_ended_and_named(url: str) -> None:
    async with notes_on(url, statement_timeout_s=0.05) as database:
        with pytest.raises(DatabaseUnavailableError, match="FIRESIDE_DURABLE_STATEMENT_TIMEOUT_S"):
            await statement(database, "SELECT pg_sleep(30)")
        await write(database, "afterwards")


async def test_a_lock_that_is_held_too_long_is_not_waited_for(url: str) -> None:
    async with notes_on(url, lock_timeout_s=0.05) as database, database.transaction() as unit:
        await unit.session.execute(text("LOCK TABLE notes"))
        with pytest.raises(DatabaseUnavailableError, match="FIRESIDE_DURABLE_LOCK_TIMEOUT_S"):
            await asyncio.create_task(write(database, "in the way"))


async def test_a_transaction_that_does_nothing_does_not_hold_its_locks_for_ever(url: str) -> None:
    async with notes_on(url, idle_transaction_timeout_s=0.05) as database:

        async def fall_asleep() -> None:
            async with database.transaction() as unit:
                await unit.session.execute(text("LOCK TABLE notes"))
                await asyncio.create_task(write(database, "afterwards"))
                await unit.session.execute(text("SELECT 1"))

        with pytest.raises(DatabaseUnavailableError):
            await fall_asleep()
        assert await texts(database) == ["afterwards"]


async def test_a_server_that_does_not_let_us_in_is_not_waited_for(postgresql_url: str) -> None:
    for url, said in (
        (f"{postgresql_url}_", "has no such database"),
        (postgresql_url.replace("postgres@", "nobody@"), "refuses the user"),
    ):
        with pytest.raises(DatabaseRefusedError, match=said):
            async with asyncio.timeout(10), notes_on(url, start_wait_s=60.0):
                pass


async def test_a_server_that_was_restarted_is_used_again_without_an_error(own_cluster: OwnCluster) -> None:
    async with notes_on(own_cluster.url) as database:
        await write(database, "before")
        await texts(database)
        await asyncio.to_thread(own_cluster.stop)
        with pytest.raises(DatabaseUnavailableError):
            await texts(database)
        assert (await database.check()).status == "failed"

        await asyncio.to_thread(own_cluster.start)

        await write(database, "after")
        assert await texts(database) == ["after", "before"]
        await asyncio.to_thread(own_cluster.stop)
        await asyncio.to_thread(own_cluster.start)
        assert await texts(database) == ["after", "before"]
        assert (await database.check()).status == "ok"


async def test_a_server_that_comes_later_is_waited_for(own_cluster: OwnCluster) -> None:
    await asyncio.to_thread(own_cluster.stop)
    with capture_logs() as logs:
        opening = asyncio.create_task(open_and_write(own_cluster.url))
        async with asyncio.timeout(10):
            while not logs:
                await asyncio.sleep(0.01)
        assert not opening.done()
        await asyncio.to_thread(own_cluster.start)
        assert await asyncio.wait_for(opening, 20) == ["there"]
    assert {log["event"] for log in logs} == {"database_awaited"}


async def open_and_write(url: str) -> list[str]:
    async with notes_on(url, start_wait_s=30.0) as database:
        await write(database, "there")
        return await texts(database)


@pytest.mark.requirement("D2")
async def test_a_server_that_takes_no_changes_is_read_and_the_health_says_so(own_cluster: OwnCluster) -> None:
    async with notes_on(own_cluster.url) as database:
        await write(database, "before")
        await asyncio.to_thread(refuse_changes, own_cluster, True)

        async def refusal() -> DatabaseReadOnlyError | None:
            try:
                await write(database, f"taken {uuid4()}")  # until the server has read its settings again
            except DatabaseReadOnlyError as error:
                return error
            return None

        refused = await eventually(refusal)
        assert "only be read" in refused.message
        assert (refused.retryable, refused.status) == (True, 503)
        assert "before" in await texts(database)
        check = await database.check()
        assert check.status == "degraded"
        assert check.detail.startswith("read-only: notes: ")

    async with notes_on(own_cluster.url) as database:
        assert "before" in await texts(database)

        await asyncio.to_thread(refuse_changes, own_cluster, False)

        async def taken() -> bool | None:
            try:
                await write(database, "later")
            except DatabaseReadOnlyError:
                return None
            return True

        assert await eventually(taken)
        assert (await database.check()).status == "ok"


def refuse_changes(cluster: OwnCluster, refused: bool) -> None:
    """As a server does that was told so; a standby answers in the same words. Sessions that are open are told, too."""
    setting = "on" if refused else "off"
    execute(cluster.url, f"ALTER SYSTEM SET default_transaction_read_only = {setting}")
    execute(cluster.url, "SELECT pg_reload_conf()")
    execute(cluster.url, f"SET default_transaction_read_only = {setting}; SELECT pg_sleep(0.2)")


async def test_a_file_that_may_not_be_written_is_read_and_the_health_says_so(tmp_path: Any) -> None:
    async with notes_on(f"sqlite:///{tmp_path}/notes.sqlite") as database:
        await write(database, "before")
        await statement(database, "PRAGMA query_only = ON")

        with pytest.raises(DatabaseReadOnlyError, match="file may not be written"):
            await write(database, "refused")
        assert await texts(database) == ["before"]
        check = await database.check()
        assert (check.status, check.detail) == ("degraded", "read-only: notes: the database file may not be written")
        assert (await database.check()).status == "degraded"

        await database.close()
        await database.open()
        assert (await database.check()).status == "ok"
        await write(database, "later")

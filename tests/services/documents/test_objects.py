"""Notes on stored bytes, when others erase them at the same time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.runtime.durable import Database
from fireside.services.documents.repository import objects
from fireside.testing.durable import QUICK
from tests.databases import database_fixture
from tests.services.documents.conftest import MIGRATIONS

database_url = database_fixture("documents", MIGRATIONS, technologies=["postgresql"])
DIGEST = "d" * 64


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, service="documents", migrations=MIGRATIONS, settings=QUICK)
    await database.open()
    yield database
    await database.close()


class SlowSession:
    """A session that does something else between its first statement and the next."""

    def __init__(self, session: AsyncSession, between: Callable[[], Awaitable[None]]) -> None:
        self._session = session
        self._between: Callable[[], Awaitable[None]] | None = between

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    async def execute(self, *args: Any) -> Any:
        result = await self._session.execute(*args)
        between, self._between = self._between, None
        if between is not None:
            await between()
        return result


@pytest.mark.parametrize("note", [objects.keep, objects.doom_unknown])
async def test_bytes_that_are_erased_while_they_are_noted_are_neither_kept_nor_doomed(
    database: Database, note: Callable[[Any, str], Awaitable[bool]]
) -> None:
    async with database.transaction() as unit:
        assert await objects.doom_unknown(unit.session, DIGEST)

    async def erase() -> None:
        async with database.transaction() as other:
            await objects.forget(other.session, DIGEST)

    async with database.transaction() as unit:
        session = SlowSession(unit.session, lambda: asyncio.create_task(erase()))
        assert not await note(session, DIGEST)

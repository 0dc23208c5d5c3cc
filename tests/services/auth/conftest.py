"""An auth service on a database of its own."""

from collections.abc import AsyncIterator

import pytest

from fireside.runtime.durable import Database
from tests.databases import database_fixture
from tests.services.auth.house import MIGRATIONS, House, auth_database, auth_house

database_url = database_fixture("auth", MIGRATIONS)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = auth_database(database_url)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def house(database: Database) -> AsyncIterator[House]:
    async with auth_house(database) as house:
        yield house

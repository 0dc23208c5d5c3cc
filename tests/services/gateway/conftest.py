from collections.abc import AsyncIterator

import pytest

from fireside.runtime.durable import Database
from tests.services.auth.conftest import database, database_url  # noqa: F401 - fixtures
from tests.services.gateway.door import Door, open_door


@pytest.fixture
async def door(database: Database) -> AsyncIterator[Door]:  # noqa: F811 - the fixture
    async with open_door(database) as door:
        yield door

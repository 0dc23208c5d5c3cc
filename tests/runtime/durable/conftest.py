"""Every test runs on SQLite, and on PostgreSQL where one can be reached."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from fireside.adapters.event_stream.outbox import OutboxEventStream
from fireside.runtime.durable import Database
from fireside.testing.durable import QUICK
from tests.postgresql import execute
from tests.runtime.durable.notes import MIGRATIONS

MakeDatabase = Callable[..., Database]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/notes.sqlite"
        return
    url: str = request.getfixturevalue("postgresql_url")
    yield url
    execute(url, "DROP SCHEMA IF EXISTS notes CASCADE; DROP SCHEMA IF EXISTS readers CASCADE")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Failures that tests cause on purpose are not drawn with their traces, which takes longer than the tests."""
    with capture_logs():
        yield


@pytest.fixture
def stream() -> OutboxEventStream:
    return OutboxEventStream()


@pytest.fixture
async def make(database_url: str, stream: OutboxEventStream) -> AsyncIterator[MakeDatabase]:
    """Describes databases of the service `notes`, all with the same tables, and closes them in the end."""
    made: list[Database] = []

    def describe(**options: object) -> Database:
        chosen = {"service": "notes", "migrations": MIGRATIONS, "settings": QUICK, "stream": stream, **options}
        made.append(Database(database_url, **chosen))
        return made[-1]

    yield describe
    for database in made:
        await database.close()


@pytest.fixture
async def database(make: MakeDatabase) -> Database:
    """An open database of the service `notes`."""
    opened = make()
    await opened.open()
    return opened

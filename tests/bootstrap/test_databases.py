"""The databases of all services together: in one, or each in its own."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from fireside.bootstrap.databases import SERVICES_WITH_DATABASES, make_database, migrate_all
from fireside.bootstrap.settings import Settings
from fireside.contracts.conversation import ConversationErased
from fireside.core.ids import ConversationId, UserId
from fireside.runtime.durable import Database, event_log
from fireside.runtime.durable.failures import DatabaseUnavailableError
from tests.databases import BOTH
from tests.postgresql import PostgresqlServer, fetch_all


async def tables_in(url: str) -> dict[str, set[str]]:
    """The tables of a database, by schema."""
    query = "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    found: dict[str, set[str]] = {}
    for schema, table in await fetch_all(url, query):
        found.setdefault(schema, set()).add(table)
    return found


async def each_keeps_its_own(databases: list[Database]) -> None:
    """Each service states a fact, which stands in its own log and in no other."""
    for database in databases:
        async with database.transaction() as unit:
            unit.emit(ConversationErased(conversation_id=ConversationId(uuid4()), owner_id=UserId(uuid4())))
    for database in databases:
        async with database.read() as session:
            assert [entry.source for entry in await event_log.read(session, after=0)] == [database.service]
        assert await database.verify_chain() is None
        assert (await database.check()).status == "ok"


async def open_all(settings: Settings) -> list[Database]:
    databases = [make_database(settings, service) for service in SERVICES_WITH_DATABASES]
    await asyncio.gather(*(database.open() for database in databases))
    return databases


@pytest.fixture(params=BOTH)
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/"
    server: PostgresqlServer = request.getfixturevalue("postgresql_server")
    return server.create()


@pytest.mark.requirement("D1")
async def test_all_services_share_one_database(tmp_path: Path, shared_url: str) -> None:
    settings = Settings(home=tmp_path, database_url=shared_url)

    two_nodes = await asyncio.gather(open_all(settings), open_all(settings))

    try:
        await each_keeps_its_own(two_nodes[0])
        if shared_url.startswith("postgresql"):
            tables = await tables_in(shared_url)
            assert set(tables) == set(SERVICES_WITH_DATABASES)
            assert "conversations" in tables["chat"]
            assert all("durable_events" in own for own in tables.values())
    finally:
        for database in (*two_nodes[0], *two_nodes[1]):
            await database.close()
    assert await migrate_all(settings) == list(SERVICES_WITH_DATABASES)


@pytest.mark.requirement("D2")
async def test_each_service_has_a_database_of_its_own(
    tmp_path: Path, postgresql_server: PostgresqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = {service: await asyncio.to_thread(postgresql_server.create) for service in ("auth", "chat")}
    urls |= {
        service: f"sqlite:///{tmp_path}/{service}.sqlite" for service in ("admin", "documents", "explore", "usage")
    }
    for service, url in urls.items():
        monkeypatch.setenv(f"FIRESIDE_{service.upper()}_DATABASE_URL", url)

    databases = await open_all(Settings(home=tmp_path / "home", database_url="postgresql://nobody@127.0.0.1:1/none"))

    try:
        await each_keeps_its_own(databases)
        assert set(await tables_in(urls["auth"])) == {"auth"}
        assert set(await tables_in(urls["chat"])) == {"chat"}
    finally:
        for database in databases:
            await database.close()
    assert not (tmp_path / "home").exists()


@pytest.mark.requirement("D2")
async def test_a_database_that_is_away_leaves_the_others_working(
    tmp_path: Path, postgresql_server: PostgresqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = await asyncio.to_thread(postgresql_server.create)
    monkeypatch.setenv("FIRESIDE_CHAT_DATABASE_URL", own)
    monkeypatch.setenv("FIRESIDE_DURABLE_START_WAIT_S", "0")
    databases = await open_all(Settings(home=tmp_path, database_url=f"sqlite:///{tmp_path}/"))
    chat = next(database for database in databases if database.service == "chat")
    try:
        await asyncio.to_thread(postgresql_server.drop, own)
        assert (await chat.check()).status == "failed"
        with pytest.raises(DatabaseUnavailableError):
            async with chat.read() as session:
                await session.execute(text("SELECT 1"))
        await each_keeps_its_own([database for database in databases if database is not chat])
    finally:
        for database in databases:
            await database.close()

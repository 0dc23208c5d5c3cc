"""The conversation store in SQLite and PostgreSQL, and its migrations."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from fireside.core.ids import MessageId, new_id
from fireside.runtime.durable import Database, event_log
from fireside.services.chat.repository.store import SqlConversationStore
from fireside.services.chat.tables import metadata
from fireside.testing.conformance.conversation_erasing import ConversationErasingConformance
from fireside.testing.conformance.conversation_search import ConversationSearchConformance
from fireside.testing.conformance.conversation_store import (
    ME,
    ConversationStoreConformance,
    Facts,
    conversation,
    message,
)
from fireside.testing.durable import QUICK
from tests.databases import BOTH, database_fixture

from .conftest import MIGRATIONS

database_url = database_fixture("chat", MIGRATIONS, technologies=BOTH)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, service="chat", migrations=MIGRATIONS, settings=QUICK)
    await database.open()
    yield database
    await database.close()


class TestSqlConversationStore(
    ConversationStoreConformance, ConversationSearchConformance, ConversationErasingConformance
):
    @pytest.fixture
    def store(self, database: Database) -> SqlConversationStore:
        return SqlConversationStore(database)

    @pytest.fixture
    def facts(self, database: Database) -> Facts:
        async def topics() -> list[str]:
            async with database.read() as session:
                return [entry.topic for entry in await event_log.read(session, after=0)]

        return topics

    async def test_a_character_that_not_every_database_can_store_is_replaced(self, store: SqlConversationStore) -> None:
        record = conversation(title="a\x00b", tags=("\x00",))
        question = message(record, content="\x00", model="\x00")
        await self.stored(store, record, question)
        async with store.read() as reads:
            kept, answer = await reads.find_conversation(ME, record.id), await reads.find_message(ME, question.id)
            assert kept is not None
            assert answer is not None
            assert (kept.title, kept.tags, answer.content) == ("a\ufffdb", ("\ufffd",), "\ufffd")

    async def test_only_events_of_contracts_are_facts(self, store: SqlConversationStore) -> None:
        async with store.transaction() as work:
            with pytest.raises(TypeError):
                work.emit(object())  # type: ignore[arg-type]  # the mistake under test

    async def test_parallel_messages_get_positions_without_gaps(self, store: SqlConversationStore) -> None:
        record = conversation()
        await self.stored(store, record)

        async def add() -> None:
            async with store.transaction() as work:
                await work.find_conversation(ME, record.id)
                await work.add_message(message(record, id=MessageId(new_id())))

        await asyncio.gather(*(add() for _ in range(20)))
        async with store.read() as reads:
            assert [m.position for m in await reads.messages(record.id)] == list(range(1, 21))


async def test_the_migrations_make_the_tables_that_the_code_expects(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        options = {"include_name": lambda name, kind, _: kind != "table" or name in metadata.tables}
        context = MigrationContext.configure(connection, opts={"compare_type": False, **options})
        return list(compare_metadata(context, metadata))

    async with database.read() as session:
        assert await (await session.connection()).run_sync(differences) == []


async def test_the_migrations_can_be_taken_back_and_made_again(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/chat.sqlite", service="chat", migrations=MIGRATIONS)
    await database.open()
    await database.downgrade("chat@base")
    await database.close()
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/chat.sqlite")
    async with engine.connect() as connection:
        tables = await connection.run_sync(lambda c: c.dialect.get_table_names(c))
    await engine.dispose()
    assert not set(tables) & set(metadata.tables)

    await database.open()
    await TestSqlConversationStore().stored(SqlConversationStore(database), conversation())
    await database.close()

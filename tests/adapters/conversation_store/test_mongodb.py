"""The conversation store in MongoDB."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from fireside.adapters.conversation_store.mongodb import MongoConversationStore
from fireside.contracts.conversation import ConversationErased
from fireside.core.clock import SystemClock
from fireside.core.identity import user_identity
from fireside.core.ids import ConversationId, new_id
from fireside.ports.conversation_records import ConversationFilter
from fireside.ports.separate_conversation_store import ConversationStoreUnavailableError
from fireside.testing.conformance.conversation_erasing import ConversationErasingConformance
from fireside.testing.conformance.conversation_search import ConversationSearchConformance
from fireside.testing.conformance.conversation_store import (
    ME,
    OTHER,
    ConversationStoreConformance,
    Facts,
    conversation,
    message,
)
from fireside.testing.mesh import local_node
from tests.servers import MongoServer, running


@pytest.fixture
async def mongodb_store(mongodb_url: str) -> AsyncIterator[MongoConversationStore]:
    """An open store with nothing in it."""
    store = MongoConversationStore(mongodb_url, clock=SystemClock(), wait_s=5.0)
    await store.open()
    yield store
    await store.close()


@pytest.mark.requirement("D4")
class TestMongoConversationStore(
    ConversationStoreConformance, ConversationSearchConformance, ConversationErasingConformance
):
    @pytest.fixture
    def store(self, mongodb_store: MongoConversationStore) -> MongoConversationStore:
        return mongodb_store

    @pytest.fixture
    def facts(self, mongodb_store: MongoConversationStore) -> Facts:
        async def topics() -> list[str]:
            return [fact.topic for fact in await mongodb_store.waiting_facts(limit=100)]

        return topics

    async def test_parallel_messages_get_positions_without_gaps(self, store: MongoConversationStore) -> None:
        record = conversation()
        await self.stored(store, record)

        async def add() -> None:
            async with store.transaction() as work:
                await work.find_conversation(ME, record.id)
                await work.add_message(message(record))

        await asyncio.gather(*(add() for _ in range(20)))
        async with store.read() as reads:
            assert [m.position for m in await reads.messages(record.id)] == list(range(1, 21))

    async def test_a_transaction_that_met_another_is_done_again(self, store: MongoConversationStore) -> None:
        one, two = conversation(), conversation()
        await self.stored(store, one)
        await self.stored(store, two)
        async with store.transaction() as first:
            assert await first.find_conversation(ME, one.id) == one
            async with store.transaction() as second:
                assert await second.find_conversation(ME, two.id) == two
                await second.add_message(message(two))
            await first.add_message(message(two))
        async with store.read() as reads:
            assert [m.position for m in await reads.messages(two.id)] == [1, 2]

    async def test_a_transaction_whose_ground_has_moved_fails_and_leaves_nothing(
        self, store: MongoConversationStore
    ) -> None:
        one, two = conversation(), conversation()
        await self.stored(store, one)
        await self.stored(store, two)

        async def decide_by_what_another_changes() -> None:
            async with store.transaction() as first:
                assert await first.messages(two.id) == []
                await first.find_conversation(ME, one.id)
                async with store.transaction() as second:
                    await second.add_message(message(two))
                await first.add_message(message(one))
                await first.add_message(message(two))

        with pytest.raises(ConversationStoreUnavailableError, match="try again") as failed:
            await decide_by_what_another_changes()
        assert failed.value.retryable
        async with store.read() as reads:
            assert await reads.messages(one.id) == []
            assert len(await reads.messages(two.id)) == 1

    async def test_facts_of_an_aggregate_wait_in_the_order_of_their_transactions(
        self, store: MongoConversationStore
    ) -> None:
        of = conversation()
        await self.stored(store, of)
        early, late = (ConversationErased(conversation_id=of.id, owner_id=owner_id) for owner_id in (ME, OTHER))

        async with store.transaction() as first:
            await first.messages(of.id)
            first.emit(early)
            async with store.transaction() as second:
                second.emit(late)

        facts = await store.waiting_facts(limit=9)
        assert [fact.payload for fact in facts] == [late.model_dump_json(), early.model_dump_json()]
        assert facts[0].id > facts[1].id

    async def test_facts_are_read_in_parts_and_forgotten(self, store: MongoConversationStore) -> None:
        woken: list[bool] = []
        store.when_stated(lambda: woken.append(True))
        erased = [ConversationErased(conversation_id=ConversationId(UUID(int=n)), owner_id=ME) for n in (3, 1, 2)]

        async def state(fact: ConversationErased) -> None:
            async with store.transaction() as work:
                work.emit(fact)
                work.emit(fact)

        await asyncio.gather(*(state(fact) for fact in erased * 4))

        facts = await store.waiting_facts(limit=100)
        assert len({fact.id for fact in facts}) == 24
        assert len(woken) == 12
        some = await store.waiting_facts(limit=5)
        assert some == facts[:5]
        await store.forget_facts([waiting.id for waiting in some])
        assert await store.waiting_facts(limit=100) == facts[5:]

    async def test_a_fact_says_who_caused_it(self, store: MongoConversationStore) -> None:
        async with local_node() as node:
            context = node.context(identity=user_identity(ME, roles=[], permissions=[]), request_id="r-1")
            async with store.transaction(context) as work:
                work.emit(ConversationErased(conversation_id=ConversationId(new_id()), owner_id=ME))
        (fact,) = await store.waiting_facts(limit=9)
        assert (fact.actor_id, fact.request_id) == (ME, "r-1")

    async def test_a_store_that_is_not_open_says_so(self, mongodb_url: str) -> None:
        store = MongoConversationStore(mongodb_url, clock=SystemClock())
        with pytest.raises(ConversationStoreUnavailableError, match="not open"):
            async with store.read():
                pass

    async def test_opening_and_closing_twice_do_nothing_more(self, mongodb_url: str) -> None:
        store = MongoConversationStore(mongodb_url, clock=SystemClock())
        for _ in range(2):
            await store.open()
        await store.check()
        for _ in range(2):
            await store.close()


async def test_a_server_without_transactions_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with running(MongoServer(tmp_path, "--standalone")) as server:
        store = MongoConversationStore(f"{server.url}/chat", clock=SystemClock(), wait_s=5.0)
        with pytest.raises(ConversationStoreUnavailableError, match="--replSet"):
            await store.open()


async def test_a_server_that_is_away_is_unavailable_and_used_again_when_it_is_back(tmp_path: Path) -> None:
    server = MongoServer(tmp_path)
    store = MongoConversationStore(f"{server.url}/chat", clock=SystemClock(), wait_s=3.0)
    with pytest.raises(ConversationStoreUnavailableError):
        await store.open()
    kept = conversation()
    try:
        with running(server):
            await store.open()
            async with store.transaction() as work:
                await work.add_conversation(kept)
        with pytest.raises(ConversationStoreUnavailableError):
            async with store.transaction() as work:
                await work.add_conversation(conversation())
        with pytest.raises(ConversationStoreUnavailableError):
            await store.check()
        with running(server):
            async with store.read() as reads:
                assert await reads.list_conversations(ME, ConversationFilter(), after=None, limit=9) == [kept]
    finally:
        await store.close()

"""Chat with its conversations in MongoDB: the same behaviour, and its facts leave by the same way."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import orjson
import pytest

from fireside.adapters.conversation_store.mongodb import MongoConversationStore
from fireside.contracts import chat
from fireside.contracts.conversation import AnswerFinished, ConversationErased
from fireside.core.clock import SystemClock
from fireside.core.ids import ConversationId, EventId, UserId, new_id
from fireside.ports.event_stream import EventEnvelope
from fireside.ports.separate_conversation_store import ConversationStoreUnavailableError
from fireside.runtime.durable import Database, event_log
from fireside.services.chat.moving import FactMover
from fireside.testing.durable import eventually
from fireside.testing.mesh import local_node

from .conftest import Chat, Start


class ForgetfulStore(MongoConversationStore):
    """Fails to forget facts as often as `fails` says, as when its process ends before it does."""

    fails = 0

    async def forget_facts(self, ids: Sequence[EventId]) -> None:
        if self.fails:
            self.fails -= 1
            raise ConversationStoreUnavailableError("gone for a moment")
        await super().forget_facts(ids)


@pytest.fixture
def store(mongodb_url: str) -> ForgetfulStore:
    return ForgetfulStore(mongodb_url, clock=SystemClock(), wait_s=5.0)


@pytest.fixture
async def app(start_chat: Start, store: ForgetfulStore) -> Chat:
    return await start_chat(make_store=lambda _: store)


async def logged(database: Database, count: int) -> list[EventEnvelope]:
    """Wait until so many facts stand in the service's log."""

    async def look() -> list[EventEnvelope] | None:
        async with database.read() as session:
            found = await event_log.read(session, after=0)
        return found if len(found) >= count else None

    return await eventually(look)


async def outbox_is_empty(store: ForgetfulStore) -> None:
    async def look() -> bool | None:
        return None if await store.waiting_facts(limit=1) else True

    await eventually(look)


@pytest.mark.requirement("D4")
async def test_a_question_is_asked_answered_found_again_and_told_to_others(app: Chat, store: ForgetfulStore) -> None:
    conversation = await app.conversation(title="Holidays")

    answer = await app.ask(conversation, "How many days at the Zugspitze?")

    assert answer.types[-1] == "done"
    assert (await app.messages(conversation))[0].content == "How many days at the Zugspitze?"
    assert (await app.events(answer.message_id)).text == answer.text
    found = await app.me.call(chat.SEARCH, chat.SearchMessages(query="zugspitze"))
    assert [hit.conversation_id for hit in found.items] == [conversation.id]
    (fact,) = await logged(app.service.database, 1)
    assert (fact.topic, fact.source, fact.sequence, fact.aggregate_version) == (AnswerFinished.topic, "chat", 1, 1)
    assert fact.actor_id == app.me.identity.user_id
    assert fact.request_id == app.me.request_id
    await outbox_is_empty(store)
    assert await app.service.database.verify_chain() is None


async def test_a_fact_is_written_as_the_services_own_store_writes_it(app: Chat, store: ForgetfulStore) -> None:
    fact = ConversationErased(conversation_id=ConversationId(new_id()), owner_id=UserId(new_id()))
    async with store.transaction() as work:
        work.emit(fact)
    async with app.service.database.transaction() as unit:
        unit.emit(fact)

    entries = await logged(app.service.database, 2)

    assert len({entry.payload for entry in entries}) == 1
    assert orjson.loads(entries[0].payload) == fact.model_dump(mode="json")
    assert [entry.aggregate_version for entry in entries] == [1, 2]


async def test_a_fact_whose_moving_was_interrupted_stands_in_the_log_once(app: Chat, store: ForgetfulStore) -> None:
    store.fails = 3
    for _ in range(3):
        await app.ask(await app.conversation())

    await outbox_is_empty(store)

    assert len(await logged(app.service.database, 3)) == 3
    assert await app.service.database.verify_chain() is None


async def test_two_nodes_that_move_the_same_facts_write_each_once_and_in_order(
    start_chat: Start, mongodb_url: str
) -> None:
    nodes = [
        await start_chat(
            node_id=name, make_store=lambda _: ForgetfulStore(mongodb_url, clock=SystemClock(), wait_s=5.0)
        )
        for name in ("one", "two")
    ]
    ids = [ConversationId(new_id()) for _ in range(3)]

    async def state(node: Chat) -> None:
        for conversation_id in ids:
            async with node.store.transaction() as work:
                for _ in range(3):
                    work.emit(ConversationErased(conversation_id=conversation_id, owner_id=UserId(new_id())))

    await asyncio.gather(*(state(node) for node in nodes))
    await outbox_is_empty(nodes[0].store)

    entries = await logged(nodes[0].service.database, 18)
    assert len(entries) == 18
    assert len({entry.id for entry in entries}) == 18
    for conversation_id in ids:
        own = [entry for entry in entries if entry.aggregate_id == conversation_id]
        assert [entry.aggregate_version for entry in own] == [1, 2, 3, 4, 5, 6]


async def test_the_health_of_the_store_is_told(app: Chat, store: ForgetfulStore) -> None:
    assert (await app.service.health())["conversations"].status == "ok"
    store.fails = 1_000_000
    await app.ask(await app.conversation())

    async def degraded() -> bool | None:
        return True if (await app.service.health())["conversations"].status == "degraded" else None

    await eventually(degraded)
    assert "gone for a moment" in (await app.service.health())["conversations"].detail
    await store.close()
    assert (await app.service.health())["conversations"].status == "failed"
    await store.open()
    store.fails = 0


@pytest.fixture
async def idle_store(store: ForgetfulStore) -> AsyncIterator[ForgetfulStore]:
    await store.open()
    yield store
    await store.close()


async def test_facts_that_an_earlier_start_left_are_moved(idle_store: ForgetfulStore, start_chat: Start) -> None:
    async with idle_store.transaction() as work:
        work.emit(ConversationErased(conversation_id=ConversationId(new_id()), owner_id=UserId(new_id())))
    app = await start_chat()
    mover = FactMover(idle_store, app.service.database)
    async with local_node() as node:
        await mover.start(node.context())
        await outbox_is_empty(idle_store)
        await mover.stop()
    assert len(await logged(app.service.database, 1)) == 1

"""A store that fails at the worst moments: nothing is lost silently, and what can be saved is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fireside.contracts import chat
from fireside.contracts.answer import Failed
from fireside.core.errors import UnavailableError
from fireside.services.chat.repository.store import SqlConversationStore

from .conftest import Chat, Start, heard
from .fakes import Script


class FailingStore:
    """The real store, whose transactions fail as often as `fails` says for what they are about to do."""

    def __init__(self, database: Any) -> None:
        self._store = SqlConversationStore(database)
        self.fails: dict[str, int] = {}
        self.failed = asyncio.Event()
        self.error: Callable[[], Exception] = lambda: UnavailableError("the disk is full")

    def read(self) -> Any:
        return self._store.read()

    @asynccontextmanager
    async def transaction(self, cause: Any = None) -> AsyncIterator[Any]:
        async with self._store.transaction(cause) as work:
            yield _FailingWork(work, self)

    def about_to(self, name: str) -> None:
        if self.fails.get(name, 0) > 0:
            self.fails[name] -= 1
            self.failed.set()
            raise self.error()


class _FailingWork:
    def __init__(self, work: Any, store: FailingStore) -> None:
        self._work = work
        self._store = store

    def __getattr__(self, name: str) -> Any:
        self._store.about_to(name)
        return getattr(self._work, name)


@pytest.fixture
async def app(start_chat: Start) -> Chat:
    return await start_chat(make_store=FailingStore)


def store_of(app: Chat) -> FailingStore:
    assert isinstance(app.store, FailingStore)
    return app.store


async def test_the_end_of_an_answer_is_stored_when_the_store_comes_back(app: Chat) -> None:
    store_of(app).fails["finish_answer"] = 2

    answer = await app.ask(await app.conversation())

    assert answer.types[-2:] == ["final", "done"]
    assert (await app.message(answer.message_id)).state == "complete"


async def test_an_end_that_cannot_be_stored_is_told_to_the_readers_and_ends_as_interrupted(start_chat: Start) -> None:
    app = await start_chat(make_store=FailingStore, lease_s=0.4, sweep_interval_s=0.1)
    store_of(app).fails["finish_answer"] = 4

    answer = await app.ask(await app.conversation())

    assert answer.types[-2:] == ["error", "done"]
    assert answer.of(Failed).detail == "the disk is full"
    async with asyncio.timeout(10):
        while (await app.message(answer.message_id)).state == "streaming":
            await asyncio.sleep(0.01)
    kept = await app.message(answer.message_id)
    assert (kept.state, kept.content) == ("interrupted", "Thirty days [1].")


async def test_an_unexpected_failure_of_the_store_is_told_without_its_internals(app: Chat) -> None:
    store_of(app).error = lambda: RuntimeError("secret")
    store_of(app).fails["finish_answer"] = 1

    answer = await app.ask(await app.conversation())

    assert answer.of(Failed).code == "internal"
    assert "secret" not in answer.of(Failed).model_dump_json()


async def test_events_that_could_not_be_stored_are_stored_with_the_next_ones(app: Chat) -> None:
    store_of(app).fails["append_events"] = 2
    app.respond.script = Script(hold_after=2)
    conversation = await app.conversation()
    stream = app.me.stream(chat.ASK, chat.AskQuestion(conversation_id=conversation.id, content="Days?"))
    first = await anext(stream)

    assert await app.stored_events(first.message_id, at_least=8) >= 1
    assert store_of(app).failed.is_set()
    app.respond.script.go_on.set()
    assert (await heard(stream)).text == "Thirty days [1]."


async def test_a_sign_of_life_that_fails_is_tried_again(start_chat: Start) -> None:
    app = await start_chat(make_store=FailingStore, lease_s=0.8)
    app.respond.script = Script(hold_after=1)
    conversation = await app.conversation()
    stream = app.me.stream(chat.ASK, chat.AskQuestion(conversation_id=conversation.id, content="Days?"))
    first = await anext(stream)
    lease = await app.lease_until(first.message_id)
    store_of(app).fails["renew_leases"] = 1

    async with asyncio.timeout(5):
        while await app.lease_until(first.message_id) <= lease:
            await asyncio.sleep(0.01)

    assert store_of(app).failed.is_set()
    assert (await app.message(first.message_id)).state == "streaming"


async def test_housekeeping_that_fails_is_done_the_next_time(start_chat: Start) -> None:
    app = await start_chat(make_store=FailingStore, sweep_interval_s=0.05, deleted_retention_days=0)
    store_of(app).fails["deleted_before"] = 2
    conversation = await app.conversation()
    await app.me.call(chat.DELETE, chat.ConversationRef(conversation_id=conversation.id))

    async with asyncio.timeout(5):
        while (await app.me.call(chat.LIST, chat.ListConversations(deleted=True))).items:
            await asyncio.sleep(0.01)
    assert store_of(app).failed.is_set()


async def test_a_question_that_cannot_be_stored_is_refused_and_leaves_nothing(app: Chat) -> None:
    conversation = await app.conversation()
    for step in ("add_message", "save_conversation", "index_words", "count_streaming"):
        store_of(app).fails[step] = 1
        with pytest.raises(UnavailableError, match="disk is full"):
            await app.ask(conversation)

    assert await app.messages(conversation) == []
    assert (await app.ask(conversation)).types[-1] == "done"


class PausingStore(FailingStore):
    """Waits after each commit, while it is told to."""

    def __init__(self, database: Any) -> None:
        super().__init__(database)
        self.go_on = asyncio.Event()
        self.go_on.set()

    @asynccontextmanager
    async def transaction(self, cause: Any = None) -> AsyncIterator[Any]:
        async with super().transaction(cause) as work:
            yield work
        await self.go_on.wait()


async def test_an_answer_that_was_stored_is_written_even_when_its_asker_leaves_at_that_moment(
    start_chat: Start,
) -> None:
    app = await start_chat(make_store=PausingStore)
    conversation = await app.conversation()
    store = app.store
    store.go_on.clear()
    asking = asyncio.create_task(app.ask(conversation))
    async with asyncio.timeout(10):
        while len(await app.messages(conversation)) < 2:  # housekeeping commits things too
            await asyncio.sleep(0.01)

    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    store.go_on.set()

    answer = (await app.messages(conversation))[1]
    assert (await asyncio.wait_for(app.events(answer.id), 5)).types[-1] == "done"
    assert (await app.message(answer.id)).state == "complete"

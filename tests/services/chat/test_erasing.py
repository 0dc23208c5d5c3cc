"""Users who are gone leave no conversation, whatever stands in the way: answers being written, kills, lost signals."""

import asyncio
import signal
import sys
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from fireside.adapters.conversation_store.mongodb import MongoConversationStore
from fireside.adapters.event_stream.outbox import OutboxEventStream
from fireside.contracts import chat
from fireside.contracts.auth_facts import UserDeleted
from fireside.contracts.conversation import ConversationErased, ConversationView
from fireside.contracts.jobs import JobView
from fireside.core.clock import SystemClock
from fireside.core.errors import NotFoundError, UnavailableError
from fireside.core.ids import UserId, new_id
from fireside.ports.conversation_store import OwnerErasedError
from fireside.runtime.durable import event_log, find_keyed_job
from fireside.services.chat.erasing import ERASE
from fireside.services.chat.repository.store import SqlConversationStore
from fireside.services.chat.tables import erased_owners, metadata
from fireside.testing.durable import eventually
from tests.databases import on_both_databases, on_sqlite

from .conftest import Chat, Start
from .fakes import Script
from .test_stopping import begin

pytestmark = pytest.mark.requirement("D9")
WORD = "zugspitze"


async def say_gone(app: Chat, user_id: UserId) -> None:
    async with app.service.database.transaction() as unit:
        unit.emit(UserDeleted(user_id=user_id))


async def job_of(app: Chat, user_id: UserId) -> JobView | None:
    async with app.service.database.read() as session:
        return await find_keyed_job(session, ERASE.kind, str(user_id))


async def erased(app: Chat, user_id: UserId, *, times: int = 1) -> JobView:
    """Wait until what is kept for a user has been erased so often."""

    async def ended() -> JobView | None:
        job = await job_of(app, user_id)
        return job if job and job.state == "succeeded" and await told(app) >= times else None

    async def told(app: Chat) -> int:
        async with app.service.database.read() as session:
            facts = await event_log.read(session, after=0)
        return sum(fact.topic == "jobs.finished" for fact in facts)

    return await eventually(ended, within_s=20)


async def rows(app: Chat) -> dict[str, int]:
    """How many rows the tables have that are not empty, without that of those who are gone."""
    tables = [table for table in metadata.sorted_tables if table is not erased_owners]
    async with app.service.database.read() as session:
        counted = {table.name: await session.scalar(select(func.count()).select_from(table)) for table in tables}
    return {name: count for name, count in counted.items() if count}


async def with_everything(app: Chat) -> ConversationView:
    """A conversation with a title, tags, an answer, a rating and words that are found; and a deleted one."""
    kept = await app.conversation(title=f"About the {WORD}", tags=("peaks",), authors_note="short")
    answer = await app.ask(kept, f"How high is the {WORD}?")
    rating = chat.GiveFeedback(message_id=answer.message_id, rating=1, comment="good", tags=("right",))
    await app.me.call(chat.FEEDBACK, rating)
    deleted = await app.conversation(title=f"Old {WORD}")
    await app.me.call(chat.DELETE, chat.ConversationRef(conversation_id=deleted.id))
    return kept


async def check_that_a_user_is_erased(app: Chat) -> None:
    me, owner = app.me, app.me.identity.require_user()
    app.me = app.someone_else
    theirs = await with_everything(app)
    app.me = me
    mine = await with_everything(app)
    held = await begin(app, await app.conversation())
    reading = asyncio.create_task(app.events(held))

    for times in (1, 2):
        await say_gone(app, owner)
        await erased(app, owner, times=times)

    assert (await asyncio.wait_for(reading, 5)).types[-2:] == ["error", "done"]
    await asyncio.wait_for(app.respond.script.closed.wait(), 5)
    for deleted in (False, True):
        listed = await me.call(chat.LIST, chat.ListConversations(deleted=deleted))
        assert listed.items == ()
    assert (await me.call(chat.SEARCH, chat.SearchMessages(query=WORD))).items == ()
    with pytest.raises(NotFoundError):
        await app.ask(mine)
    with pytest.raises(OwnerErasedError):
        await app.conversation()
    app.me, app.respond.script = app.someone_else, Script()
    assert (await app.me.call(chat.SEARCH, chat.SearchMessages(query=WORD))).items
    assert [message.role for message in await app.messages(theirs)] == ["user", "assistant"]
    assert (await app.ask(theirs)).types[-1] == "done"


@on_both_databases
async def test_a_user_who_is_gone_leaves_nothing_and_begins_nothing(start_chat: Start) -> None:
    await check_that_a_user_is_erased(await start_chat(stream=OutboxEventStream(), lease_s=3600.0))


async def test_a_user_who_is_gone_leaves_nothing_in_mongodb(start_chat: Start, mongodb_url: str) -> None:
    store = MongoConversationStore(mongodb_url, clock=SystemClock(), wait_s=5.0)
    app = await start_chat(stream=OutboxEventStream(), make_store=lambda _: store, lease_s=3600.0)
    await check_that_a_user_is_erased(app)


@on_both_databases
async def test_no_row_is_left_and_each_erased_conversation_is_told(start_chat: Start) -> None:
    app: Chat = await start_chat(stream=OutboxEventStream())
    owner = app.me.identity.require_user()
    await with_everything(app)
    for _ in range(30):
        await app.conversation()
    assert set(await rows(app)) == {table.name for table in metadata.sorted_tables} - {
        "erased_owners",
        "stored_responses",
    }

    await say_gone(app, owner)
    job = await erased(app, owner)

    assert await rows(app) == {}
    assert job.result == {"conversations": 32}
    async with app.service.database.read() as session:
        facts = await event_log.read(session, after=0, limit=500)
    assert sum(fact.topic == ConversationErased.topic for fact in facts) == 32


async def test_a_node_that_hears_nothing_ends_its_answer_with_its_next_sign_of_life(start_chat: Start) -> None:
    """The two nodes have no mesh between them."""
    one = await start_chat(node_id="one", lease_s=0.4)
    message_id = await begin(one, await one.conversation())
    reading = asyncio.create_task(one.events(message_id))
    two = await start_chat(node_id="two", stream=OutboxEventStream())

    await say_gone(two, one.me.identity.require_user())

    assert (await asyncio.wait_for(reading, 5)).types[-2:] == ["error", "done"]
    await asyncio.wait_for(one.respond.script.closed.wait(), 5)
    assert await rows(two) == {}


class BreakingStore(SqlConversationStore):
    """Fails after so many transactions as `breaks_after` says, once, and calls `broken` then."""

    breaks_after = 0
    broken: Callable[[], None] = staticmethod(lambda: None)

    @asynccontextmanager
    async def transaction(self, cause: Any = None) -> Any:
        async with super().transaction(cause) as work:
            yield work
        if self.breaks_after:
            self.breaks_after -= 1
            if not self.breaks_after:
                self.broken()
                raise UnavailableError("gone for a moment")


@pytest.mark.parametrize("steps", [1, 2])
async def test_erasing_that_failed_half_way_is_done_again(start_chat: Start, steps: int) -> None:
    app: Chat = await start_chat(stream=OutboxEventStream(), make_store=BreakingStore)
    for _ in range(45):
        await app.conversation()
    app.store.breaks_after = steps

    await say_gone(app, app.me.identity.require_user())
    job = await erased(app, app.me.identity.require_user())

    assert (job.attempts, await rows(app)) == (2, {})


KILLED = """
import asyncio, os, signal, sys
from uuid import UUID
from fireside.adapters.event_stream.outbox import OutboxEventStream
from fireside.contracts import chat
from fireside.contracts.auth_facts import UserDeleted
from fireside.runtime.durable import Database
from fireside.services.chat.service import ChatService
from fireside.services.chat.settings import ChatSettings
from fireside.testing.mesh import local_node
from tests.services.chat.conftest import BOX, MIGRATIONS, user_context
from tests.services.chat.test_erasing import BreakingStore

async def main(path: str, owner: UUID, steps: int) -> None:
    database = Database(f"sqlite:///{path}", service="chat", migrations=MIGRATIONS, stream=OutboxEventStream())
    store = BreakingStore(database)
    store.broken = lambda: os.kill(os.getpid(), signal.SIGKILL)
    service = ChatService(database=database, settings=ChatSettings(), node_id="one", box=BOX, store=store)
    async with local_node(service) as node:
        me = user_context(node, owner)
        for _ in range(45):
            await me.call(chat.CREATE, chat.CreateConversation(title="Holidays at home"))
        store.breaks_after = steps
        async with database.transaction() as unit:
            unit.emit(UserDeleted(user_id=owner))
        await asyncio.sleep(60)

asyncio.run(main(sys.argv[1], UUID(sys.argv[2]), int(sys.argv[3])))
"""


@on_sqlite
@pytest.mark.parametrize(("steps", "left"), [(1, 45), (2, 25)])
async def test_erasing_goes_on_after_a_kill(start_chat: Start, tmp_path: Path, steps: int, left: int) -> None:
    owner, root = UserId(new_id()), Path(__file__).parents[3]
    arguments = (sys.executable, "-c", KILLED, str(tmp_path / "chat.sqlite"), str(owner), str(steps))
    child = await asyncio.create_subprocess_exec(*arguments, cwd=root)
    assert await asyncio.wait_for(child.wait(), 60) == -signal.SIGKILL

    app: Chat = await start_chat(stream=OutboxEventStream())
    job = await erased(app, owner)

    assert job.result == {"conversations": left}
    assert await rows(app) == {}

"""Ending answers: by their reader, from anywhere; by their server going down, gently or not."""

import asyncio
import os
import signal
import sqlite3
import sys
from contextlib import aclosing, closing
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from fireside.contracts import chat
from fireside.contracts.answer import Failed, Final
from fireside.contracts.conversation import AnswerFinished, ConversationView
from fireside.core.errors import NotFoundError
from fireside.core.ids import ConversationId, MessageId, UserId
from fireside.runtime.durable import Database, event_log
from fireside.services.chat.errors import BusyError
from fireside.services.chat.service import ChatService
from fireside.services.chat.settings import ChatSettings
from fireside.testing.mesh import mesh_of_nodes

from .conftest import BOX, MIGRATIONS, QUICKLY, Chat, ManualClock, Start, heard, user_context
from .fakes import FakeAct, FakeRespond, FakeThink, Script


async def begin(app: Chat, conversation: ConversationView, *, words: int = 1) -> MessageId:
    """Ask for an answer that stops after so many words and waits."""
    app.respond.script = Script(hold_after=words)
    question = chat.AskQuestion(conversation_id=conversation.id, content="Days?")
    async with aclosing(app.me.stream(chat.ASK, question)) as events:
        async for event in events:
            if app.respond.script.reached_hold.is_set():
                return event.message_id
    raise AssertionError("the answer ended")


async def stop(app: Chat, message_id: MessageId) -> None:
    await app.me.call(chat.STOP, chat.MessageRef(message_id=message_id))


async def ask_again_and_again(app: Chat) -> None:
    conversation = await app.conversation()
    async with asyncio.timeout(5):
        while True:
            await app.ask(conversation)


@pytest.mark.requirement("U1")
async def test_a_stopped_answer_keeps_its_text_and_ends_properly_for_every_reader(app: Chat) -> None:
    conversation = await app.conversation()
    message_id = await begin(app, conversation, words=2)
    reading = asyncio.create_task(app.events(message_id))

    stopped = await app.me.call(chat.STOP, chat.MessageRef(message_id=message_id))

    assert (stopped.state, stopped.content) == ("stopped", "Thirty days ")
    there = await reading
    assert there.types[-2:] == ["final", "done"]
    assert there.of(Final).content == "Thirty days "
    assert there.of(Final).confidence == 0.0
    assert there.numbered == (await app.events(message_id)).numbered
    assert (await app.message(message_id)).state == "stopped"
    await asyncio.wait_for(app.respond.script.closed.wait(), 5)


async def test_an_answer_can_be_stopped_by_the_id_of_its_question(app: Chat) -> None:
    conversation = await app.conversation()
    message_id = await begin(app, conversation)
    question = (await app.messages(conversation))[0]

    await stop(app, question.id)

    assert (await app.message(message_id)).state == "stopped"


async def test_stopping_an_answer_that_has_ended_changes_nothing(app: Chat) -> None:
    answer = await app.ask(await app.conversation())

    stopped = await app.me.call(chat.STOP, chat.MessageRef(message_id=answer.message_id))

    assert stopped.state == "complete"
    assert stopped == await app.message(answer.message_id)


async def test_stopping_twice_at_once_is_one_stop(app: Chat) -> None:
    message_id = await begin(app, await app.conversation())

    await asyncio.gather(*(stop(app, message_id) for _ in range(4)))

    assert (await app.events(message_id)).types.count("done") == 1


async def test_nobody_else_can_stop_an_answer(app: Chat) -> None:
    message_id = await begin(app, await app.conversation())

    with pytest.raises(NotFoundError):
        await app.someone_else.call(chat.STOP, chat.MessageRef(message_id=message_id))
    assert (await app.message(message_id)).state == "streaming"


async def test_the_conversation_goes_on_after_a_stopped_answer(app: Chat) -> None:
    conversation = await app.conversation()
    message_id = await begin(app, conversation)
    await stop(app, message_id)
    app.respond.script = Script()

    await app.ask(conversation, "And now?")

    assert [turn.content for turn in app.think.asked[-1].history] == ["Days?", "Thirty"]


async def test_a_node_stops_what_another_one_writes_through_the_store_alone(start_chat: Start) -> None:
    """The two nodes hear nothing of each other: the wish is found with the next sign of life."""
    one = await start_chat(node_id="one", lease_s=0.4)
    two = await start_chat(node_id="two")
    two.me = two.me.with_identity(one.me.identity)
    message_id = await begin(one, await one.conversation())

    stopped = await two.me.call(chat.STOP, chat.MessageRef(message_id=message_id))

    assert (stopped.state, stopped.content) == ("stopped", "Thirty ")


async def test_a_stop_that_takes_too_long_returns_the_answer_as_it_is(start_chat: Start) -> None:
    one = await start_chat(node_id="one")
    two = await start_chat(node_id="two", stop_wait_s=0.05)
    two.me = two.me.with_identity(one.me.identity)
    message_id = await begin(one, await one.conversation())

    stopped = await two.me.call(chat.STOP, chat.MessageRef(message_id=message_id))

    assert stopped.state == "streaming"
    one.respond.script.go_on.set()
    assert (await two.events(message_id)).types[-1] == "done"


async def test_a_node_stops_what_another_one_writes_by_a_signal(database_url: str) -> None:
    def service(node_id: str) -> ChatService:
        database = Database(database_url, service="chat", migrations=MIGRATIONS)
        settings = ChatSettings(**{**QUICKLY, "lease_s": 3600.0})
        return ChatService(database=database, settings=settings, node_id=node_id, box=BOX)

    async with mesh_of_nodes() as mesh:
        respond = FakeRespond()
        respond.script = Script(hold_after=1)
        one = await mesh.add("one", FakeThink(), FakeAct(), respond, service("one"))
        here = user_context(one)
        conversation = await here.call(chat.CREATE, chat.CreateConversation())
        stream = here.stream(chat.ASK, chat.AskQuestion(conversation_id=conversation.id, content="Days?"))
        first = await anext(stream)
        await asyncio.wait_for(respond.script.reached_hold.wait(), 5)
        two = await mesh.add("two", service("two"))
        there = user_context(two).with_identity(here.identity)

        stopped = await there.call(chat.STOP, chat.MessageRef(message_id=first.message_id))

        assert (stopped.state, stopped.content) == ("stopped", "Thirty ")
        assert (await heard(stream)).types[-1] == "done"


@pytest.mark.requirement("O7")
async def test_a_node_that_stops_lets_answers_finish_first(start_chat: Start) -> None:
    app = await start_chat(drain_s=5.0)
    conversation = await app.conversation()
    message_id = await begin(app, conversation)
    reading = asyncio.create_task(app.events(message_id))
    held, app.respond.script = app.respond.script, Script()
    stopping = asyncio.create_task(app.service.stop())
    with pytest.raises(BusyError, match="stopping"):
        await ask_again_and_again(app)
    held.go_on.set()

    await stopping

    assert (await reading).types[-2:] == ["final", "done"]
    assert (await app.message(message_id)).state == "complete"


async def test_a_node_that_stops_takes_no_new_questions(app: Chat) -> None:
    conversation = await app.conversation()
    await app.service.stop()

    with pytest.raises(BusyError, match="stopping"):
        await app.ask(conversation)
    assert await app.messages(conversation) == []


async def test_an_answer_that_does_not_finish_in_time_is_interrupted_with_its_text(app: Chat) -> None:
    conversation = await app.conversation()
    message_id = await begin(app, conversation)
    reading = asyncio.create_task(app.events(message_id))
    await asyncio.sleep(0)

    await app.service.stop()

    there = await reading
    assert there.types[-2:] == ["error", "done"]
    assert there.of(Failed).code == "answer_interrupted"
    answer = await app.message(message_id)
    assert (answer.state, answer.content) == ("interrupted", "Thirty ")


async def test_an_answer_of_a_silent_node_is_given_up_when_someone_looks(start_chat: Start) -> None:
    clock = ManualClock()
    one = await start_chat(node_id="one", clock=clock)
    two = await start_chat(node_id="two", clock=clock)
    two.me = two.me.with_identity(one.me.identity)
    message_id = await begin(one, await one.conversation())
    reading = asyncio.create_task(two.events(message_id))
    await two.stored_events(message_id, at_least=5)
    assert (await two.message(message_id)).state == "streaming"

    clock.move(timedelta(seconds=61))

    assert (await reading).of(Failed).code == "answer_interrupted"
    assert (await two.message(message_id)).state == "interrupted"
    one.respond.script.go_on.set()
    assert (await one.events(message_id)).of(Failed).code == "answer_interrupted"
    assert (await one.message(message_id)).content == "Thirty "


async def test_the_end_reaches_a_reader_who_saw_events_that_were_never_stored(start_chat: Start) -> None:
    clock = ManualClock()
    one = await start_chat(node_id="one", clock=clock, flush_interval_s=3600.0)
    two = await start_chat(node_id="two", clock=clock)
    two.me = two.me.with_identity(one.me.identity)
    conversation = await one.conversation()
    one.respond.script = Script(hold_after=2)
    seen = []
    async with aclosing(one.me.stream(chat.ASK, chat.AskQuestion(conversation_id=conversation.id, content="?"))) as s:
        async for event in s:
            seen.append(event)
            if one.respond.script.reached_hold.is_set():
                break
    clock.move(timedelta(seconds=61))

    rest = await two.events(seen[0].message_id, after=seen[-1].id)

    assert rest.types == ["error", "done"]
    assert rest.ids[0] > seen[-1].id
    assert (await two.message(seen[0].message_id)).content == ""


CRASHING = """
import asyncio, sys
from pathlib import Path
from uuid import UUID
from fireside.contracts import chat
from fireside.core.identity import user_identity
from fireside.runtime.durable import Database
from fireside.services.chat.errors import BusyError
from fireside.services.chat.service import ChatService
from fireside.services.chat.settings import ChatSettings
from fireside.testing.mesh import local_node
from tests.services.chat.conftest import BOX, MIGRATIONS
from tests.services.chat.fakes import FakeAct, FakeRespond, FakeThink, Script

async def main() -> None:
    database = Database(f"sqlite:///{sys.argv[1]}", service="chat", migrations=MIGRATIONS)
    service = ChatService(
        database=database,
        settings=ChatSettings(flush_interval_s=0.02),
        node_id="one",
        box=BOX,
    )
    respond = FakeRespond()
    respond.script = Script(words=("Thirty ", "days ", "a ", "year"), hold_after=3)
    async with local_node(FakeThink(), FakeAct(), respond, service) as node:
        identity = user_identity(UUID(sys.argv[2]), roles={"user"}, permissions={"chat:read", "chat:write"})
        me = node.context(identity=identity)
        conversation = await me.call(chat.CREATE, chat.CreateConversation())
        question = chat.AskQuestion(conversation_id=conversation.id, content="How many days?")
        async for item in me.stream(chat.ASK, question):
            print(conversation.id, item.message_id, item.id, item.event.type, flush=True)

asyncio.run(main())
"""


async def _read_until_words_are_stored(
    child: asyncio.subprocess.Process, path: Path
) -> tuple[ConversationId, MessageId, int]:
    assert child.stdout is not None
    tokens = 0
    async with asyncio.timeout(30):
        while tokens < 3:
            line = (await child.stdout.readline()).decode().split()
            assert line, "the child ended"
            tokens += line[3] == "token"
        with closing(sqlite3.connect(path)) as database:
            while (database.execute("SELECT max(last_id) FROM answer_events").fetchone()[0] or 0) < int(line[2]):
                await asyncio.sleep(0.01)
    return ConversationId(UUID(line[0])), MessageId(UUID(line[1])), int(line[2])


@pytest.mark.requirement("U1")
async def test_after_a_kill_the_question_and_the_partial_answer_are_there(start_chat: Start, tmp_path: Path) -> None:
    owner, path, root = UserId(UUID(int=7)), tmp_path / "chat.sqlite", Path(__file__).parents[3]
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CRASHING, str(path), str(owner), stdout=asyncio.subprocess.PIPE, cwd=root
    )
    try:
        conversation_id, message_id, last_seen = await _read_until_words_are_stored(child, path)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        await child.wait()

    app = await start_chat(node_id="one")
    app.me = user_context(app.node, owner)
    conversation = await app.me.call(chat.GET, chat.ConversationRef(conversation_id=conversation_id))
    question, answer = await app.messages(conversation)
    assert (question.content, question.state) == ("How many days?", "complete")
    assert answer.id == message_id
    assert (answer.state, answer.content) == ("interrupted", "Thirty days a ")
    assert answer.sources
    assert answer.error is not None

    rest = await app.events(answer.id, after=last_seen)
    assert rest.types == ["error", "done"]
    assert rest.ids[0] > last_seen

    again = await heard(app.me.stream(chat.REGENERATE, chat.RegenerateAnswer(message_id=answer.id)))
    assert again.of(Final).content == "Thirty days [1]."
    assert [m.parent_id for m in await app.messages(conversation)] == [None, question.id, question.id]
    hits = await app.me.call(chat.SEARCH, chat.SearchMessages(query="thirty"))
    assert answer.id in [hit.message_id for hit in hits.items]

    async with app.service.database.read() as session:
        facts = [f for f in await event_log.read(session, after=0) if f.topic == AnswerFinished.topic]
    assert [AnswerFinished.model_validate_json(f.payload).state for f in facts] == ["interrupted", "complete"]

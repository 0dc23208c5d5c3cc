"""Managing conversations, and nobody else's."""

import asyncio
import json
from base64 import urlsafe_b64encode
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from fireside.contracts import chat
from fireside.contracts.base import StreamAction
from fireside.contracts.conversation import ConversationErased, FeedbackGiven
from fireside.core.errors import FiresideError, NotFoundError, UnauthenticatedError
from fireside.core.identity import user_identity
from fireside.core.ids import ConversationId, MessageId, UserId, new_id
from fireside.runtime.durable import event_log
from fireside.services.chat import tables
from fireside.services.chat.errors import AlreadyRatedError, IdTakenError, InvalidCursorError, NotAnAnswerError
from tests.databases import BOTH, database_fixture

from .conftest import (
    MIGRATIONS,
    Chat,
    ManualClock,
    Start,
    heard,
)
from .fakes import Script

database_url = database_fixture("chat", MIGRATIONS, technologies=BOTH)


async def titles(app: Chat, **wanted: Any) -> list[str]:
    page = await app.me.call(chat.LIST, chat.ListConversations(**wanted))
    return [item.title for item in page.items]


async def patch(app: Chat, conversation_id: ConversationId, **changes: Any) -> None:
    await app.me.call(chat.PATCH, chat.PatchConversation(conversation_id=conversation_id, **changes))


@pytest.mark.requirement("U2")
async def test_a_conversation_is_named_after_its_first_question(app: Chat) -> None:
    conversation = await app.conversation()
    assert conversation.title == "New conversation"

    await app.ask(conversation, "Hello, how many days of **holiday** do I have? I start in May.")
    await app.ask(conversation, "Something else")

    assert await titles(app) == ["How many days of holiday do I have?"]


async def test_a_title_someone_gave_is_kept(app: Chat) -> None:
    conversation = await app.conversation(title="Mine")
    renamed = await app.conversation()
    await patch(app, renamed.id, title="New conversation")

    await app.ask(conversation, "Question?")
    await app.ask(renamed, "Question?")

    assert sorted(await titles(app)) == ["Mine", "New conversation"]


async def test_the_list_shows_pinned_ones_first_then_those_used_last(app: Chat) -> None:
    conversations = [await app.conversation(title=str(number)) for number in range(4)]
    await patch(app, conversations[1].id, pinned=True)
    await app.ask(conversations[0])

    assert await titles(app) == ["1", "0", "3", "2"]


async def test_pages_follow_each_other_without_gaps_or_repeats(app: Chat) -> None:
    made = [await app.conversation(title=str(number)) for number in range(7)]
    for conversation in made[::3]:
        await patch(app, conversation.id, pinned=True)

    seen: list[str] = []
    cursor = None
    while True:
        page = await app.me.call(chat.LIST, chat.ListConversations(limit=2, cursor=cursor))
        assert len(page.items) <= 2
        seen += [item.title for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert seen == ["6", "3", "0", "5", "4", "2", "1"]


def cursor_of(*values: Any) -> str:
    """A cursor as it is made, with other contents."""
    return urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


AN_ID, TOO_EARLY = str(UUID(int=1)), "0001-01-01T00:00:00+14:00"
FORGED = [
    "x",
    "!!",
    "é",
    "bnVsbA",
    cursor_of(),
    cursor_of(1),
    cursor_of("a", "b", "c"),
    cursor_of(0, "2026", "x"),
    cursor_of(0, "2026-01-01T00:00:00", AN_ID),
    cursor_of(0, TOO_EARLY, AN_ID),
    cursor_of(TOO_EARLY, AN_ID),
    cursor_of("2026-01-01T00:00:00Z", 7),
    cursor_of([0], {}),
]


@pytest.mark.parametrize("cursor", FORGED)
async def test_a_cursor_nobody_gave_is_refused(app: Chat, cursor: str) -> None:
    conversation = await app.conversation()
    requests: list[tuple[Any, Any]] = [
        (chat.LIST, chat.ListConversations(cursor=cursor)),
        (chat.SEARCH, chat.SearchMessages(query="a", cursor=cursor)),
    ]
    if cursor != cursor_of(1):  # that one is the cursor of a list of messages
        requests.append((chat.LIST_MESSAGES, chat.ListMessages(conversation_id=conversation.id, cursor=cursor)))
    for action, request in requests:
        with pytest.raises(InvalidCursorError):
            await app.me.call(action, request)


@pytest.mark.parametrize("position", [-1, 2**31, 10**30, 1e400, None, "x"])
async def test_a_position_that_no_message_can_have_is_refused(app: Chat, position: Any) -> None:
    conversation = await app.conversation()
    request = chat.ListMessages(conversation_id=conversation.id, cursor=cursor_of(position))

    with pytest.raises(InvalidCursorError):
        await app.me.call(chat.LIST_MESSAGES, request)


async def test_messages_come_in_pages_too(app: Chat) -> None:
    conversation = await app.conversation()
    for number in range(3):
        await app.ask(conversation, f"question {number}")

    first = await app.me.call(chat.LIST_MESSAGES, chat.ListMessages(conversation_id=conversation.id, limit=4))
    rest = chat.ListMessages(conversation_id=conversation.id, limit=4, cursor=first.next_cursor)
    second = await app.me.call(chat.LIST_MESSAGES, rest)

    assert [*first.items, *second.items] == await app.messages(conversation)
    assert (len(first.items), len(second.items), second.next_cursor) == (4, 2, None)


async def test_archived_ones_stand_in_a_list_of_their_own(app: Chat) -> None:
    kept, archived = await app.conversation(title="kept"), await app.conversation(title="archived")
    await patch(app, archived.id, archived=True)

    assert await titles(app) == ["kept"]
    assert await titles(app, archived=True) == ["archived"]
    assert kept.archived is False


async def test_tags_are_kept_in_order_and_found_exactly(app: Chat) -> None:
    one = await app.conversation(title="one", tags=("work", "berlin", "work"))
    await app.conversation(title="two", tags=("workshop",))
    assert one.tags == ("work", "berlin")

    assert await titles(app, tag="work") == ["one"]
    await patch(app, one.id, tags=("travel",))
    assert await titles(app, tag="work") == []
    await patch(app, one.id, title="uno")
    assert await titles(app, tag="travel") == ["uno"]


async def test_a_patch_changes_what_it_names_and_clears_what_it_empties(app: Chat) -> None:
    conversation = await app.conversation(title="T", mode="company", model="big", authors_note="short", tags=("a",))

    await patch(app, conversation.id, model="", pinned=True)

    changed = await app.me.call(chat.GET, chat.ConversationRef(conversation_id=conversation.id))
    assert changed == conversation.model_copy(update={"model": None, "pinned": True})


async def test_a_conversation_can_bring_its_own_id_once(app: Chat) -> None:
    own = ConversationId(new_id())
    assert (await app.conversation(id=own)).id == own

    with pytest.raises(IdTakenError):
        await app.conversation(id=own)


async def test_a_deleted_conversation_is_gone_and_can_be_restored(app: Chat) -> None:
    conversation = await app.conversation(title="lost")
    answer = await app.ask(conversation)
    ref = chat.ConversationRef(conversation_id=conversation.id)

    await app.me.call(chat.DELETE, ref)

    assert await titles(app) == []
    assert await titles(app, deleted=True) == ["lost"]
    assert (await app.me.call(chat.SEARCH, chat.SearchMessages(query="thirty"))).items == ()
    for refused in (
        app.me.call(chat.GET, ref),
        app.me.call(chat.DELETE, ref),
        app.message(answer.message_id),
        app.messages(conversation),
        app.ask(conversation),
        app.events(answer.message_id),
    ):
        with pytest.raises(NotFoundError):
            await refused

    restored = await app.me.call(chat.RESTORE, ref)
    assert (restored.title, restored.deleted_at) == ("lost", None)
    assert await app.me.call(chat.RESTORE, ref) == restored
    assert await titles(app) == ["lost"]
    assert len(await app.messages(conversation)) == 2


async def test_deleting_stops_the_answer_that_is_being_written(app: Chat) -> None:
    app.respond.script = Script(hold_after=1)
    conversation = await app.conversation()
    stream = app.me.stream(chat.ASK, chat.AskQuestion(conversation_id=conversation.id, content="Days?"))
    await anext(stream)

    await app.me.call(chat.DELETE, chat.ConversationRef(conversation_id=conversation.id))

    assert (await heard(stream)).types[-1] == "done"
    await app.me.call(chat.RESTORE, chat.ConversationRef(conversation_id=conversation.id))
    assert (await app.messages(conversation))[1].state == "stopped"


async def test_after_its_time_a_deleted_conversation_is_erased_with_everything_in_it(start_chat: Start) -> None:
    clock = ManualClock()
    app = await start_chat(clock=clock, deleted_retention_days=30, sweep_interval_s=0.02)
    conversation, kept = await app.conversation(tags=("a",)), await app.conversation(title="kept")
    later = chat.ConversationRef(conversation_id=(await app.conversation()).id)
    answer = await app.ask(conversation)
    await app.me.call(chat.FEEDBACK, chat.GiveFeedback(message_id=answer.message_id, rating=1))
    ref = chat.ConversationRef(conversation_id=conversation.id)
    await app.me.call(chat.DELETE, ref)

    async def rows() -> dict[str, int]:
        async with app.service.database.read() as session:
            return {
                table.name: await session.scalar(select(func.count()).select_from(table)) or 0
                for table in tables.metadata.sorted_tables
            }

    clock.move(timedelta(days=2))
    await app.me.call(chat.DELETE, later)
    clock.move(timedelta(days=29))
    with pytest.raises(NotFoundError):
        await app.me.call(chat.RESTORE, ref)
    async with asyncio.timeout(5):
        while (left := await rows())["conversations"] > 2:
            await asyncio.sleep(0.005)
    assert left == {
        "conversations": 2,
        "conversation_tags": 0,
        "messages": 0,
        "answer_events": 0,
        "stored_responses": 0,
        "erased_owners": 0,
        "feedback": 0,
        "item_words": 1,
    }
    async with app.service.database.read() as session:
        (fact,) = (f for f in await event_log.read(session, after=0) if f.topic == ConversationErased.topic)
    assert fact.aggregate_id == conversation.id
    await app.me.call(chat.RESTORE, later)
    assert await titles(app) == ["New conversation", kept.title]


@pytest.mark.requirement("U3")
async def test_an_answer_is_rated_once_by_its_reader(app: Chat) -> None:
    conversation = await app.conversation()
    answer = await app.ask(conversation)
    rating = chat.GiveFeedback(message_id=answer.message_id, rating=-1, comment="wrong", tags=("facts",))

    given = await app.me.call(chat.FEEDBACK, rating)

    assert (given.rating, given.comment, given.tags) == (-1, "wrong", ("facts",))
    with pytest.raises(AlreadyRatedError):
        await app.me.call(chat.FEEDBACK, rating)
    assert (await app.messages(conversation))[1].feedback == given
    async with app.service.database.read() as session:
        facts = [f for f in await event_log.read(session, after=0) if f.topic == FeedbackGiven.topic]
    assert len(facts) == 1
    assert "wrong" not in facts[0].payload


async def test_questions_cannot_be_rated(app: Chat) -> None:
    question_id = MessageId(new_id())
    await app.ask(await app.conversation(), id=question_id)

    with pytest.raises(NotAnAnswerError):
        await app.me.call(chat.FEEDBACK, chat.GiveFeedback(message_id=question_id, rating=1))


def requests(conversation_id: ConversationId, message_id: MessageId) -> list[tuple[Any, Any]]:
    """Every action that takes an id, with these."""
    conversation, message = {"conversation_id": conversation_id}, {"message_id": message_id}
    return [
        (chat.GET, chat.ConversationRef(**conversation)),
        (chat.PATCH, chat.PatchConversation(**conversation, title="stolen")),
        (chat.DELETE, chat.ConversationRef(**conversation)),
        (chat.RESTORE, chat.ConversationRef(**conversation)),
        (chat.LIST_MESSAGES, chat.ListMessages(**conversation)),
        (chat.EXPORT, chat.ExportConversation(**conversation)),
        (chat.ADD_CONTEXT, chat.AddContext(**conversation, content="x")),
        (chat.ASK, chat.AskQuestion(**conversation, content="x")),
        (chat.GET_MESSAGE, chat.MessageRef(**message)),
        (chat.STOP, chat.MessageRef(**message)),
        (chat.FEEDBACK, chat.GiveFeedback(**message, rating=1)),
        (chat.REGENERATE, chat.RegenerateAnswer(**message)),
        (chat.EVENTS, chat.FollowAnswer(**message)),
    ]


async def carry_out(context: Any, action: Any, request: Any) -> Any:
    if isinstance(action, StreamAction):
        return await heard(context.stream(action, request))
    return await context.call(action, request)


@pytest.mark.requirement("S4")
async def test_someone_elses_objects_are_not_found_in_every_action(app: Chat) -> None:
    conversation = await app.conversation(title="mine")
    answer = await app.ask(conversation)
    question = (await app.messages(conversation))[0]
    edit = (chat.EDIT, chat.EditQuestion(message_id=question.id, content="x"))

    for action, request in [*requests(conversation.id, answer.message_id), edit]:
        with pytest.raises(NotFoundError):
            await carry_out(app.someone_else, action, request)

    assert await titles(app) == ["mine"]
    assert len(await app.messages(conversation)) == 2
    assert (await app.someone_else.call(chat.SEARCH, chat.SearchMessages(query="thirty"))).items == ()
    assert (await app.someone_else.call(chat.LIST, chat.ListConversations())).items == ()


async def test_actions_on_ids_that_do_not_exist_answer_the_same(app: Chat) -> None:
    for action, request in requests(ConversationId(new_id()), MessageId(new_id())):
        with pytest.raises(NotFoundError):
            await carry_out(app.me, action, request)


@pytest.mark.parametrize(
    ("permissions", "refused"), [(set[str](), "everything"), ({"chat:read"}, "writing"), ({"chat:write"}, "reading")]
)
async def test_permissions_are_asked_for(app: Chat, permissions: set[str], refused: str) -> None:
    identity = user_identity(UserId(new_id()), roles=(), permissions=permissions)
    context = app.node.context(identity=identity)
    for action, request in requests(ConversationId(new_id()), MessageId(new_id())):
        with pytest.raises(FiresideError) as error:
            await carry_out(context, action, request)
        is_refused = refused == "everything" or refused == ("writing" if action.access == "chat:write" else "reading")
        assert error.value.status == (403 if is_refused else 404), action.name


async def test_nobody_is_told_to_sign_in(app: Chat) -> None:
    with pytest.raises(UnauthenticatedError):
        await app.node.context().call(chat.LIST, chat.ListConversations())

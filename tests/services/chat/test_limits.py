"""How many answers may be written at once."""

import asyncio
from contextlib import aclosing

import pytest

from fireside.contracts import chat
from fireside.core.ids import MessageId, new_id
from fireside.services.chat.errors import AnswerRunningError, BusyError, TooManyAnswersError

from .conftest import Chat, Start
from .fakes import Script


async def begin(app: Chat, **fields: object) -> MessageId:
    """Begin an answer that waits; the reader goes away."""
    app.respond.script = script = Script(hold_after=1)
    conversation = await app.conversation()
    request = chat.AskQuestion(conversation_id=conversation.id, content="Days?", **fields)
    async with aclosing(app.me.stream(chat.ASK, request)) as events:
        async for event in events:
            if script.reached_hold.is_set():
                return event.message_id
    raise AssertionError("the answer ended")


async def test_one_user_has_only_so_many_answers_at_once_and_is_told_to_wait(start_chat: Start) -> None:
    app = await start_chat(max_answers_per_user=2)
    first = await begin(app)
    await begin(app)
    conversation = await app.conversation()

    with pytest.raises(TooManyAnswersError) as refused:
        await app.ask(conversation)

    assert (refused.value.status, refused.value.details["limit"]) == (429, 2)
    assert refused.value.details["retry_after_s"] > 0
    assert await app.messages(conversation) == []

    await app.me.call(chat.STOP, chat.MessageRef(message_id=first))
    app.respond.script = Script()
    assert (await app.ask(conversation)).types[-1] == "done"


async def test_the_limit_of_one_user_is_not_that_of_another(start_chat: Start) -> None:
    app = await start_chat(max_answers_per_user=1)
    await begin(app)
    app.respond.script = Script()
    theirs = await app.someone_else.call(chat.CREATE, chat.CreateConversation())

    request = chat.AskQuestion(conversation_id=theirs.id, content="Days?")
    async with aclosing(app.someone_else.stream(chat.ASK, request)) as events:
        types = [event.event.type async for event in events]
    assert types[-1] == "done"


async def test_a_node_writes_only_so_many_answers_at_once(start_chat: Start) -> None:
    app = await start_chat(max_answers=1)
    await begin(app)
    conversation = await app.conversation()

    with pytest.raises(BusyError) as refused:
        await app.ask(conversation)

    assert (refused.value.status, refused.value.retryable) == (503, True)
    assert await app.messages(conversation) == []


async def test_many_questions_at_once_never_exceed_the_limit_of_the_node(start_chat: Start) -> None:
    app = await start_chat(max_answers=3, max_answers_per_user=100)
    app.respond.script = Script(hold_after=1)
    conversations = [await app.conversation() for _ in range(12)]

    async def ask(number: int) -> str:
        try:
            request = chat.AskQuestion(conversation_id=conversations[number].id, content="Days?")
            async with aclosing(app.me.stream(chat.ASK, request)) as events:
                await anext(events)
        except BusyError:
            return "busy"
        return "begun"

    outcomes = await asyncio.gather(*(ask(number) for number in range(12)))

    assert sorted(outcomes) == ["begun"] * 3 + ["busy"] * 9


async def test_a_resent_question_needs_no_room(start_chat: Start) -> None:
    app = await start_chat(max_answers=1)
    conversation, question_id = await app.conversation(), MessageId(new_id())
    done = await app.ask(conversation, id=question_id)
    await begin(app)

    again = await app.ask(conversation, id=question_id)

    assert again.numbered == done.numbered


async def test_unstored_answers_count_while_they_are_read(start_chat: Start) -> None:
    app = await start_chat(max_answers=1)
    app.respond.script = Script(hold_after=1)
    turns = chat.CompleteTurns(turns=({"role": "user", "content": "Days?"},))

    async with aclosing(app.me.stream(chat.COMPLETE, turns)) as events:
        await anext(events)
        with pytest.raises(BusyError):
            await app.ask(await app.conversation())

    app.respond.script = Script()
    assert (await app.ask(await app.conversation())).types[-1] == "done"


async def test_a_question_below_a_running_answer_has_to_wait(app: Chat) -> None:
    app.respond.script = Script(hold_after=1)
    conversation = await app.conversation()
    request = chat.AskQuestion(conversation_id=conversation.id, content="One?")
    async with aclosing(app.me.stream(chat.ASK, request)) as events:
        await anext(events)

    with pytest.raises(AnswerRunningError):
        await app.ask(conversation, "Two?")
    assert len(await app.messages(conversation)) == 2

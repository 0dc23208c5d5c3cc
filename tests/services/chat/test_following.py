"""Leaving, coming back, reading along from elsewhere: everyone gets the same events, and nobody holds anybody up."""

import asyncio
import random
from contextlib import aclosing

import pytest

from fireside.contracts import chat
from fireside.contracts.answer import Final
from fireside.contracts.conversation import NumberedEvent
from fireside.core.errors import ConflictError, NotFoundError
from fireside.core.ids import MessageId, new_id

from .conftest import Chat, Heard, Start, heard
from .fakes import Script

WORDS = tuple(f"wörd{number} \n" for number in range(60))


async def begin(app: Chat, script: Script, **fields: object) -> tuple[MessageId, list[NumberedEvent]]:
    """Ask, read until the script waits, and go away."""
    app.respond.script = script
    conversation = await app.conversation()
    question = chat.AskQuestion(conversation_id=conversation.id, content="Days?", **fields)
    seen: list[NumberedEvent] = []
    async with aclosing(app.me.stream(chat.ASK, question)) as events:
        async for event in events:
            seen.append(event)
            if script.reached_hold.is_set():
                break
    return seen[0].message_id, seen


@pytest.mark.requirement("U1")
async def test_the_answer_goes_on_when_its_reader_goes_away(app: Chat) -> None:
    message_id, seen = await begin(app, Script(hold_after=1))
    app.respond.script.go_on.set()

    again = await app.events(message_id)

    assert again.text == "Thirty days [1]."
    assert again.numbered[: len(seen)] == seen
    assert (await app.message(message_id)).state == "complete"


async def test_resuming_while_it_is_written_gives_what_was_missed_and_what_comes(app: Chat) -> None:
    message_id, seen = await begin(app, Script(hold_after=1))

    async def rest() -> Heard:
        return await app.events(message_id, after=seen[-1].id)

    reading = asyncio.create_task(rest())
    app.respond.script.go_on.set()
    missed = await reading

    complete = (await app.events(message_id)).numbered
    assert seen + missed.numbered == complete
    assert missed.ids[0] == seen[-1].id + 1


@pytest.mark.requirement("U1")
async def test_a_thousand_random_disconnects_give_the_same_text(app: Chat) -> None:
    """Readers leave and come back anywhere, during the answer and after it, and lose and repeat nothing."""
    chance = random.Random(7)
    script = Script(words=WORDS, hold_after=30)
    message_id, _ = await begin(app, script)
    whole = "".join(WORDS)

    disconnects = 0

    async def read_in_pieces(longest: int) -> list[NumberedEvent]:
        nonlocal disconnects
        got: list[NumberedEvent] = []
        while not got or got[-1].event.type != "done":
            place, budget = (got[-1].id if got else 0), chance.randint(1, longest)
            request = chat.FollowAnswer(message_id=message_id, after=place)
            async with aclosing(app.me.stream(chat.EVENTS, request)) as events:
                async for event in events:
                    got.append(event)
                    budget -= 1
                    if not budget:
                        disconnects += 1
                        break
        return got

    during = [asyncio.create_task(read_in_pieces(longest)) for longest in (80, 40, 20, 10, 5)]
    await app.stored_events(message_id, at_least=30)
    script.go_on.set()
    readings = [await task for task in during]
    while disconnects < 1000:
        readings.append(await read_in_pieces(5))

    reference = (await app.events(message_id)).numbered
    assert Heard(reference).text == whole == Heard(reference).of(Final).content
    assert all(reading == reference for reading in readings)


async def test_resuming_after_every_single_event_gives_exactly_the_rest(app: Chat) -> None:
    heard_first = await app.ask(await app.conversation())

    for place in range(len(heard_first.numbered) + 1):
        rest = await app.events(heard_first.message_id, after=place)
        assert rest.numbered == heard_first.numbered[place:]


async def test_resuming_beyond_the_end_gives_nothing(app: Chat) -> None:
    answer = await app.ask(await app.conversation())

    assert (await app.events(answer.message_id, after=10_000)).numbered == []


async def test_the_id_of_the_question_stands_for_its_answer(app: Chat) -> None:
    question_id = MessageId(new_id())
    answer = await app.ask(await app.conversation(), id=question_id)

    assert (await app.events(question_id)).numbered == answer.numbered


@pytest.mark.requirement("D5")
async def test_a_question_sent_twice_is_one_message_with_one_answer(app: Chat) -> None:
    conversation, question_id = await app.conversation(), MessageId(new_id())

    first = await app.ask(conversation, id=question_id)
    second = await app.ask(conversation, id=question_id)
    rest = await app.ask(conversation, id=question_id, after=first.ids[-3])

    assert first.numbered == second.numbered
    assert rest.numbered == first.numbered[-2:]
    assert len(await app.messages(conversation)) == 2
    assert len(app.respond.asked) == 1


async def test_a_question_sent_many_times_at_once_is_one_message(app: Chat) -> None:
    conversation, question_id = await app.conversation(), MessageId(new_id())

    answers = await asyncio.gather(*(app.ask(conversation, id=question_id) for _ in range(8)))

    assert all(answer.numbered == answers[0].numbered for answer in answers)
    assert len(await app.messages(conversation)) == 2


async def test_an_id_cannot_be_used_for_another_text(app: Chat) -> None:
    conversation, question_id = await app.conversation(), MessageId(new_id())
    await app.ask(conversation, "One?", id=question_id)

    with pytest.raises(ConflictError) as refused:
        await app.ask(conversation, "Two?", id=question_id)
    assert refused.value.code == "id_taken"


async def test_an_id_of_someone_else_is_refused_and_nothing_is_stored(app: Chat) -> None:
    answer = await app.ask(await app.conversation(), id=MessageId(new_id()))
    theirs = await app.someone_else.call(chat.CREATE, chat.CreateConversation())

    request = chat.AskQuestion(conversation_id=theirs.id, content="Mine?", id=answer.message_id)
    with pytest.raises(ConflictError) as refused:
        await heard(app.someone_else.stream(chat.ASK, request))

    assert refused.value.code == "id_taken"
    page = await app.someone_else.call(chat.LIST_MESSAGES, chat.ListMessages(conversation_id=theirs.id))
    assert page.items == ()


async def test_a_question_is_stored_and_answered_even_when_the_asker_leaves_at_once(app: Chat) -> None:
    conversation = await app.conversation()
    question = chat.AskQuestion(conversation_id=conversation.id, content="Days?")

    async def ask_and_leave() -> None:
        await anext(app.me.stream(chat.ASK, question))

    for turns in range(1, 12):
        asking = asyncio.create_task(ask_and_leave())
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        messages = await app.messages(conversation)
        assert len(messages) % 2 == 0
        for answer in messages[1::2]:
            assert (await app.events(answer.id)).types[-1] == "done"


async def test_a_slow_reader_holds_nobody_up(app: Chat) -> None:
    script = Script(words=WORDS)
    app.respond.script = script
    conversation = await app.conversation()
    slow = app.me.stream(chat.ASK, chat.AskQuestion(conversation_id=conversation.id, content="Days?"))
    first = await anext(slow)

    fast = await app.events(first.message_id)

    assert fast.text == "".join(WORDS)
    rest = await heard(slow)
    assert [first, *rest.numbered] == fast.numbered


async def test_an_answer_that_is_written_is_shown_with_its_text_so_far(app: Chat) -> None:
    message_id, _ = await begin(app, Script(hold_after=2))

    answer = await app.message(message_id)

    assert (answer.state, answer.content) == ("streaming", "Thirty days ")
    assert answer.steps[0].stage == "think"


async def test_another_node_reads_along_and_shows_the_text_so_far(start_chat: Start) -> None:
    one = await start_chat(node_id="one")
    two = await start_chat(node_id="two")
    two.me = two.me.with_identity(one.me.identity)
    message_id, seen = await begin(one, Script(hold_after=2))
    reading = asyncio.create_task(heard(two.me.stream(chat.EVENTS, chat.FollowAnswer(message_id=message_id))))

    async def shown_elsewhere() -> str:
        return (await two.message(message_id)).content

    async with asyncio.timeout(5):
        while await shown_elsewhere() != "Thirty days ":
            await asyncio.sleep(0.01)
    one.respond.script.go_on.set()

    there = await reading
    assert there.text == "Thirty days [1]."
    assert there.numbered[: len(seen)] == seen
    assert there.numbered == (await one.events(message_id)).numbered


async def test_following_something_that_has_no_answer_is_refused(app: Chat) -> None:
    conversation = await app.conversation()
    note = await app.me.call(chat.ADD_CONTEXT, chat.AddContext(conversation_id=conversation.id, content="Note"))

    with pytest.raises(ConflictError) as refused:
        await app.events(note.id)
    assert refused.value.code == "not_an_answer"
    with pytest.raises(NotFoundError):
        await app.events(MessageId(new_id()))


async def test_events_are_stored_in_batches_and_in_one_row_at_the_end(app: Chat) -> None:
    script = Script(words=WORDS, hold_after=59)
    message_id, _ = await begin(app, script)
    assert 1 <= await app.stored_events(message_id, at_least=60) < 20

    script.go_on.set()
    await app.events(message_id)
    assert await app.stored_events(message_id, at_least=60) == 1

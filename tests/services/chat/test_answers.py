"""Questions and their answers: what is streamed and what is stored."""

import asyncio
from contextlib import aclosing

import pytest

from fireside.contracts import chat
from fireside.contracts.answer import Done, Failed, Final, Sources, Step, Turn
from fireside.contracts.conversation import AnswerFinished
from fireside.core.errors import InvalidInputError, UnavailableError
from fireside.core.ids import MessageId, new_id
from fireside.runtime.durable import event_log

from .conftest import Chat, Start
from .conftest import heard as heard_events
from .fakes import PASSAGE, Script


async def test_an_answer_goes_through_every_stage_and_ends_with_done(app: Chat) -> None:
    heard = await app.ask(await app.conversation())

    stages = [(event.stage, event.status) for event in heard.events if isinstance(event, Step)]
    assert stages == [
        ("think", "started"),
        ("think", "done"),
        ("act", "started"),
        ("act", "done"),
        ("respond", "started"),
        ("respond", "done"),
    ]
    assert heard.types[-2:] == ["final", "done"]
    assert heard.text == "Thirty days [1]."
    assert heard.ids == list(range(1, len(heard.ids) + 1))


@pytest.mark.requirement("U7")
async def test_question_and_answer_are_stored_with_all_that_was_streamed(app: Chat) -> None:
    conversation = await app.conversation()
    heard = await app.ask(conversation, "How many days of holiday?")

    question, answer = await app.messages(conversation)
    assert (question.role, question.content, question.parent_id) == ("user", "How many days of holiday?", None)
    final = heard.of(Final)
    assert final.message_id == answer.id == heard.message_id
    assert (answer.parent_id, answer.state) == (question.id, "complete")
    assert answer.content == final.content
    assert answer.sources == heard.of(Sources).sources
    assert answer.steps == tuple(event for event in heard.events if isinstance(event, Step))
    assert answer.quality is not None
    assert answer.quality.grounded == "supported"
    assert (answer.confidence, answer.model, answer.mode) == (0.8, "scripted", "company")
    assert answer.usage.total_tokens == 13
    assert answer.finished_at is not None
    assert isinstance(heard.events[-1], Done)


@pytest.mark.requirement("I1")
async def test_a_question_without_need_of_documents_skips_the_search(app: Chat) -> None:
    app.think.needs_documents = False

    heard = await app.ask(await app.conversation(mode="general"), "Write a haiku")

    assert not app.act.asked
    (skipped,) = (event for event in heard.events if isinstance(event, Step) and event.stage == "act")
    assert skipped.status == "skipped"
    assert heard.of(Final).mode == "general"


async def test_every_stage_tells_how_long_it_took(app: Chat) -> None:
    heard = await app.ask(await app.conversation())

    done = [event for event in heard.events if isinstance(event, Step) and event.status == "done"]
    assert [event.stage for event in done] == ["think", "act", "respond"]
    assert all(event.elapsed_ms is not None and event.elapsed_ms >= 0 for event in done)


@pytest.mark.requirement("P18")
async def test_when_think_fails_the_question_is_searched_for_as_it_stands(app: Chat) -> None:
    app.think.error = UnavailableError("no thinking today")

    heard = await app.ask(await app.conversation(), "How many days?")

    (asked,) = app.act.asked
    assert asked.analysis.search_queries == ("How many days?",)
    assert asked.analysis.mode == "company"
    final = heard.of(Final)
    assert final.content == "Thirty days [1]."
    assert any("could not be analysed" in notice for notice in final.degraded)
    assert ("think", "failed") in [(e.stage, e.status) for e in heard.events if isinstance(e, Step)]


async def test_when_think_fails_in_general_mode_nothing_is_searched(app: Chat) -> None:
    app.think.error = UnavailableError()

    heard = await app.ask(await app.conversation(mode="general"))

    assert not app.act.asked
    assert heard.of(Final).mode == "general"


@pytest.mark.requirement("P18")
async def test_when_act_fails_the_answer_is_written_without_passages_and_says_so(app: Chat) -> None:
    app.act.error = UnavailableError("no index")

    heard = await app.ask(await app.conversation())

    assert app.respond.asked[0].evidence.passages == ()
    assert not app.respond.asked[0].evidence.searched
    assert any("could not be searched" in notice for notice in heard.of(Final).degraded)
    assert heard.types[-1] == "done"


async def test_what_the_search_could_not_do_is_told_once_in_the_final_event(app: Chat) -> None:
    app.act.degraded = ("The reranker is not available.",)

    for forgets_notices in (False, True):
        app.respond.script = Script(forgets_notices=forgets_notices)
        heard = await app.ask(await app.conversation())
        assert heard.of(Final).degraded == ("The reranker is not available.",)


@pytest.mark.requirement("P18")
async def test_when_respond_fails_before_its_first_word_the_passages_are_shown(app: Chat) -> None:
    app.respond.script = Script(words=(), error=UnavailableError("no model"))

    conversation = await app.conversation()
    heard = await app.ask(conversation)

    final = heard.of(Final)
    assert PASSAGE.text in final.content
    assert [source.chunk_id for source in final.sources] == [PASSAGE.chunk_id]
    assert any("passages found are shown" in notice for notice in final.degraded)
    assert heard.text == final.content
    _, answer = await app.messages(conversation)
    assert (answer.state, answer.content) == ("complete", final.content)


async def test_when_respond_fails_without_passages_the_answer_is_an_error_and_done(app: Chat) -> None:
    app.act.error = UnavailableError()
    app.respond.script = Script(words=(), error=UnavailableError("no model", failed_part="model big"))

    conversation = await app.conversation()
    heard = await app.ask(conversation)

    assert heard.types[-2:] == ["error", "done"]
    failed = heard.of(Failed)
    assert (failed.code, failed.status, failed.detail) == ("unavailable", 503, "no model")
    assert "failed_part" not in failed.details
    assert failed.request_id == app.me.request_id
    _, answer = await app.messages(conversation)
    assert (answer.state, answer.error) == ("failed", failed)


async def test_an_error_after_the_first_words_keeps_them_and_is_told_in_the_stream(app: Chat) -> None:
    app.respond.script = Script(words=("Thirty ", "days"), error=UnavailableError("model died"))

    conversation = await app.conversation()
    heard = await app.ask(conversation)

    assert heard.types[-3:] == ["token", "error", "done"]
    _, answer = await app.messages(conversation)
    assert (answer.state, answer.content) == ("failed", "Thirty days")


async def test_an_unexpected_error_is_told_without_its_internals(app: Chat) -> None:
    app.respond.script = Script(error=RuntimeError("secret path"))

    heard = await app.ask(await app.conversation())

    assert heard.of(Failed).code == "internal"
    assert "secret" not in heard.of(Failed).model_dump_json()


async def test_the_content_of_the_final_event_is_what_is_kept(app: Chat) -> None:
    app.respond.script = Script(words=("Thirty days.", " And a pony."), final_content="Thirty days.")

    heard = await app.ask(await app.conversation())

    assert heard.text == "Thirty days. And a pony."
    assert (await app.message(heard.message_id)).content == "Thirty days."


async def test_an_answer_without_its_final_event_is_an_error(app: Chat) -> None:
    app.respond.script = Script(without_final=True)

    heard = await app.ask(await app.conversation())

    assert heard.of(Failed).code == "upstream"


async def test_an_answer_that_takes_too_long_fails_and_keeps_its_text(start_chat: Start) -> None:
    app = await start_chat(answer_timeout_s=0.3)
    app.respond.script = Script(hold_after=1)

    heard = await app.ask(await app.conversation())

    assert heard.of(Failed).code == "deadline_exceeded"
    assert (await app.message(heard.message_id)).content == "Thirty "
    await asyncio.wait_for(app.respond.script.closed.wait(), 5)


async def test_an_answer_that_grows_without_end_is_cut_off(start_chat: Start) -> None:
    app = await start_chat(max_answer_chars=100)
    app.respond.script = Script(words=("word " * 10,) * 1000)

    heard = await app.ask(await app.conversation())

    assert heard.of(Failed).code == "answer_too_long"
    assert len((await app.message(heard.message_id)).content) <= 150


@pytest.mark.requirement("U5")
async def test_mode_model_and_authors_note_of_the_conversation_reach_the_services(app: Chat) -> None:
    conversation = await app.conversation(mode="company", model="big", authors_note="answer in verse")

    await app.ask(conversation)
    await app.ask(conversation, mode="general", model="small")

    first, second = app.respond.asked
    assert (first.model, first.authors_note, app.think.asked[0].mode) == ("big", "answer in verse", "company")
    assert (second.model, app.think.asked[1].mode) == ("small", "general")


async def test_the_next_answer_knows_every_turn_before_it(app: Chat) -> None:
    conversation = await app.conversation()
    for number in range(5):
        await app.ask(conversation, f"question {number}")

    history = app.think.asked[-1].history
    assert [turn.content for turn in history[::2]] == [f"question {number}" for number in range(4)]
    assert [turn.role for turn in history] == ["user", "assistant"] * 4
    assert app.respond.asked[-1].history == history


async def test_history_is_cut_to_its_budget_from_the_oldest_side(start_chat: Start) -> None:
    app = await start_chat(history_chars=60)
    conversation = await app.conversation()
    for number in range(4):
        await app.ask(conversation, f"question {number}")

    contents = [turn.content for turn in app.think.asked[-1].history]
    assert contents == ["question 1", "Thirty days [1].", "question 2", "Thirty days [1]."]


async def test_a_context_only_post_gets_no_answer_and_is_known_to_the_next_one(app: Chat) -> None:
    conversation = await app.conversation()
    post = chat.AddContext(conversation_id=conversation.id, content="We are the Berlin office.")
    added = await app.me.call(chat.ADD_CONTEXT, post)

    heard = await app.ask(conversation, "Which office are we?")

    assert added.context_only
    assert [turn.content for turn in app.respond.asked[0].history] == ["We are the Berlin office."]
    context_post, question, answer = await app.messages(conversation)
    assert (context_post.id, question.parent_id, answer.id) == (added.id, added.id, heard.message_id)


@pytest.mark.requirement("U12")
async def test_a_context_only_post_can_be_quoted_like_a_passage(app: Chat) -> None:
    conversation = await app.conversation()
    post = chat.AddContext(conversation_id=conversation.id, content="We are the Berlin office.")
    note = await app.me.call(chat.ADD_CONTEXT, post)
    await app.ask(conversation, "Which office are we?")
    app.act.error = UnavailableError()
    await app.ask(conversation, "And now, without the documents?")

    with_documents, without = (asked.evidence.passages for asked in app.respond.asked)
    assert [passage.text for passage in with_documents] == [PASSAGE.text, "We are the Berlin office."]
    assert [passage.chunk_id for passage in without] == [note.id]
    assert with_documents[1].path.endswith(str(note.id))


async def test_a_context_only_post_sent_twice_is_one_message(app: Chat) -> None:
    conversation = await app.conversation()
    post = chat.AddContext(conversation_id=conversation.id, content="Note", id=MessageId(new_id()))

    first = await app.me.call(chat.ADD_CONTEXT, post)
    second = await app.me.call(chat.ADD_CONTEXT, post)

    assert first == second
    assert len(await app.messages(conversation)) == 1


async def test_a_finished_answer_is_announced_once_without_its_text(app: Chat) -> None:
    heard = await app.ask(await app.conversation(), "a very private question")

    async with app.service.database.read() as session:
        facts = await event_log.read(session, after=0)
    (fact,) = (AnswerFinished.model_validate_json(f.payload) for f in facts if f.topic == AnswerFinished.topic)
    assert (fact.message_id, fact.state, fact.usage.total_tokens) == (heard.message_id, "complete", 13)
    assert fact.owner_id == app.me.identity.user_id
    assert not any("private" in f.payload or "Thirty" in f.payload for f in facts)


async def test_turns_can_be_answered_without_storing_anything(app: Chat) -> None:
    turns = (
        Turn(role="user", content="Hello"),
        Turn(role="assistant", content="Hi"),
        Turn(role="user", content="Days?"),
    )
    request = chat.CompleteTurns(turns=turns, instructions="be brief", max_tokens=50)

    async with aclosing(app.me.stream(chat.COMPLETE, request)) as stream:
        events = [event async for event in stream]

    assert isinstance(events[-1], Final)
    (asked,) = app.respond.asked
    assert (asked.question, asked.authors_note, asked.max_tokens) == ("Days?", "be brief", 50)
    assert [turn.content for turn in asked.history] == ["Hello", "Hi"]
    assert (await app.me.call(chat.LIST, chat.ListConversations())).items == ()


async def test_turns_must_end_with_a_question(app: Chat) -> None:
    request = chat.CompleteTurns(turns=(Turn(role="assistant", content="Hi"),))

    with pytest.raises(InvalidInputError):
        await heard_events(app.me.stream(chat.COMPLETE, request))


async def test_unstored_answers_end_with_their_reader(app: Chat) -> None:
    app.respond.script = Script(hold_after=1)
    request = chat.CompleteTurns(turns=(Turn(role="user", content="Days?"),))

    async with aclosing(app.me.stream(chat.COMPLETE, request)) as stream:
        async for event in stream:
            if event.type == "token":
                break

    await asyncio.wait_for(app.respond.script.closed.wait(), 5)

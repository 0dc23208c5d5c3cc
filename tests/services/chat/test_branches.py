"""Editing, regenerating and choosing: conversations as trees."""

import pytest

from fireside.contracts import chat
from fireside.contracts.answer import Final
from fireside.contracts.conversation import ConversationView
from fireside.core.errors import ConflictError, NotFoundError
from fireside.core.ids import MessageId, new_id

from .conftest import Chat, Heard, heard
from .fakes import Script


async def regenerate(app: Chat, message_id: MessageId, **wishes: object) -> Heard:
    return await heard(app.me.stream(chat.REGENERATE, chat.RegenerateAnswer(message_id=message_id, **wishes)))


async def edit(app: Chat, message_id: MessageId, content: str, **fields: object) -> Heard:
    request = chat.EditQuestion(message_id=message_id, content=content, **fields)
    return await heard(app.me.stream(chat.EDIT, request))


async def active(app: Chat, conversation: ConversationView) -> MessageId | None:
    return (await app.me.call(chat.GET, chat.ConversationRef(conversation_id=conversation.id))).active_message_id


async def test_regenerating_makes_another_answer_beside_the_first(app: Chat) -> None:
    conversation = await app.conversation()
    first = await app.ask(conversation)
    app.respond.script = Script(words=("A month.",))

    second = await regenerate(app, first.message_id)

    question, *answers = await app.messages(conversation)
    assert [answer.parent_id for answer in answers] == [question.id, question.id]
    assert [answer.content for answer in answers] == ["Thirty days [1].", "A month."]
    assert await active(app, conversation) == second.message_id


async def test_regenerating_knows_only_the_turns_before_the_question(app: Chat) -> None:
    conversation = await app.conversation()
    await app.ask(conversation, "One?")
    second = await app.ask(conversation, "Two?")

    await regenerate(app, second.message_id)

    assert [turn.content for turn in app.respond.asked[-1].history] == ["One?", "Thirty days [1]."]
    assert app.respond.asked[-1].question == "Two?"


async def test_an_answer_can_be_regenerated_with_another_model_and_mode(app: Chat) -> None:
    first = await app.ask(await app.conversation(model="big"))

    again = await regenerate(app, first.message_id, model="small", mode="general")

    assert app.respond.asked[-1].model == "small"
    assert again.of(Final).mode == "general"


async def test_regenerating_by_the_id_of_the_question_answers_it_again(app: Chat) -> None:
    question_id = MessageId(new_id())
    conversation = await app.conversation()
    await app.ask(conversation, id=question_id)

    again = await regenerate(app, question_id)

    assert (await app.message(again.message_id)).parent_id == question_id
    assert (await app.events(question_id)).numbered == again.numbered


async def test_a_context_only_post_can_be_answered_later(app: Chat) -> None:
    conversation = await app.conversation()
    note = await app.me.call(chat.ADD_CONTEXT, chat.AddContext(conversation_id=conversation.id, content="Days?"))

    answer = await regenerate(app, note.id)

    assert (await app.message(answer.message_id)).parent_id == note.id


@pytest.mark.requirement("U12")
async def test_editing_asks_again_as_a_branch_and_keeps_what_was_there(app: Chat) -> None:
    conversation = await app.conversation()
    await app.ask(conversation, "One?")
    second = await app.ask(conversation, "Two?")
    original = (await app.messages(conversation))[2]

    edited = await edit(app, original.id, "Three?")

    messages = await app.messages(conversation)
    assert [m.content for m in messages[2:]] == ["Two?", "Thirty days [1].", "Three?", "Thirty days [1]."]
    new = messages[4]
    assert (new.parent_id, messages[5].parent_id) == (original.parent_id, new.id)
    assert messages[5].id == edited.message_id
    assert messages[3].id == second.message_id
    assert [turn.content for turn in app.respond.asked[-1].history] == ["One?", "Thirty days [1]."]


async def test_the_first_question_can_be_edited(app: Chat) -> None:
    conversation = await app.conversation()
    await app.ask(conversation, "One?")
    original = (await app.messages(conversation))[0]

    await edit(app, original.id, "Other?")

    assert app.respond.asked[-1].history == ()
    assert [m.parent_id for m in await app.messages(conversation) if m.role == "user"] == [None, None]


async def test_an_edit_sent_twice_is_one_branch(app: Chat) -> None:
    conversation, new = await app.conversation(), MessageId(new_id())
    await app.ask(conversation, "One?")
    original = (await app.messages(conversation))[0]

    first = await edit(app, original.id, "Other?", id=new)
    second = await edit(app, original.id, "Other?", id=new)

    assert first.numbered == second.numbered
    assert len(await app.messages(conversation)) == 4


async def test_only_questions_can_be_edited(app: Chat) -> None:
    answer = await app.ask(await app.conversation())

    with pytest.raises(ConflictError) as refused:
        await edit(app, answer.message_id, "Other?")
    assert refused.value.code == "not_a_question"


async def test_asking_continues_the_branch_last_used(app: Chat) -> None:
    conversation = await app.conversation()
    first = await app.ask(conversation, "One?")
    original = (await app.messages(conversation))[0]
    await edit(app, original.id, "Other?")
    choose = chat.PatchConversation(conversation_id=conversation.id, active_message_id=first.message_id)
    await app.me.call(chat.PATCH, choose)

    await app.ask(conversation, "Two?")

    assert [turn.content for turn in app.respond.asked[-1].history] == ["One?", "Thirty days [1]."]


async def test_asking_below_any_message_continues_there(app: Chat) -> None:
    conversation = await app.conversation()
    first = await app.ask(conversation, "One?")
    await app.ask(conversation, "Two?")

    await app.ask(conversation, "Three?", parent_id=first.message_id)

    assert [turn.content for turn in app.respond.asked[-1].history] == ["One?", "Thirty days [1]."]


async def test_a_parent_in_another_conversation_is_not_found(app: Chat) -> None:
    elsewhere = await app.ask(await app.conversation())
    conversation = await app.conversation()

    with pytest.raises(NotFoundError):
        await app.ask(conversation, parent_id=elsewhere.message_id)
    with pytest.raises(NotFoundError):
        await app.ask(conversation, parent_id=MessageId(new_id()))
    patch = chat.PatchConversation(conversation_id=conversation.id, active_message_id=elsewhere.message_id)
    with pytest.raises(NotFoundError):
        await app.me.call(chat.PATCH, patch)
    assert await app.messages(conversation) == []

"""Finding old messages by their words."""

import pytest

from fireside.contracts import chat
from fireside.contracts.chat import MessageHit
from fireside.contracts.conversation import ConversationView
from fireside.core.errors import InvalidInputError
from fireside.services.chat.words import MOST_WORDS, fold, snippet, words_of
from tests.databases import BOTH, database_fixture

from .conftest import (
    MIGRATIONS,
    Chat,
    heard,
)
from .fakes import Script

database_url = database_fixture("chat", MIGRATIONS, technologies=BOTH)


async def found(app: Chat, query: str) -> list[MessageHit]:
    return list((await app.me.call(chat.SEARCH, chat.SearchMessages(query=query))).items)


async def listed(app: Chat, query: str) -> list[str]:
    return [item.title for item in (await app.me.call(chat.LIST, chat.ListConversations(query=query))).items]


async def asked(app: Chat, content: str, *, title: str = "T", answer: str = "Yes.") -> ConversationView:
    app.respond.script = Script(words=(answer,))
    conversation = await app.conversation(title=title)
    await app.ask(conversation, content)
    return conversation


@pytest.mark.requirement("U2")
async def test_a_word_only_in_an_old_message_is_found_there(app: Chat) -> None:
    old = await asked(app, "What about the Zugspitze excursion?", title="old")
    for number in range(3):
        await asked(app, f"something else {number}", title=f"new {number}")

    (hit,) = await found(app, "zugspitze")

    question = (await app.messages(old))[0]
    assert (hit.conversation_id, hit.message_id, hit.role) == (old.id, question.id, "user")
    assert "Zugspitze" in hit.snippet
    assert await listed(app, "zugspitze") == ["old"]


async def test_answers_titles_and_context_posts_are_found(app: Chat) -> None:
    conversation = await asked(app, "q", title="Parental leave", answer="Forty weeks.")
    post = chat.AddContext(conversation_id=conversation.id, content="Remember Montevideo")
    await app.me.call(chat.ADD_CONTEXT, post)

    assert [hit.role for hit in await found(app, "forty")] == ["assistant"]
    assert [hit.message_id for hit in await found(app, "parental")] == [None]
    assert [hit.role for hit in await found(app, "montevideo")] == ["user"]
    assert await listed(app, "parental montevideo forty") == ["Parental leave"]


async def test_all_words_must_occur_and_beginnings_count(app: Chat) -> None:
    await asked(app, "holiday rules in Berlin", title="one")
    await asked(app, "holiday rules in Vienna", title="two")

    assert await listed(app, "holi rules berl") == ["one"]
    assert sorted(await listed(app, "holiday")) == ["one", "two"]
    assert await listed(app, "holiday paris") == []
    assert await found(app, "oliday") == []
    assert len(await found(app, "rules vien")) == 1


async def test_case_accents_and_width_do_not_matter(app: Chat) -> None:
    await asked(app, "Überstunden im Café Straße ｗｉｄｅ", title="one")

    for query in ("uberstunden", "ÜBERSTUNDEN", "cafe", "strasse", "STRASSE", "wide", "U\u0308berstunden"):
        assert await listed(app, query) == ["one"], query


async def test_a_part_of_a_sentence_without_spaces_is_found(app: Chat) -> None:
    await asked(app, "休暇は何日ありますか", title="one")

    assert await listed(app, "何日") == ["one"]
    assert await listed(app, "何月") == []


async def test_a_query_without_words_does_not_return_the_ordinary_list(app: Chat) -> None:
    await asked(app, "q", title="one")

    assert await listed(app, "?!") == []
    with pytest.raises(InvalidInputError):
        await found(app, "%_")
    assert await listed(app, "%") == []


async def test_of_a_very_long_query_the_first_words_count(app: Chat) -> None:
    words = [f"word{number}" for number in range(12)]
    await asked(app, " ".join(words), title="one")

    assert await listed(app, " ".join([*words, "absent"])) == ["one"]
    assert len(await found(app, " ".join([*words, "absent"]))) == 1
    assert await listed(app, " ".join(["absent", *words])) == []


async def test_a_renamed_conversation_is_found_by_its_new_title_alone(app: Chat) -> None:
    conversation = await app.conversation(title="before")
    patch = chat.PatchConversation(conversation_id=conversation.id, title="afterwards")
    await app.me.call(chat.PATCH, patch)

    assert await found(app, "before") == []
    assert len(await found(app, "afterwards")) == 1


async def test_an_automatic_title_is_found(app: Chat) -> None:
    conversation = await app.conversation()
    await app.ask(conversation, "Expenses?")

    assert {hit.message_id is None for hit in await found(app, "expenses")} == {True, False}


async def test_hits_come_newest_first_in_pages(app: Chat) -> None:
    for number in range(5):
        await asked(app, f"budget {number}", title=str(number))

    seen: list[str] = []
    cursor = None
    while True:
        page = await app.me.call(chat.SEARCH, chat.SearchMessages(query="budget", limit=2, cursor=cursor))
        seen += [hit.snippet for hit in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert seen == [f"budget {number}" for number in reversed(range(5))]


async def test_a_stopped_answer_is_found_by_what_it_had_said(app: Chat) -> None:
    app.respond.script = script = Script(words=("Kilimanjaro ", "rest"), hold_after=1)
    conversation = await app.conversation()
    stream = app.me.stream(chat.ASK, chat.AskQuestion(conversation_id=conversation.id, content="q"))
    first = await anext(stream)
    await script.reached_hold.wait()
    await app.me.call(chat.STOP, chat.MessageRef(message_id=first.message_id))
    await heard(stream)

    assert len(await found(app, "kilimanjaro")) == 1
    assert await found(app, "rest") == []


def test_words_are_folded_and_each_stands_once() -> None:
    assert words_of("The the THE Ärger, foo_bar x2!") == ["the", "arger", "foo", "bar", "x2"]
    assert fold("ﬁnal İstanbul") == "final istanbul"
    assert words_of("何") == ["何"]
    assert len(words_of(" ".join(map(str, range(MOST_WORDS * 2))))) == MOST_WORDS


def test_a_very_long_word_is_found_by_its_beginning() -> None:
    (word,) = words_of("a" * 500)
    assert len(word) == 40


def test_a_snippet_shows_the_place_of_the_word() -> None:
    text = "lorem ipsum " * 40 + "the needle is here " + "dolor sit " * 40

    shown = snippet(text, ["needle"])

    assert "the needle is here" in shown
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert len(shown) < 180
    assert snippet("short text", ["absent"]) == "short text"
    assert snippet("x" * 500, ["x"]) == "x" * 80 + "…"

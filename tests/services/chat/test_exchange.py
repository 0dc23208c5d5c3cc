"""Exports and imports."""

import json
from html.parser import HTMLParser
from typing import Any

import pytest

from fireside.contracts import chat
from fireside.contracts.conversation import ConversationView, MessageView
from fireside.services.chat.errors import InvalidImportError

from .conftest import Chat, heard
from .fakes import Script


async def export(app: Chat, conversation: ConversationView, file_format: chat.ExportFormat) -> chat.ExportedFile:
    request = chat.ExportConversation(conversation_id=conversation.id, format=file_format)
    return await app.me.call(chat.EXPORT, request)


async def eventful(app: Chat) -> ConversationView:
    """A conversation with a context post, two branches, a rating and a stopped answer."""
    conversation = await app.conversation(
        title="Holidays & <more>", mode="company", tags=("a", "b"), authors_note="brief"
    )
    await app.me.call(chat.ADD_CONTEXT, chat.AddContext(conversation_id=conversation.id, content="A note"))
    first = await app.ask(conversation, "How many <b>days</b>?")
    await app.me.call(chat.FEEDBACK, chat.GiveFeedback(message_id=first.message_id, rating=1, comment="good"))
    question = (await app.messages(conversation))[1]
    edit = chat.EditQuestion(message_id=question.id, content="How many weeks?")
    await heard(app.me.stream(chat.EDIT, edit))
    app.respond.script = script = Script(hold_after=1)
    stream = app.me.stream(chat.ASK, chat.AskQuestion(conversation_id=conversation.id, content="Why?"))
    stopped = await anext(stream)
    await script.reached_hold.wait()
    await app.me.call(chat.STOP, chat.MessageRef(message_id=stopped.message_id))
    await heard(stream)
    return await app.me.call(chat.GET, chat.ConversationRef(conversation_id=conversation.id))


def comparable(messages: list[MessageView]) -> list[dict[str, Any]]:
    """Messages with ids replaced by their places."""
    places = {message.id: place for place, message in enumerate(messages)}
    return [
        {
            **message.model_dump(exclude={"id", "conversation_id", "parent_id"}),
            "parent": places.get(message.parent_id) if message.parent_id else None,
        }
        for message in messages
    ]


@pytest.mark.requirement("U12")
async def test_an_imported_export_equals_what_was_exported(app: Chat) -> None:
    original = await eventful(app)
    file = await export(app, original, "json")

    copy = await app.me.call(chat.IMPORT, chat.ImportConversation(content=file.content))

    assert (file.name, file.media_type) == ("Holidays-more.json", "application/json")
    assert copy.id != original.id
    assert copy == await app.me.call(chat.GET, chat.ConversationRef(conversation_id=copy.id))
    same = {"id", "active_message_id"}
    assert copy.model_dump(exclude=same) == original.model_dump(exclude=same)
    before, after = await app.messages(original), await app.messages(copy)
    assert comparable(after) == comparable(before)
    assert not {message.id for message in after} & {message.id for message in before}
    active = [m.id for m in after].index(copy.active_message_id)
    assert active == [m.id for m in before].index(original.active_message_id)


async def test_an_import_can_be_made_twice_searched_and_continued(app: Chat) -> None:
    file = await export(app, await eventful(app), "json")
    app.respond.script = Script()

    first = await app.someone_else.call(chat.IMPORT, chat.ImportConversation(content=file.content))
    await app.someone_else.call(chat.IMPORT, chat.ImportConversation(content=file.content))

    listed = await app.someone_else.call(chat.LIST, chat.ListConversations(query="weeks"))
    assert len(listed.items) == 2
    question = chat.AskQuestion(conversation_id=first.id, content="Go on")
    answer = await heard(app.someone_else.stream(chat.ASK, question))
    assert answer.types[-1] == "done"
    contents = [turn.content for turn in app.respond.asked[-1].history]
    assert contents == ["A note", "How many weeks?", "Thirty days [1].", "Why?", "Thirty"]


async def test_an_import_of_an_answer_that_was_being_written_is_interrupted(app: Chat) -> None:
    app.respond.script = Script(hold_after=1)
    conversation = await app.conversation()
    stream = app.me.stream(chat.ASK, chat.AskQuestion(conversation_id=conversation.id, content="Why?"))
    await anext(stream)
    await app.respond.script.reached_hold.wait()
    file = await export(app, conversation, "json")

    copy = await app.me.call(chat.IMPORT, chat.ImportConversation(content=file.content))

    assert [(m.state, m.content) for m in await app.messages(copy)][1] == ("interrupted", "Thirty ")


def _broken(document: dict[str, Any], how: str) -> str:
    messages = document["messages"]
    match how:
        case "not json":
            return "{"
        case "another format":
            document["format"] = "chatgpt"
        case "another version":
            document["version"] = 2
        case "child before parent":
            messages.reverse()
        case "twice":
            messages.append(messages[0])
        case "no title":
            del document["conversation"]["title"]
        case "a role nobody has":
            messages[0]["role"] = "system"
    return json.dumps(document)


@pytest.mark.parametrize(
    "how",
    ["not json", "another format", "another version", "child before parent", "twice", "no title", "a role nobody has"],
)
async def test_what_is_not_an_export_is_refused_and_nothing_is_stored(app: Chat, how: str) -> None:
    conversation = await app.conversation(title="T")
    await app.ask(conversation)
    document = json.loads((await export(app, conversation, "json")).content)

    with pytest.raises(InvalidImportError) as refused:
        await app.me.call(chat.IMPORT, chat.ImportConversation(content=_broken(document, how)))

    assert refused.value.status == 422
    assert len((await app.me.call(chat.LIST, chat.ListConversations())).items) == 1


async def test_markdown_shows_the_branch_last_used_with_its_sources(app: Chat) -> None:
    file = await export(app, await eventful(app), "md")

    assert (file.name, file.media_type) == ("Holidays-more.md", "text/markdown")
    text = file.content
    assert text.startswith("# Holidays & <more>\n")
    assert "How many weeks?" in text
    assert "<b>days</b>" not in text
    assert text.index("A note") < text.index("How many weeks?") < text.index("Why?")
    assert "- [1] Leave, Holidays, handbook/leave.md" in text
    assert "(stopped before its end)" in text


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


async def test_html_shows_texts_and_runs_nothing_that_stands_in_them(app: Chat) -> None:
    app.respond.script = Script(words=("<script>alert(1)</script> [x](javascript:alert(1)) **bold**",))
    conversation = await app.conversation(title="<img src=x onerror=alert(1)>")
    await app.ask(conversation, "<iframe src='https://example.org'></iframe>")

    file = await export(app, conversation, "html")

    page = _Tags()
    page.feed(file.content)
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "img"}
    assert not any(str(attributes.get("href")).startswith("javascript") for _, attributes in page.tags)
    assert "<script>alert(1)</script>" in page.text
    assert ("strong", {}) in page.tags
    assert file.name.endswith(".html")


async def test_an_empty_conversation_can_be_exported(app: Chat) -> None:
    conversation = await app.conversation(title="???")

    for file_format in ("md", "html", "json"):
        file = await export(app, conversation, file_format)
        assert file.name == f"conversation.{file_format}"
    copy = await app.me.call(chat.IMPORT, chat.ImportConversation(content=file.content))
    assert (copy.title, copy.message_count) == ("???", 0)

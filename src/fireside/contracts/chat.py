"""What the chat service offers: conversations, questions, and answers as numbered events.

Everything here belongs to the user who acts; an id that is someone else's, or nobody's, is `not_found`.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from fireside.contracts.answer import AnswerEvent, RequestedMode, Turn
from fireside.contracts.base import Action, Contract, Nothing, StreamAction
from fireside.contracts.conversation import ConversationView, FeedbackView, MessageView, NumberedEvent, Role
from fireside.contracts.inference import LONGEST_ANSWER_S
from fireside.contracts.permissions import CHAT_READ, CHAT_WRITE
from fireside.core.ids import ConversationId, MessageId

LARGEST_EVENT_ID = 2**31 - 1
LONGEST_IMPORT_CHARS = 50_000_000
MOST_TURNS = 1_000

ExportFormat = Literal["md", "json", "html"]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200_000, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")]
"""Some text that is not blank. The character U+0000 is refused everywhere: not every database can store it."""
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50, pattern=r"^[^\x00]*$")]
Note = Annotated[str, StringConstraints(max_length=4_000, pattern=r"^[^\x00]*$")]
Instructions = Annotated[str, StringConstraints(max_length=1_000_000, pattern=r"^[^\x00]*$")]
"""What a program asks a model to keep to. Agents write books of it; what a model's window does not hold is cut."""
ModelName = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]


class CreateConversation(Contract):
    """A conversation to begin; without a title it is named after its first question."""

    id: ConversationId | None = None
    title: Title | None = None
    mode: RequestedMode = "auto"
    model: ModelName | None = None
    authors_note: Note | None = None
    tags: tuple[Tag, ...] = Field(default=(), max_length=20)


class ListConversations(Contract):
    """Which conversations to list: pinned ones first, then those used last. `query` asks for words they hold.

    The first twelve words of it count, and beginnings of words.
    """

    query: str = Field(default="", max_length=500)
    archived: bool = False
    deleted: bool = False
    tag: Tag | None = None
    limit: int = Field(default=20, ge=1, le=100)
    cursor: str | None = None


class Conversations(Contract):
    """One page of conversations."""

    items: tuple[ConversationView, ...]
    next_cursor: str | None = None


class ConversationRef(Contract):
    """A conversation, by id."""

    conversation_id: ConversationId


class ConversationChanges(Contract):
    """Changes to a conversation. None leaves a field as it is; an empty `model` or `authors_note` clears it."""

    title: Title | None = None
    mode: RequestedMode | None = None
    model: ModelName | None = None
    authors_note: Note | None = None
    pinned: bool | None = None
    archived: bool | None = None
    tags: tuple[Tag, ...] | None = Field(default=None, max_length=20)
    active_message_id: MessageId | None = None


class PatchConversation(ConversationChanges):
    """Changes to one conversation."""

    conversation_id: ConversationId


class ListMessages(Contract):
    """Which messages of a conversation to list, oldest first, all branches."""

    conversation_id: ConversationId
    limit: int = Field(default=100, ge=1, le=100)
    cursor: str | None = None


class Messages(Contract):
    """One page of messages."""

    items: tuple[MessageView, ...]
    next_cursor: str | None = None


class MessageRef(Contract):
    """A message, by id."""

    message_id: MessageId


class Post(Contract):
    """A message that a user sends; the same `id` again makes one message.

    Without `parent_id` it continues the branch last used.
    """

    content: Text
    id: MessageId | None = None
    parent_id: MessageId | None = None


class AddContext(Post):
    """A post that gets no answer of its own but is known to the next one."""

    conversation_id: ConversationId


class AnswerWishes(Contract):
    """How an answer shall be made; the conversation's mode and model without."""

    mode: RequestedMode | None = None
    model: ModelName | None = None


class AskQuestion(Post, AnswerWishes):
    """A question. Sent again with the same `id` it gives the same answer, from event `after` on."""

    conversation_id: ConversationId
    after: int = Field(default=0, ge=0, le=LARGEST_EVENT_ID)


class RegenerateAnswer(AnswerWishes):
    """Another answer to a question, beside those it has; `message_id` is the question or one of its answers."""

    message_id: MessageId


class Rewording(AnswerWishes):
    """A question in other words; `id` is the new question's."""

    content: Text
    id: MessageId | None = None


class EditQuestion(Rewording):
    """The question `message_id` in other words, as a new branch with an answer."""

    message_id: MessageId


class FollowAnswer(Contract):
    """The events of an answer after event `after`. The id of a question means its newest answer."""

    message_id: MessageId
    after: int = Field(default=0, ge=0, le=LARGEST_EVENT_ID)


class Rating(Contract):
    """What a user thinks of an answer."""

    rating: Literal[1, -1]
    comment: Note = ""
    tags: tuple[Tag, ...] = Field(default=(), max_length=20)


class GiveFeedback(Rating):
    """A rating of one answer; one a user and answer, a second one is a conflict."""

    message_id: MessageId


class ExportConversation(Contract):
    """A conversation as a file: json holds every branch, md and html the one last used."""

    conversation_id: ConversationId
    format: ExportFormat = "md"


class ExportedFile(Contract):
    """A file made from a conversation."""

    name: str
    media_type: str
    content: str


class ImportConversation(Contract):
    """The text of a json export; it becomes a new conversation with new ids."""

    content: str = Field(max_length=LONGEST_IMPORT_CHARS)


class SearchMessages(Contract):
    """Words to find in the user's conversations: the first twelve must all occur; beginnings of words count."""

    query: str = Field(min_length=1, max_length=500)
    limit: int = Field(default=20, ge=1, le=100)
    cursor: str | None = None


class MessageHit(Contract):
    """A place where the words were found; without `message_id` it is the title."""

    conversation_id: ConversationId
    title: str
    message_id: MessageId | None = None
    role: Role | None = None
    snippet: str
    created_at: datetime


class MessageHits(Contract):
    """One page of hits, newest first."""

    items: tuple[MessageHit, ...]
    next_cursor: str | None = None


class CompleteTurns(Contract):
    """Turns to answer without storing them; the last one is the user's question."""

    turns: tuple[Turn, ...] = Field(min_length=1, max_length=MOST_TURNS)
    mode: RequestedMode = "auto"
    model: ModelName | None = None
    instructions: Instructions | None = None
    max_tokens: int | None = Field(default=None, ge=1)


CREATE = Action("chat.conversations.create", CreateConversation, ConversationView, access=CHAT_WRITE)
LIST = Action("chat.conversations.list", ListConversations, Conversations, access=CHAT_READ, idempotent=True)
GET = Action("chat.conversations.get", ConversationRef, ConversationView, access=CHAT_READ, idempotent=True)
PATCH = Action("chat.conversations.patch", PatchConversation, ConversationView, access=CHAT_WRITE, idempotent=True)
DELETE = Action("chat.conversations.delete", ConversationRef, Nothing, access=CHAT_WRITE, idempotent=True)
RESTORE = Action("chat.conversations.restore", ConversationRef, ConversationView, access=CHAT_WRITE, idempotent=True)
LIST_MESSAGES = Action("chat.messages.list", ListMessages, Messages, access=CHAT_READ, idempotent=True)
GET_MESSAGE = Action("chat.messages.get", MessageRef, MessageView, access=CHAT_READ, idempotent=True)
ADD_CONTEXT = Action("chat.messages.add", AddContext, MessageView, access=CHAT_WRITE)
STOP = Action("chat.stop", MessageRef, MessageView, access=CHAT_WRITE, idempotent=True)
FEEDBACK = Action("chat.feedback", GiveFeedback, FeedbackView, access=CHAT_WRITE)
EXPORT = Action("chat.export", ExportConversation, ExportedFile, access=CHAT_READ, idempotent=True)
IMPORT = Action("chat.import", ImportConversation, ConversationView, access=CHAT_WRITE)
SEARCH = Action("chat.search", SearchMessages, MessageHits, access=CHAT_READ, idempotent=True)
ASK = StreamAction("chat.ask", AskQuestion, NumberedEvent, access=CHAT_WRITE, timeout_s=LONGEST_ANSWER_S)
REGENERATE = StreamAction(
    "chat.regenerate", RegenerateAnswer, NumberedEvent, access=CHAT_WRITE, timeout_s=LONGEST_ANSWER_S
)
EDIT = StreamAction("chat.edit", EditQuestion, NumberedEvent, access=CHAT_WRITE, timeout_s=LONGEST_ANSWER_S)
EVENTS = StreamAction("chat.events", FollowAnswer, NumberedEvent, access=CHAT_READ, timeout_s=LONGEST_ANSWER_S)
COMPLETE = StreamAction[CompleteTurns, AnswerEvent](
    "chat.complete", CompleteTurns, AnswerEvent, access=CHAT_WRITE, timeout_s=LONGEST_ANSWER_S
)
"""The whole way of a question for turns that are not stored: step, sources, token, quality and one final, no done."""

"""Putting a user's message into its conversation: where it belongs, the title it makes, the words it is found by.

Works inside a transaction that the caller holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fireside.core.clock import Clock
from fireside.core.ids import ConversationId, MessageId, UserId, new_id
from fireside.ports.conversation_records import ConversationRecord, MessageRecord
from fireside.ports.conversation_store import ConversationReads, ConversationWork, DuplicateIdError
from fireside.services.chat.errors import (
    AnswerRunningError,
    ConversationNotFoundError,
    IdTakenError,
    MessageNotFoundError,
)
from fireside.services.chat.titles import EMPTY_TITLE, title_from
from fireside.services.chat.words import words_of


@dataclass(frozen=True, slots=True)
class Post:
    """A message that a user sends. `at_end` continues the branch last used, whatever `parent_id` says."""

    conversation_id: ConversationId
    content: str
    id: MessageId | None = None
    parent_id: MessageId | None = None
    at_end: bool = False
    context_only: bool = False


@dataclass(frozen=True, slots=True)
class Posted:
    """A message in its place. `before` are its ancestors, nearest first."""

    conversation: ConversationRecord
    message: MessageRecord
    before: Sequence[MessageRecord]


async def find_resent(reads: ConversationReads, owner_id: UserId, post: Post) -> MessageRecord | None:
    """The message that an earlier sending of the same post made; None when there was none.

    Raises:
        IdTakenError: The id belongs to another message.
    """
    if post.id is None:
        return None
    found = await reads.find_message(owner_id, post.id)
    if found is None:
        return None
    same = (found.conversation_id, found.role, found.content, found.context_only)
    if same != (post.conversation_id, "user", post.content, post.context_only):
        raise IdTakenError(id=str(post.id))
    return found


async def put(
    work: ConversationWork, conversation: ConversationRecord, post: Post, *, clock: Clock, ancestors: int
) -> Posted:
    """Store a post.

    Args:
        work: The transaction.
        conversation: Where, as this transaction found it.
        post: What.
        clock: Tells the time.
        ancestors: How many of the messages before it to give back at most.

    Raises:
        MessageNotFoundError: The parent is not in the conversation.
        AnswerRunningError: The parent is still being written.
        IdTakenError: The id belongs to another message.
    """
    parent_id = conversation.active_message_id if post.at_end else post.parent_id
    before = await branch_of(work, conversation, parent_id, limit=ancestors)
    message = MessageRecord(
        id=post.id or MessageId(new_id()),
        conversation_id=conversation.id,
        owner_id=conversation.owner_id,
        parent_id=parent_id,
        role="user",
        content=post.content,
        state="complete",
        context_only=post.context_only,
        created_at=clock.now(),
    )
    try:
        await work.add_message(message)
    except DuplicateIdError as error:
        raise IdTakenError(id=str(message.id)) from error
    titled = await _titled(work, conversation, message)
    await index_message(work, message)
    return Posted(titled, message, before)


async def get_conversation(
    reads: ConversationReads, owner_id: UserId, conversation_id: ConversationId, *, deleted: bool = False
) -> ConversationRecord:
    """One of the owner's conversations.

    Raises:
        ConversationNotFoundError: There is none.
    """
    conversation = await reads.find_conversation(owner_id, conversation_id, deleted=deleted)
    if conversation is None:
        raise ConversationNotFoundError(conversation_id=str(conversation_id))
    return conversation


async def get_message(reads: ConversationReads, owner_id: UserId, message_id: MessageId) -> MessageRecord:
    """One of the owner's messages.

    Raises:
        MessageNotFoundError: There is none.
    """
    message = await reads.find_message(owner_id, message_id)
    if message is None:
        raise MessageNotFoundError(message_id=str(message_id))
    return message


async def branch_of(
    reads: ConversationReads, conversation: ConversationRecord, message_id: MessageId | None, *, limit: int
) -> Sequence[MessageRecord]:
    """A message of the conversation and its ancestors, nearest first; empty at the root.

    Raises:
        MessageNotFoundError: It is not in this conversation.
        AnswerRunningError: It is still being written.
    """
    if message_id is None:
        return ()
    branch = await reads.branch(message_id, limit=limit)
    if not branch or branch[0].conversation_id != conversation.id:
        raise MessageNotFoundError(message_id=str(message_id))
    if branch[0].state == "streaming":
        raise AnswerRunningError(message_id=str(message_id))
    return branch


async def save_at(
    work: ConversationWork, conversation: ConversationRecord, message: MessageRecord
) -> ConversationRecord:
    """Save the conversation with the message as the newest one of the branch last used."""
    saved = replace(conversation, active_message_id=message.id, updated_at=message.created_at)
    await work.save_conversation(saved)
    return saved


async def index_title(work: ConversationWork, conversation: ConversationRecord) -> None:
    """Make a conversation findable by the words of its title."""
    await work.index_words(
        conversation.id,
        frozenset(words_of(conversation.title)),
        owner_id=conversation.owner_id,
        conversation_id=conversation.id,
        created_at=conversation.created_at,
    )


async def index_message(work: ConversationWork, message: MessageRecord) -> None:
    """Make a message findable by its words."""
    await work.index_words(
        message.id,
        frozenset(words_of(message.content)),
        owner_id=message.owner_id,
        conversation_id=message.conversation_id,
        created_at=message.created_at,
    )


async def _titled(
    work: ConversationWork, conversation: ConversationRecord, message: MessageRecord
) -> ConversationRecord:
    if conversation.title_given or conversation.title != EMPTY_TITLE:
        return conversation
    titled = replace(conversation, title=title_from(message.content))
    await index_title(work, titled)
    return titled

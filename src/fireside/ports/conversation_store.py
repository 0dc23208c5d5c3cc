"""Where conversations live: the two faces of a store, reading and one transaction of writing.

Stores keep what they are given and find it again; they decide nothing. Ownership is part of every look-up of a user's
object: asked with another owner, a store finds nothing.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import ClassVar, Protocol
from uuid import UUID

from fireside.core.errors import ConflictError, ForbiddenError
from fireside.core.identity import Identity
from fireside.core.ids import ConversationId, MessageId, UserId
from fireside.ports.conversation_records import (
    ConversationFilter,
    ConversationKey,
    ConversationRecord,
    EventBatch,
    FeedbackRecord,
    HitKey,
    MessageRecord,
    WordHit,
)


class DuplicateIdError(ConflictError):
    """There is one with this id already."""

    code = "duplicate_id"


class OwnerErasedError(ForbiddenError):
    """The account is gone, and nothing more is kept for it."""

    code = "owner_erased"


class Cause(Protocol):
    """Who and what causes a change; a call's context is one."""

    @property
    def identity(self) -> Identity:
        """Who acts."""
        ...

    @property
    def request_id(self) -> str:
        """The request it belongs to."""
        ...


class Fact(Protocol):
    """What a transaction may announce; contracts' events are facts."""

    topic: ClassVar[str]

    @property
    def aggregate_id(self) -> UUID:
        """The object whose history it belongs to."""
        ...

    def model_dump_json(self) -> str:
        """Its JSON."""
        ...


class ConversationReads(Protocol):
    """Looking things up, on one consistent view of the store."""

    async def find_conversation(
        self, owner_id: UserId, conversation_id: ConversationId, *, deleted: bool = False
    ) -> ConversationRecord | None:
        """One of the owner's conversations; a deleted one only when `deleted` is asked for."""
        ...

    async def list_conversations(
        self, owner_id: UserId, wanted: ConversationFilter, *, after: ConversationKey | None, limit: int
    ) -> list[ConversationRecord]:
        """Conversations in the order of their keys, strictly after the given one."""
        ...

    async def find_message(self, owner_id: UserId, message_id: MessageId) -> MessageRecord | None:
        """One of the owner's messages, unless its conversation is deleted."""
        ...

    async def messages(
        self, conversation_id: ConversationId, *, after_position: int = 0, limit: int | None = None
    ) -> list[MessageRecord]:
        """Messages of all branches, by position."""
        ...

    async def branch(self, message_id: MessageId, *, limit: int) -> list[MessageRecord]:
        """The message and its ancestors, nearest first, at most `limit` of them."""
        ...

    async def answers(self, question_id: MessageId) -> list[MessageRecord]:
        """The answers to a question, in the order they were begun."""
        ...

    async def event_batches(self, message_id: MessageId, *, after: int) -> list[EventBatch]:
        """Batches that hold events with ids above `after`, in order."""
        ...

    async def find_hits(
        self, owner_id: UserId, words: Sequence[str], *, after: HitKey | None, limit: int
    ) -> list[WordHit]:
        """Titles and messages that hold a word beginning with each of `words`, newest first, not of deleted ones."""
        ...

    async def count_streaming(self, owner_id: UserId, *, now: datetime) -> int:
        """How many answers of this owner are being written, by nodes that show signs of life."""
        ...

    async def abandoned_answers(self, *, node_id: str, boot_id: UUID, now: datetime) -> list[MessageRecord]:
        """Answers nobody writes any more: left by an earlier start of this node, or with a lease that ran out."""
        ...

    async def deleted_before(self, time: datetime, *, limit: int) -> list[ConversationRecord]:
        """Conversations, of anyone, that were deleted before the time."""
        ...


class ConversationWork(ConversationReads, Protocol):
    """One transaction: all of it happens, facts included, or nothing."""

    async def add_conversation(self, conversation: ConversationRecord) -> None:
        """Store a new conversation.

        Raises:
            DuplicateIdError: The id is taken.
            OwnerErasedError: Its owner was refused.
        """
        ...

    async def save_conversation(self, conversation: ConversationRecord) -> None:
        """Replace a conversation, all but its message count."""
        ...

    async def add_message(self, message: MessageRecord) -> None:
        """Append a message to its conversation and count it there; its position is given here.

        Raises:
            DuplicateIdError: The id is taken.
        """
        ...

    async def append_events(self, batches: Sequence[EventBatch]) -> None:
        """Store further events of answers; those of an answer that is not streaming any more are dropped.

        A batch that begins like one before replaces it.
        """
        ...

    async def finish_answer(self, answer: MessageRecord, events: EventBatch) -> bool:
        """Store the end of an answer, with all its events in one batch instead of the earlier ones.

        Returns:
            False when the answer was not streaming any more (or is gone); nothing changes then.
        """
        ...

    async def renew_leases(self, message_ids: Sequence[MessageId], until: datetime) -> set[MessageId]:
        """Show signs of life for answers; returns those to be ended: someone wished so, or they are gone."""
        ...

    async def wish_stop(self, message_id: MessageId) -> None:
        """Leave word for the node that writes this answer."""
        ...

    async def add_feedback(self, message_id: MessageId, owner_id: UserId, feedback: FeedbackRecord) -> None:
        """Store a rating.

        Raises:
            DuplicateIdError: This user rated this answer already.
        """
        ...

    async def index_words(
        self,
        item_id: UUID,
        words: frozenset[str],
        *,
        owner_id: UserId,
        conversation_id: ConversationId,
        created_at: datetime,
    ) -> None:
        """Make an item (a message, or the title under the conversation's id) findable by these words alone."""
        ...

    async def erase_conversation(self, conversation_id: ConversationId) -> None:
        """Remove a conversation and everything in it."""
        ...

    async def refuse_owner(self, owner_id: UserId) -> None:
        """Let this owner begin no conversation from now on. Doing it again changes nothing."""
        ...

    async def erase_some_of(self, owner_id: UserId, *, limit: int) -> list[ConversationId]:
        """Remove conversations of this owner, deleted ones too, and everything in them.

        Returns:
            Those removed, at most `limit`. Fewer mean that none is left.
        """
        ...

    def emit(self, fact: Fact) -> None:
        """Announce a fact when, and only when, the transaction commits."""
        ...


class ConversationStore(Protocol):
    """A place for conversations."""

    def read(self) -> AbstractAsyncContextManager[ConversationReads]:
        """A view for looking things up."""
        ...

    def transaction(self, cause: Cause | None = None) -> AbstractAsyncContextManager[ConversationWork]:
        """A transaction: commits at the end of the block, rolls back on an error.

        Short, and waiting for nothing but the store. `cause` is written beside its facts.
        """
        ...

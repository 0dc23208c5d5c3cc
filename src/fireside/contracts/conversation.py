"""What chat keeps and tells: conversations, messages, numbered events of answers, and the facts about them."""

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from fireside.contracts.answer import (
    AnswerEvent,
    Artifact,
    Failed,
    Mode,
    Quality,
    RequestedMode,
    Source,
    Step,
    Usage,
)
from fireside.contracts.base import Contract, Event, Signal
from fireside.core.ids import ConversationId, MessageId, UserId

Role = Literal["user", "assistant"]
MessageState = Literal["streaming", "complete", "stopped", "interrupted", "failed"]


class ConversationView(Contract):
    """A conversation without its messages. `active_message_id` is the newest message of the branch last used."""

    id: ConversationId
    title: str
    mode: RequestedMode
    model: str | None = None
    authors_note: str | None = None
    pinned: bool = False
    archived: bool = False
    tags: tuple[str, ...] = ()
    active_message_id: MessageId | None = None
    message_count: int = 0
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


class FeedbackView(Contract):
    """What the user thinks of an answer."""

    rating: Literal[1, -1]
    comment: str = ""
    tags: tuple[str, ...] = ()
    created_at: datetime


class MessageView(Contract):
    """A question, a context-only post, or an answer with all that is known about it.

    Messages of a conversation form a tree by `parent_id`; children of one parent are branches. `content` of an
    answer that is still streaming is what has been written so far.
    """

    id: MessageId
    conversation_id: ConversationId
    parent_id: MessageId | None = None
    role: Role
    context_only: bool = False
    content: str
    state: MessageState
    mode: Mode | None = None
    model: str | None = None
    confidence: float | None = None
    confidence_reasons: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    quality: Quality | None = None
    steps: tuple[Step, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    usage: Usage = Usage()
    degraded: tuple[str, ...] = ()
    error: Failed | None = None
    feedback: FeedbackView | None = None
    created_at: datetime
    finished_at: datetime | None = None


class NumberedEvent(Contract):
    """One event of an answer. Ids grow within an answer; they may skip numbers."""

    id: int = Field(ge=1)
    message_id: MessageId
    event: AnswerEvent


class AnswerFinished(Event):
    """An answer came to its end, in whichever way; its text is not in here."""

    topic: ClassVar[str] = "chat.answer_finished"
    message_id: MessageId
    conversation_id: ConversationId
    owner_id: UserId
    state: MessageState
    mode: Mode | None = None
    model: str | None = None
    confidence: float | None = None
    usage: Usage = Usage()
    finished_at: AwareDatetime

    @property
    def aggregate_id(self) -> UUID:
        """The conversation."""
        return self.conversation_id


class FeedbackGiven(Event):
    """A user rated an answer."""

    topic: ClassVar[str] = "chat.feedback_given"
    message_id: MessageId
    conversation_id: ConversationId
    owner_id: UserId
    rating: Literal[1, -1]

    @property
    def aggregate_id(self) -> UUID:
        """The conversation."""
        return self.conversation_id


class ConversationErased(Event):
    """A deleted conversation was erased for good, with everything in it."""

    topic: ClassVar[str] = "chat.conversation_erased"
    conversation_id: ConversationId
    owner_id: UserId

    @property
    def aggregate_id(self) -> UUID:
        """The conversation."""
        return self.conversation_id


class OwnerErased(Signal):
    """The conversations of a user who is gone are erased: answers that are still being written for them should end."""

    topic: ClassVar[str] = "chat.owner_erased"
    owner_id: UserId


class StopAnswer(Signal):
    """Whichever node writes this answer should stop; the wish is stored too, so losing this only delays it."""

    topic: ClassVar[str] = "chat.stop_answer"
    message_id: MessageId

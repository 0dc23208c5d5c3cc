"""What a conversation store keeps: records of conversations, messages, events and ratings, and keys of its lists.

Every text in a record is plain here; a store may seal it before it reaches a disk.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from fireside.core.ids import ConversationId, MessageId, UserId


@dataclass(frozen=True, slots=True)
class ConversationRecord:
    """A conversation. `message_count` is kept by the store; `title_given` tells a chosen title from a made one."""

    id: ConversationId
    owner_id: UserId
    title: str
    title_given: bool
    mode: str
    created_at: datetime
    updated_at: datetime
    model: str | None = None
    authors_note: str | None = None
    pinned: bool = False
    archived: bool = False
    tags: tuple[str, ...] = ()
    active_message_id: MessageId | None = None
    message_count: int = 0
    deleted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FeedbackRecord:
    """A user's rating of an answer."""

    rating: int
    comment: str
    tags: tuple[str, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Lease:
    """Who writes an answer, and until when that is to be believed without a sign of life."""

    node_id: str
    boot_id: UUID
    until: datetime


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """A message. `position` counts from 1 within the conversation and is given by the store.

    `details` is the JSON object of everything else that an answer knows of itself; `lease` stands only on answers
    that are being written. `feedback` is filled by reading.
    """

    id: MessageId
    conversation_id: ConversationId
    owner_id: UserId
    parent_id: MessageId | None
    role: str
    content: str
    state: str
    created_at: datetime
    position: int = 0
    context_only: bool = False
    mode: str | None = None
    model: str | None = None
    confidence: float | None = None
    usage: Mapping[str, int] = field(default_factory=lambda: dict[str, int]())
    details: str = "{}"
    finished_at: datetime | None = None
    lease: Lease | None = None
    feedback: FeedbackRecord | None = None


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Consecutive events of an answer, `first_id` to `last_id`, as the bytes they were written as."""

    message_id: MessageId
    first_id: int
    last_id: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class ConversationFilter:
    """Which conversations to list. `words` are beginnings of folded words that must all occur in a conversation."""

    archived: bool = False
    deleted: bool = False
    tag: str | None = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConversationKey:
    """The place of a conversation in a list: pinned first, then by time of last use, newest first."""

    pinned: bool
    updated_at: datetime
    id: ConversationId


@dataclass(frozen=True, slots=True)
class HitKey:
    """The place of a hit in a list: newest first."""

    created_at: datetime
    item_id: UUID


@dataclass(frozen=True, slots=True)
class WordHit:
    """Words were found: in a message, or in the conversation's title when `message` is None."""

    conversation: ConversationRecord
    message: MessageRecord | None
    created_at: datetime

"""Records to rows and back: the one place where texts of conversations enter and leave the database.

U+0000, which PostgreSQL cannot store in a text, becomes U+FFFD on the way in.
"""

from collections.abc import Iterable, Sequence
from typing import Any, overload

from sqlalchemy import RowMapping

from fireside.core.ids import MessageId, UserId
from fireside.ports.conversation_records import ConversationRecord, EventBatch, FeedbackRecord, Lease, MessageRecord


def conversation_row(conversation: ConversationRecord) -> dict[str, Any]:
    """The columns of a conversation that its record decides; not its count of messages, not its tags."""
    return {
        "id": conversation.id,
        "owner_id": conversation.owner_id,
        "title": _storable(conversation.title),
        "title_given": conversation.title_given,
        "mode": conversation.mode,
        "model": _storable(conversation.model),
        "authors_note": _storable(conversation.authors_note),
        "pinned": conversation.pinned,
        "archived": conversation.archived,
        "active_message_id": conversation.active_message_id,
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
        "deleted_at": conversation.deleted_at,
    }


def conversation_from(row: RowMapping, tags: Sequence[str]) -> ConversationRecord:
    """The record of a row of `conversations`."""
    return ConversationRecord(**_values(row), tags=tuple(tags))


def message_row(message: MessageRecord) -> dict[str, Any]:
    """The columns of a message, without its position."""
    lease = message.lease
    return {
        "id": message.id,
        "conversation_id": message.conversation_id,
        "owner_id": message.owner_id,
        "parent_id": message.parent_id,
        "role": message.role,
        "context_only": message.context_only,
        "content": _storable(message.content),
        "state": message.state,
        "mode": message.mode,
        "model": _storable(message.model),
        "confidence": message.confidence,
        "usage": dict(message.usage),
        "details": message.details,
        "created_at": message.created_at,
        "finished_at": message.finished_at,
        "lease_node": lease.node_id if lease else None,
        "lease_boot": lease.boot_id if lease else None,
        "lease_until": lease.until if lease else None,
    }


def message_from(row: RowMapping) -> MessageRecord:
    """The record of a row of `messages` joined with its feedback (columns `feedback_...`, null when there is none)."""
    values = _values(row)
    values.pop("stop_wished")
    node_id, boot_id, until = (values.pop(f"lease_{part}") for part in ("node", "boot", "until"))
    rating, comment, tags, rated_at = (
        values.pop(f"feedback_{part}") for part in ("rating", "comment", "tags", "created_at")
    )
    return MessageRecord(
        **values,
        lease=None if node_id is None else Lease(node_id, boot_id, until),
        feedback=None if rating is None else FeedbackRecord(rating, comment, tuple(tags), rated_at),
    )


def tag_rows(conversation: ConversationRecord) -> list[dict[str, Any]]:
    """The rows of a conversation's tags."""
    return [
        {"conversation_id": conversation.id, "tag": _storable(tag), "position": position}
        for position, tag in enumerate(conversation.tags)
    ]


def feedback_row(message_id: MessageId, owner_id: UserId, rating: FeedbackRecord) -> dict[str, Any]:
    """The columns of a rating."""
    return {
        "message_id": message_id,
        "owner_id": owner_id,
        "rating": rating.rating,
        "comment": _storable(rating.comment),
        "tags": list(rating.tags),
        "created_at": rating.created_at,
    }


def joined_words(words: Iterable[str]) -> str:
    """Words as they are stored, a space before each, so that the beginning of a word can be told from its middle."""
    return "".join(f" {word}" for word in sorted(words))


def batch_row(batch: EventBatch) -> dict[str, Any]:
    """The columns of a batch of events."""
    return {
        "message_id": batch.message_id,
        "first_id": batch.first_id,
        "last_id": batch.last_id,
        "payload": batch.payload,
    }


def batch_from(row: RowMapping) -> EventBatch:
    """The record of a row of `answer_events`."""
    return EventBatch(**_values(row))


@overload
def _storable(text: str) -> str: ...
@overload
def _storable(text: None) -> None: ...
def _storable(text: str | None) -> str | None:
    return None if text is None else text.replace("\x00", "\ufffd")


def _values(row: RowMapping) -> dict[str, Any]:
    return {str(name): value for name, value in row.items()}

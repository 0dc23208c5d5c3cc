"""Records to documents and back: the one place where texts of conversations enter and leave MongoDB.

Times are microseconds since 1970, because MongoDB's dates have milliseconds only.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, overload

from bson import Binary, Int64

from fireside.core.ids import ConversationId, EventId, MessageId, UserId
from fireside.ports.conversation_records import ConversationRecord, EventBatch, FeedbackRecord, Lease, MessageRecord
from fireside.ports.stated_fact import StatedFact

Document = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@overload
def stored_time(moment: datetime) -> Int64: ...
@overload
def stored_time(moment: None) -> None: ...
def stored_time(moment: datetime | None) -> Int64 | None:
    """A moment as it is stored."""
    return None if moment is None else Int64((moment - _EPOCH) // timedelta(microseconds=1))


def read_time(micros: int) -> datetime:
    """The moment that was stored."""
    return _EPOCH + timedelta(microseconds=micros)


def conversation_fields(conversation: ConversationRecord) -> Document:
    """What a conversation's record decides: not its id, not its count of messages."""
    return {
        "owner_id": conversation.owner_id,
        "title": conversation.title,
        "title_given": conversation.title_given,
        "mode": conversation.mode,
        "model": conversation.model,
        "authors_note": conversation.authors_note,
        "pinned": conversation.pinned,
        "archived": conversation.archived,
        "tags": list(conversation.tags),
        "active_message_id": conversation.active_message_id,
        "created_at": stored_time(conversation.created_at),
        "updated_at": stored_time(conversation.updated_at),
        "deleted_at": stored_time(conversation.deleted_at),
    }


def conversation_from(document: Mapping[str, Any]) -> ConversationRecord:
    """The record of a document of `conversations`."""
    active_id, deleted_at = document["active_message_id"], document["deleted_at"]
    return ConversationRecord(
        id=ConversationId(document["_id"]),
        owner_id=UserId(document["owner_id"]),
        title=document["title"],
        title_given=document["title_given"],
        mode=document["mode"],
        model=document["model"],
        authors_note=document["authors_note"],
        pinned=document["pinned"],
        archived=document["archived"],
        tags=tuple(document["tags"]),
        active_message_id=None if active_id is None else MessageId(active_id),
        message_count=document["message_count"],
        created_at=read_time(document["created_at"]),
        updated_at=read_time(document["updated_at"]),
        deleted_at=None if deleted_at is None else read_time(deleted_at),
    )


def message_fields(message: MessageRecord) -> Document:
    """What a message's record decides: not its id, its position and its ratings."""
    lease = message.lease
    return {
        "conversation_id": message.conversation_id,
        "owner_id": message.owner_id,
        "parent_id": message.parent_id,
        "role": message.role,
        "context_only": message.context_only,
        "content": message.content,
        "state": message.state,
        "mode": message.mode,
        "model": message.model,
        "confidence": message.confidence,
        "usage": dict(message.usage),
        "details": message.details,
        "created_at": stored_time(message.created_at),
        "finished_at": stored_time(message.finished_at),
        "lease": None
        if lease is None
        else {"node_id": lease.node_id, "boot_id": lease.boot_id, "until": stored_time(lease.until)},
    }


def message_from(document: Mapping[str, Any]) -> MessageRecord:
    """The record of a document of `messages`, with its owner's rating."""
    lease, parent_id, finished_at = document["lease"], document["parent_id"], document["finished_at"]
    owner_id = document["owner_id"]
    rating = next((item for item in document["ratings"] if item["owner_id"] == owner_id), None)
    return MessageRecord(
        id=MessageId(document["_id"]),
        conversation_id=ConversationId(document["conversation_id"]),
        owner_id=UserId(owner_id),
        parent_id=None if parent_id is None else MessageId(parent_id),
        role=document["role"],
        content=document["content"],
        state=document["state"],
        created_at=read_time(document["created_at"]),
        position=document["position"],
        context_only=document["context_only"],
        mode=document["mode"],
        model=document["model"],
        confidence=document["confidence"],
        usage=document["usage"],
        details=document["details"],
        finished_at=None if finished_at is None else read_time(finished_at),
        lease=None if lease is None else Lease(lease["node_id"], lease["boot_id"], read_time(lease["until"])),
        feedback=None if rating is None else _feedback_from(rating),
    )


def rating_document(owner_id: UserId, rating: FeedbackRecord) -> Document:
    """A rating, as it stands in its message."""
    return {
        "owner_id": owner_id,
        "rating": rating.rating,
        "comment": rating.comment,
        "tags": list(rating.tags),
        "created_at": stored_time(rating.created_at),
    }


def _feedback_from(rating: Mapping[str, Any]) -> FeedbackRecord:
    return FeedbackRecord(rating["rating"], rating["comment"], tuple(rating["tags"]), read_time(rating["created_at"]))


def batch_document(batch: EventBatch) -> Document:
    """A batch of events."""
    return {
        "message_id": batch.message_id,
        "first_id": batch.first_id,
        "last_id": batch.last_id,
        "payload": Binary(batch.payload),
    }


def batch_from(document: Mapping[str, Any]) -> EventBatch:
    """The record of a document of `answer_events`."""
    return EventBatch(
        MessageId(document["message_id"]), document["first_id"], document["last_id"], bytes(document["payload"])
    )


def fact_document(fact: StatedFact, *, version: int) -> Document:
    """A fact in the outbox.

    Args:
        fact: What was stated.
        version: How many facts of its aggregate were stated up to it.
    """
    return {
        "_id": fact.id,
        "version": Int64(version),
        "topic": fact.topic,
        "aggregate_id": fact.aggregate_id,
        "occurred_at": stored_time(fact.occurred_at),
        "actor_id": fact.actor_id,
        "request_id": fact.request_id,
        "payload": fact.payload,
    }


def fact_from(document: Mapping[str, Any]) -> StatedFact:
    """The fact of a document of `facts`."""
    actor_id = document["actor_id"]
    return StatedFact(
        id=EventId(document["_id"]),
        topic=document["topic"],
        aggregate_id=document["aggregate_id"],
        occurred_at=read_time(document["occurred_at"]),
        actor_id=None if actor_id is None else UserId(actor_id),
        request_id=document["request_id"],
        payload=document["payload"],
    )

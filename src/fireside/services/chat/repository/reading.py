"""Every question that chat asks its database."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, false, func, literal, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.core.ids import ConversationId, MessageId, UserId
from fireside.ports.conversation_records import (
    ConversationFilter,
    ConversationKey,
    ConversationRecord,
    EventBatch,
    HitKey,
    MessageRecord,
    WordHit,
)
from fireside.services.chat.repository.rows import batch_from, conversation_from, message_from
from fireside.services.chat.tables import (
    answer_events,
    conversation_tags,
    conversations,
    feedback,
    item_words,
    messages,
)


class SqlReads:
    """ConversationReads on a database session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find_conversation(
        self, owner_id: UserId, conversation_id: ConversationId, *, deleted: bool = False
    ) -> ConversationRecord | None:
        """See ConversationReads."""
        return await self._conversation(owner_id, conversation_id, deleted=deleted)

    async def _conversation(
        self, owner_id: UserId, conversation_id: ConversationId, *, deleted: bool, lock: bool = False
    ) -> ConversationRecord | None:
        query = select(conversations).where(
            conversations.c.id == conversation_id, conversations.c.owner_id == owner_id, _is_deleted(deleted)
        )
        found = await self._conversations(query.with_for_update() if lock else query)
        return found[0] if found else None

    async def list_conversations(
        self, owner_id: UserId, wanted: ConversationFilter, *, after: ConversationKey | None, limit: int
    ) -> list[ConversationRecord]:
        """See ConversationReads."""
        c = conversations.c
        query = select(conversations).where(c.owner_id == owner_id, _is_deleted(wanted.deleted))
        if not wanted.deleted:
            query = query.where(c.archived.is_(wanted.archived))
        if wanted.tag is not None:
            query = query.where(
                c.id.in_(select(conversation_tags.c.conversation_id).where(conversation_tags.c.tag == wanted.tag))
            )
        for word in wanted.words:
            holding = select(item_words.c.conversation_id).where(item_words.c.owner_id == owner_id, _holds(word))
            query = query.where(c.id.in_(holding))
        if after is not None:
            query = query.where(_after_conversation(after))
        return await self._conversations(query.order_by(c.pinned.desc(), c.updated_at.desc(), c.id.desc()).limit(limit))

    async def find_message(self, owner_id: UserId, message_id: MessageId) -> MessageRecord | None:
        """See ConversationReads."""
        found = await self._messages(
            _message_query()
            .join(conversations, conversations.c.id == messages.c.conversation_id)
            .where(messages.c.id == message_id, messages.c.owner_id == owner_id, _is_deleted(False))
        )
        return found[0] if found else None

    async def messages(
        self, conversation_id: ConversationId, *, after_position: int = 0, limit: int | None = None
    ) -> list[MessageRecord]:
        """See ConversationReads."""
        return await self._messages(
            _message_query()
            .where(messages.c.conversation_id == conversation_id, messages.c.position > after_position)
            .order_by(messages.c.position)
            .limit(limit)
        )

    async def branch(self, message_id: MessageId, *, limit: int) -> list[MessageRecord]:
        """See ConversationReads."""
        line = (
            select(messages.c.id, messages.c.parent_id, literal(1).label("depth"))
            .where(messages.c.id == message_id)
            .cte("line", recursive=True)
        )
        line = line.union_all(
            select(messages.c.id, messages.c.parent_id, line.c.depth + 1)
            .join(line, messages.c.id == line.c.parent_id)
            .where(line.c.depth < limit)
        )
        return await self._messages(_message_query().join(line, line.c.id == messages.c.id).order_by(line.c.depth))

    async def answers(self, question_id: MessageId) -> list[MessageRecord]:
        """See ConversationReads."""
        return await self._messages(
            _message_query()
            .where(messages.c.parent_id == question_id, messages.c.role == "assistant")
            .order_by(messages.c.position)
        )

    async def event_batches(self, message_id: MessageId, *, after: int) -> list[EventBatch]:
        """See ConversationReads."""
        rows = await self._session.execute(
            select(answer_events)
            .where(answer_events.c.message_id == message_id, answer_events.c.last_id > after)
            .order_by(answer_events.c.first_id)
        )
        return [batch_from(row) for row in rows.mappings()]

    async def find_hits(
        self, owner_id: UserId, words: Sequence[str], *, after: HitKey | None, limit: int
    ) -> list[WordHit]:
        """See ConversationReads."""
        item = item_words.c
        query = (
            select(item.item_id, item.conversation_id, item.created_at)
            .join(conversations, conversations.c.id == item.conversation_id)
            .where(item.owner_id == owner_id, _is_deleted(False), *(_holds(word) for word in words))
        )
        if after is not None:
            query = query.where(_older((item.created_at, after.created_at), (item.item_id, after.item_id)))
        rows = await self._session.execute(query.order_by(item.created_at.desc(), item.item_id.desc()).limit(limit))
        return await self._hits([(row.item_id, row.conversation_id, row.created_at) for row in rows])

    async def _hits(self, found: Sequence[tuple[UUID, UUID, datetime]]) -> list[WordHit]:
        of_conversation = {
            record.id: record
            for record in await self._conversations(
                select(conversations).where(conversations.c.id.in_({conversation for _, conversation, _ in found}))
            )
        }
        of_message = {
            record.id: record
            for record in await self._messages(
                _message_query().where(messages.c.id.in_([item for item, _, _ in found]))
            )
        }
        return [
            WordHit(of_conversation[ConversationId(conversation)], of_message.get(MessageId(item)), created_at)
            for item, conversation, created_at in found
        ]

    async def count_streaming(self, owner_id: UserId, *, now: datetime) -> int:
        """See ConversationReads."""
        counted = await self._session.scalar(
            select(func.count())
            .select_from(messages)
            .where(messages.c.owner_id == owner_id, _is_streaming(), messages.c.lease_until > now)
        )
        return counted or 0

    async def abandoned_answers(self, *, node_id: str, boot_id: UUID, now: datetime) -> list[MessageRecord]:
        """See ConversationReads."""
        left_by_this_node = and_(messages.c.lease_node == node_id, messages.c.lease_boot != boot_id)
        return await self._messages(
            _message_query().where(_is_streaming(), or_(left_by_this_node, messages.c.lease_until <= now))
        )

    async def deleted_before(self, time: datetime, *, limit: int) -> list[ConversationRecord]:
        """See ConversationReads."""
        return await self._conversations(
            select(conversations)
            .where(conversations.c.deleted_at.is_not(None), conversations.c.deleted_at < time)
            .order_by(conversations.c.deleted_at)
            .limit(limit)
        )

    async def _conversations(self, query: Select[Any]) -> list[ConversationRecord]:
        rows = (await self._session.execute(query)).mappings().all()
        tags: dict[UUID, list[str]] = {row["id"]: [] for row in rows}
        tagged = await self._session.execute(
            select(conversation_tags.c.conversation_id, conversation_tags.c.tag)
            .where(conversation_tags.c.conversation_id.in_(tags))
            .order_by(conversation_tags.c.position)
        )
        for conversation_id, tag in tagged:
            tags[conversation_id].append(tag)
        return [conversation_from(row, tags[row["id"]]) for row in rows]

    async def _messages(self, query: Select[Any]) -> list[MessageRecord]:
        return [message_from(row) for row in (await self._session.execute(query)).mappings()]


def _message_query() -> Select[Any]:
    rating = [feedback.c[name].label(f"feedback_{name}") for name in ("rating", "comment", "tags", "created_at")]
    return (
        select(messages, *rating)
        .select_from(messages)
        .outerjoin(feedback, and_(feedback.c.message_id == messages.c.id, feedback.c.owner_id == messages.c.owner_id))
    )


def _is_streaming() -> ColumnElement[bool]:
    return messages.c.state == "streaming"


def _is_deleted(deleted: bool) -> ColumnElement[bool]:
    return conversations.c.deleted_at.is_not(None) if deleted else conversations.c.deleted_at.is_(None)


def _holds(beginning: str) -> ColumnElement[bool]:
    return item_words.c.words.contains(f" {beginning}", autoescape=True)


def _after_conversation(key: ConversationKey) -> ColumnElement[bool]:
    c = conversations.c
    older = _older((c.updated_at, key.updated_at), (c.id, key.id))
    if key.pinned:
        return or_(c.pinned.is_(false()), and_(c.pinned.is_(true()), older))
    return and_(c.pinned.is_(false()), older)


def _older(time: tuple[ColumnElement[Any], datetime], item: tuple[ColumnElement[Any], UUID]) -> ColumnElement[bool]:
    (time_column, time_value), (id_column, id_value) = time, item
    return or_(time_column < time_value, and_(time_column == time_value, id_column < id_value))

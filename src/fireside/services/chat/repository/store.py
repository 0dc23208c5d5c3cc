"""Every change that chat makes to its database, and the store that stands on it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import CursorResult

from fireside.contracts.base import Event
from fireside.core.ids import ConversationId, MessageId, UserId
from fireside.ports.conversation_records import ConversationRecord, EventBatch, FeedbackRecord, MessageRecord
from fireside.ports.conversation_store import Cause, DuplicateIdError, Fact, OwnerErasedError
from fireside.runtime.context import Context
from fireside.runtime.durable import Database, UnitOfWork
from fireside.services.chat.repository import erased_owners
from fireside.services.chat.repository.reading import SqlReads
from fireside.services.chat.repository.rows import (
    batch_row,
    conversation_row,
    feedback_row,
    joined_words,
    message_row,
    tag_rows,
)
from fireside.services.chat.tables import (
    answer_events,
    conversation_tags,
    conversations,
    item_words,
    messages,
)
from fireside.services.chat.tables import feedback as ratings


class SqlConversationStore:
    """ConversationStore in a service's own database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[SqlReads]:
        """See ConversationStore."""
        async with self._database.read() as session:
            yield SqlReads(session)

    @asynccontextmanager
    async def transaction(self, cause: Cause | None = None) -> AsyncGenerator["SqlWork"]:
        """See ConversationStore."""
        async with self._database.transaction(cause if isinstance(cause, Context) else None) as unit:
            yield SqlWork(unit)


class SqlWork(SqlReads):
    """ConversationWork in one unit of work."""

    def __init__(self, unit: UnitOfWork) -> None:
        super().__init__(unit.session)
        self._unit = unit

    async def find_conversation(
        self, owner_id: UserId, conversation_id: ConversationId, *, deleted: bool = False
    ) -> ConversationRecord | None:
        """See ConversationReads; the row stays locked until the transaction ends."""
        return await self._conversation(owner_id, conversation_id, deleted=deleted, lock=True)

    async def add_conversation(self, conversation: ConversationRecord) -> None:
        """See ConversationWork."""
        if await erased_owners.is_refused(self._session, conversation.owner_id):
            raise OwnerErasedError
        row = {**conversation_row(conversation), "message_count": 0}
        await self._insert_once(conversations, row)
        await self._add_tags(conversation)

    async def save_conversation(self, conversation: ConversationRecord) -> None:
        """See ConversationWork."""
        await self._session.execute(
            update(conversations).where(conversations.c.id == conversation.id).values(conversation_row(conversation))
        )
        await self._session.execute(
            delete(conversation_tags).where(conversation_tags.c.conversation_id == conversation.id)
        )
        await self._add_tags(conversation)

    async def _add_tags(self, conversation: ConversationRecord) -> None:
        if conversation.tags:
            await self._session.execute(insert(conversation_tags), tag_rows(conversation))

    async def add_message(self, message: MessageRecord) -> None:
        """See ConversationWork."""
        position = await self._session.scalar(
            update(conversations)
            .where(conversations.c.id == message.conversation_id)
            .values(message_count=conversations.c.message_count + 1)
            .returning(conversations.c.message_count)
        )
        row = {**message_row(message), "position": position, "stop_wished": False}
        await self._insert_once(messages, row)

    async def append_events(self, batches: Sequence[EventBatch]) -> None:
        """See ConversationWork."""
        streaming = set(
            await self._session.scalars(
                select(messages.c.id)
                .where(messages.c.id.in_([batch.message_id for batch in batches]), messages.c.state == "streaming")
                .with_for_update()
            )
        )
        await self._put_events([batch for batch in batches if batch.message_id in streaming])

    async def _put_events(self, batches: Sequence[EventBatch]) -> None:
        if not batches:
            return
        statement = self._insert(answer_events)
        statement = statement.on_conflict_do_update(
            index_elements=[answer_events.c.message_id, answer_events.c.first_id],
            set_={"last_id": statement.excluded.last_id, "payload": statement.excluded.payload},
        )
        await self._session.execute(statement, [batch_row(batch) for batch in batches])

    async def finish_answer(self, answer: MessageRecord, events: EventBatch) -> bool:
        """See ConversationWork."""
        finished = replace(answer, lease=None)
        changed = await self._session.execute(
            update(messages)
            .where(messages.c.id == answer.id, messages.c.state == "streaming")
            .values(message_row(finished))
        )
        if cast("CursorResult[Any]", changed).rowcount == 0:
            return False
        await self._session.execute(delete(answer_events).where(answer_events.c.message_id == answer.id))
        await self._put_events([events])
        await self._session.execute(
            update(conversations)
            .where(conversations.c.id == answer.conversation_id)
            .values(updated_at=answer.finished_at)
        )
        return True

    async def renew_leases(self, message_ids: Sequence[MessageId], until: datetime) -> set[MessageId]:
        """See ConversationWork."""
        await self._session.execute(
            update(messages)
            .where(messages.c.id.in_(message_ids), messages.c.state == "streaming")
            .values(lease_until=until)
        )
        wanted = select(messages.c.id).where(messages.c.id.in_(message_ids), messages.c.stop_wished.is_(False))
        return set(message_ids) - {MessageId(message_id) for message_id in await self._session.scalars(wanted)}

    async def wish_stop(self, message_id: MessageId) -> None:
        """See ConversationWork."""
        await self._session.execute(update(messages).where(messages.c.id == message_id).values(stop_wished=True))

    async def add_feedback(self, message_id: MessageId, owner_id: UserId, feedback: FeedbackRecord) -> None:
        """See ConversationWork."""
        await self._insert_once(ratings, feedback_row(message_id, owner_id, feedback))

    async def index_words(
        self,
        item_id: UUID,
        words: frozenset[str],
        *,
        owner_id: UserId,
        conversation_id: ConversationId,
        created_at: datetime,
    ) -> None:
        """See ConversationWork."""
        if not words:
            await self._session.execute(delete(item_words).where(item_words.c.item_id == item_id))
            return
        statement = self._insert(item_words).values(
            item_id=item_id,
            conversation_id=conversation_id,
            owner_id=owner_id,
            created_at=created_at,
            words=joined_words(words),
        )
        await self._session.execute(
            statement.on_conflict_do_update(
                index_elements=[item_words.c.item_id], set_={"words": statement.excluded.words}
            )
        )

    async def erase_conversation(self, conversation_id: ConversationId) -> None:
        """See ConversationWork; what belongs to the conversation goes with it."""
        await self._session.execute(delete(conversations).where(conversations.c.id == conversation_id))

    async def refuse_owner(self, owner_id: UserId) -> None:
        """See ConversationWork."""
        await erased_owners.refuse(self._session, owner_id)

    async def erase_some_of(self, owner_id: UserId, *, limit: int) -> list[ConversationId]:
        """See ConversationWork; what belongs to the conversations goes with them."""
        some = select(conversations.c.id).where(conversations.c.owner_id == owner_id).limit(limit)
        erased = delete(conversations).where(conversations.c.id.in_(some)).returning(conversations.c.id)
        return [ConversationId(conversation_id) for conversation_id in await self._session.scalars(erased)]

    def emit(self, fact: Fact) -> None:
        """See ConversationWork."""
        if not isinstance(fact, Event):
            raise TypeError(f"{type(fact).__name__} is not an event of a contract")
        self._unit.emit(fact)

    async def _insert_once(self, table: Table, row: dict[str, Any]) -> None:
        statement = self._insert(table).values(row).on_conflict_do_nothing(index_elements=list(table.primary_key))
        if cast("CursorResult[Any]", await self._session.execute(statement)).rowcount == 0:
            raise DuplicateIdError

    def _insert(self, table: Table) -> postgresql.Insert | sqlite.Insert:
        if self._session.get_bind().dialect.name == "postgresql":
            return postgresql.insert(table)
        return sqlite.insert(table)

"""Every change that is made to conversations in MongoDB."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from pymongo import ReturnDocument

from fireside.adapters.conversation_store.mongodb_documents import (
    Document,
    batch_document,
    conversation_fields,
    conversation_from,
    fact_document,
    message_fields,
    rating_document,
    stored_time,
)
from fireside.adapters.conversation_store.mongodb_reads import Collection, Collections, MongoReads, step
from fireside.adapters.conversation_store.mongodb_transaction import ReplayedTransaction
from fireside.core.clock import Clock
from fireside.core.ids import ConversationId, EventId, MessageId, UserId, new_id
from fireside.ports.conversation_records import ConversationRecord, EventBatch, FeedbackRecord, MessageRecord
from fireside.ports.conversation_store import Cause, DuplicateIdError, Fact, OwnerErasedError
from fireside.ports.stated_fact import StatedFact


class MongoWork(MongoReads):
    """ConversationWork in a transaction.

    Attributes:
        stated: The facts that it announces.
    """

    def __init__(
        self, transaction: ReplayedTransaction, collections: Collections, *, cause: Cause | None, clock: Clock
    ) -> None:
        super().__init__(transaction, collections)
        self._cause = cause
        self._clock = clock
        self.stated: list[StatedFact] = []

    @step
    async def find_conversation(
        self, owner_id: UserId, conversation_id: ConversationId, *, deleted: bool = False
    ) -> ConversationRecord | None:
        """See ConversationReads; nobody else changes it until the transaction ends."""
        query: Document = {"_id": conversation_id, "owner_id": owner_id}
        query["deleted_at"] = {"$ne": None} if deleted else None
        # only a change holds a document
        found = await self._in.conversations.find_one_and_update(query, {"$inc": {"turn": 1}}, session=self._session)
        return None if found is None else conversation_from(found)

    @step
    async def add_conversation(self, conversation: ConversationRecord) -> None:
        """See ConversationWork; an owner who is refused meanwhile is met, because both change the owner's document."""
        owner: Document | None = await self._in.owners.find_one_and_update(
            {"_id": conversation.owner_id},
            {"$inc": {"turn": 1}},
            upsert=True,
            return_document=ReturnDocument.AFTER,
            session=self._session,
        )
        if (owner or {}).get("is_gone"):
            raise OwnerErasedError
        fields = {**conversation_fields(conversation), "message_count": 0, "turn": 0}
        await self._insert_once(self._in.conversations, conversation.id, fields)

    @step
    async def save_conversation(self, conversation: ConversationRecord) -> None:
        """See ConversationWork."""
        change = {"$set": conversation_fields(conversation)}
        await self._in.conversations.update_one({"_id": conversation.id}, change, session=self._session)

    @step
    async def add_message(self, message: MessageRecord) -> None:
        """See ConversationWork."""
        await self._check_free(self._in.messages, message.id)
        counted = await self._in.conversations.find_one_and_update(
            {"_id": message.conversation_id},
            {"$inc": {"message_count": 1}},
            projection={"message_count": 1},
            return_document=ReturnDocument.AFTER,
            session=self._session,
        )
        if counted is None:
            raise LookupError(f"there is no conversation {message.conversation_id}")
        given: Document = {"position": counted["message_count"], "stop_wished": False, "ratings": []}
        fields = {**message_fields(message), **given}
        await self._in.messages.insert_one({"_id": message.id, **fields}, session=self._session)

    @step
    async def append_events(self, batches: Sequence[EventBatch]) -> None:
        """See ConversationWork."""
        for message_id in {batch.message_id for batch in batches}:
            # the change holds the answer, so that it is not finished at the same time
            held = await self._in.messages.update_one(
                {"_id": message_id, "state": "streaming"}, {"$inc": {"turn": 1}}, session=self._session
            )
            if held.matched_count:
                await self._put_events([batch for batch in batches if batch.message_id == message_id])

    @step
    async def finish_answer(self, answer: MessageRecord, events: EventBatch) -> bool:
        """See ConversationWork."""
        changed = await self._in.messages.update_one(
            {"_id": answer.id, "state": "streaming"},
            {"$set": message_fields(replace(answer, lease=None))},
            session=self._session,
        )
        if not changed.matched_count:
            return False
        await self._in.answer_events.delete_many({"message_id": answer.id}, session=self._session)
        await self._put_events([events])
        change = {"$set": {"updated_at": stored_time(answer.finished_at)}}
        await self._in.conversations.update_one({"_id": answer.conversation_id}, change, session=self._session)
        return True

    @step
    async def renew_leases(self, message_ids: Sequence[MessageId], until: datetime) -> set[MessageId]:
        """See ConversationWork."""
        query = {"_id": {"$in": list(message_ids)}, "state": "streaming"}
        change = {"$set": {"lease.until": stored_time(until)}}
        await self._in.messages.update_many(query, change, session=self._session)
        wanted = {"_id": {"$in": list(message_ids)}, "stop_wished": False}
        found = await self._in.messages.find(wanted, {"_id": 1}, session=self._session).to_list()
        return set(message_ids) - {MessageId(document["_id"]) for document in found}

    @step
    async def wish_stop(self, message_id: MessageId) -> None:
        """See ConversationWork."""
        await self._in.messages.update_one({"_id": message_id}, {"$set": {"stop_wished": True}}, session=self._session)

    @step
    async def add_feedback(self, message_id: MessageId, owner_id: UserId, feedback: FeedbackRecord) -> None:
        """See ConversationWork."""
        query = {"_id": message_id, "ratings.owner_id": {"$ne": owner_id}}
        change = {"$push": {"ratings": rating_document(owner_id, feedback)}}
        changed = await self._in.messages.update_one(query, change, session=self._session)
        if not changed.matched_count:
            raise DuplicateIdError

    @step
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
            await self._in.item_words.delete_one({"_id": item_id}, session=self._session)
            return
        first = {"owner_id": owner_id, "conversation_id": conversation_id, "created_at": stored_time(created_at)}
        change = {"$set": {"words": sorted(words)}, "$setOnInsert": first}
        await self._in.item_words.update_one({"_id": item_id}, change, upsert=True, session=self._session)

    @step
    async def erase_conversation(self, conversation_id: ConversationId) -> None:
        """See ConversationWork."""
        await self._erase([conversation_id])

    @step
    async def refuse_owner(self, owner_id: UserId) -> None:
        """See ConversationWork."""
        change = {"$set": {"is_gone": True}, "$inc": {"turn": 1}}
        await self._in.owners.update_one({"_id": owner_id}, change, upsert=True, session=self._session)

    @step
    async def erase_some_of(self, owner_id: UserId, *, limit: int) -> list[ConversationId]:
        """See ConversationWork."""
        found = self._in.conversations.find({"owner_id": owner_id}, {"_id": 1}, session=self._session).limit(limit)
        erased = [ConversationId(document["_id"]) for document in await found.to_list()]
        await self._erase(erased)
        return erased

    def emit(self, fact: Fact) -> None:
        """See ConversationWork."""
        cause = self._cause
        self.stated.append(
            StatedFact(
                id=EventId(new_id()),
                topic=fact.topic,
                aggregate_id=fact.aggregate_id,
                occurred_at=self._clock.now(),
                actor_id=None if cause is None else cause.identity.user_id,
                request_id="" if cause is None else cause.request_id,
                payload=fact.model_dump_json(),
            )
        )

    @step
    async def write_facts(self) -> None:
        """Put the facts into the outbox. The store does this at the end of the transaction.

        Each gets the next number of its aggregate, which also makes two transactions that state facts of one aggregate
        come after each other: who sees a number sees those before it.
        """
        for fact in self.stated:
            counted: Document | None = await self._in.fact_counts.find_one_and_update(
                {"_id": fact.aggregate_id},
                {"$inc": {"facts": 1}},
                upsert=True,
                return_document=ReturnDocument.AFTER,
                session=self._session,
            )
            document = fact_document(fact, version=(counted or {})["facts"])
            await self._in.facts.insert_one(document, session=self._session)

    async def _erase(self, conversation_ids: Sequence[ConversationId]) -> None:
        query = {"conversation_id": {"$in": list(conversation_ids)}}
        message_ids = await self._in.messages.distinct("_id", query, session=self._session)
        await self._in.answer_events.delete_many({"message_id": {"$in": message_ids}}, session=self._session)
        await self._in.item_words.delete_many(query, session=self._session)
        await self._in.messages.delete_many(query, session=self._session)
        await self._in.conversations.delete_many({"_id": {"$in": list(conversation_ids)}}, session=self._session)

    async def _put_events(self, batches: Sequence[EventBatch]) -> None:
        for batch in batches:
            query = {"message_id": batch.message_id, "first_id": batch.first_id}
            await self._in.answer_events.replace_one(query, batch_document(batch), upsert=True, session=self._session)

    async def _insert_once(self, collection: Collection, document_id: UUID, fields: Document) -> None:
        await self._check_free(collection, document_id)
        await collection.insert_one({"_id": document_id, **fields}, session=self._session)

    async def _check_free(self, collection: Collection, document_id: UUID) -> None:
        """See that an id is not taken; inserting it twice would end the transaction."""
        if await collection.find_one({"_id": document_id}, {"_id": 1}, session=self._session) is not None:
            raise DuplicateIdError

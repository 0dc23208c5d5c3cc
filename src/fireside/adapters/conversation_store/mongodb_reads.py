"""Every question that is asked of conversations in MongoDB."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial, wraps
from types import CoroutineType
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import UUID

from pymongo import ASCENDING, DESCENDING
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase

from fireside.adapters.conversation_store.mongodb_documents import (
    Document,
    batch_from,
    conversation_from,
    message_from,
    read_time,
    stored_time,
)
from fireside.adapters.conversation_store.mongodb_transaction import ReplayedTransaction
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

Collection = AsyncCollection[Document]

ReadsT = TypeVar("ReadsT", bound="MongoReads")
ResultT = TypeVar("ResultT")
GivenP = ParamSpec("GivenP")


@dataclass(frozen=True)
class Collections:
    """The collections; `fact_counts` says how many facts of an aggregate were stated, `owners` who is gone."""

    conversations: Collection
    messages: Collection
    answer_events: Collection
    item_words: Collection
    facts: Collection
    fact_counts: Collection
    owners: Collection

    @classmethod
    def of(cls, database: AsyncDatabase[Document]) -> "Collections":
        """The collections of a database, by the names of the attributes."""
        return cls(**{name: database[name] for name in cls.__dataclass_fields__})


def step(
    method: Callable[Concatenate[ReadsT, GivenP], "CoroutineType[Any, Any, ResultT]"],
) -> Callable[Concatenate[ReadsT, GivenP], "CoroutineType[Any, Any, ResultT]"]:
    """Make a method a step of its transaction. A step calls no other step."""

    @wraps(method)
    async def run(self: ReadsT, *args: GivenP.args, **kwargs: GivenP.kwargs) -> ResultT:
        return await self.transaction.run(partial(method, self, *args, **kwargs))

    return run


class MongoReads:
    """ConversationReads in a transaction.

    Attributes:
        transaction: Runs each step, again if need be.
    """

    def __init__(self, transaction: ReplayedTransaction, collections: Collections) -> None:
        self.transaction = transaction
        self._session = transaction.session
        self._in = collections

    @step
    async def find_conversation(
        self, owner_id: UserId, conversation_id: ConversationId, *, deleted: bool = False
    ) -> ConversationRecord | None:
        """See ConversationReads."""
        query = {"_id": conversation_id, "owner_id": owner_id, **_is_deleted(deleted)}
        found = await self._in.conversations.find_one(query, session=self._session)
        return None if found is None else conversation_from(found)

    @step
    async def list_conversations(
        self, owner_id: UserId, wanted: ConversationFilter, *, after: ConversationKey | None, limit: int
    ) -> list[ConversationRecord]:
        """See ConversationReads."""
        query: Document = {"owner_id": owner_id, **_is_deleted(wanted.deleted)}
        if not wanted.deleted:
            query["archived"] = wanted.archived
        if wanted.tag is not None:
            query["tags"] = wanted.tag
        conditions = [{"_id": {"$in": await self._holding(owner_id, word)}} for word in wanted.words]
        if after is not None:
            conditions.append(_after_conversation(after))
        if conditions:
            query["$and"] = conditions
        order = [("pinned", DESCENDING), ("updated_at", DESCENDING), ("_id", DESCENDING)]
        found = self._in.conversations.find(query, session=self._session).sort(order).limit(limit)
        return [conversation_from(document) for document in await found.to_list()]

    @step
    async def find_message(self, owner_id: UserId, message_id: MessageId) -> MessageRecord | None:
        """See ConversationReads."""
        found = await self._in.messages.find_one({"_id": message_id, "owner_id": owner_id}, session=self._session)
        if found is None:
            return None
        query = {"_id": found["conversation_id"], **_is_deleted(False)}
        of = await self._in.conversations.find_one(query, {"_id": 1}, session=self._session)
        return None if of is None else message_from(found)

    @step
    async def messages(
        self, conversation_id: ConversationId, *, after_position: int = 0, limit: int | None = None
    ) -> list[MessageRecord]:
        """See ConversationReads."""
        if limit == 0:
            return []  # no limit, to MongoDB
        query = {"conversation_id": conversation_id, "position": {"$gt": after_position}}
        return await self._messages(query, limit=limit or 0)

    @step
    async def branch(self, message_id: MessageId, *, limit: int) -> list[MessageRecord]:
        """See ConversationReads."""
        begun = await self._in.messages.find_one({"_id": message_id}, {"conversation_id": 1}, session=self._session)
        if begun is None:
            return []
        query = {"conversation_id": begun["conversation_id"]}
        found = self._in.messages.find(query, {"parent_id": 1}, session=self._session)
        parents: dict[UUID, UUID | None] = {item["_id"]: item["parent_id"] for item in await found.to_list()}
        line: list[UUID] = []
        next_id: UUID | None = message_id
        while next_id is not None and next_id in parents and len(line) < limit:
            line.append(next_id)
            next_id = parents[next_id]
        records = {record.id: record for record in await self._messages({"_id": {"$in": line}})}
        return [records[MessageId(item)] for item in line]

    @step
    async def answers(self, question_id: MessageId) -> list[MessageRecord]:
        """See ConversationReads."""
        return await self._messages({"parent_id": question_id, "role": "assistant"})

    @step
    async def event_batches(self, message_id: MessageId, *, after: int) -> list[EventBatch]:
        """See ConversationReads."""
        query = {"message_id": message_id, "last_id": {"$gt": after}}
        found = self._in.answer_events.find(query, session=self._session).sort("first_id", ASCENDING)
        return [batch_from(document) for document in await found.to_list()]

    @step
    async def find_hits(
        self, owner_id: UserId, words: Sequence[str], *, after: HitKey | None, limit: int
    ) -> list[WordHit]:
        """See ConversationReads."""
        deleted = {"owner_id": owner_id, **_is_deleted(True)}
        query: Document = {
            "owner_id": owner_id,
            "conversation_id": {"$nin": await self._in.conversations.distinct("_id", deleted, session=self._session)},
            "$and": [_holds(word) for word in words],
        }
        if after is not None:
            query["$or"] = _older("created_at", after.created_at, after.item_id)
        order = [("created_at", DESCENDING), ("_id", DESCENDING)]
        found = self._in.item_words.find(query, {"words": 0}, session=self._session).sort(order).limit(limit)
        return await self._hits(await found.to_list())

    @step
    async def count_streaming(self, owner_id: UserId, *, now: datetime) -> int:
        """See ConversationReads."""
        query = {"owner_id": owner_id, "state": "streaming", "lease.until": {"$gt": stored_time(now)}}
        return await self._in.messages.count_documents(query, session=self._session)

    @step
    async def abandoned_answers(self, *, node_id: str, boot_id: UUID, now: datetime) -> list[MessageRecord]:
        """See ConversationReads."""
        left_by_this_node = {"lease.node_id": node_id, "lease.boot_id": {"$ne": boot_id}}
        silent = {"lease.until": {"$lte": stored_time(now)}}
        return await self._messages({"state": "streaming", "$or": [left_by_this_node, silent]})

    @step
    async def deleted_before(self, time: datetime, *, limit: int) -> list[ConversationRecord]:
        """See ConversationReads."""
        query = {"deleted_at": {"$ne": None, "$lt": stored_time(time)}}
        found = self._in.conversations.find(query, session=self._session).sort("deleted_at", ASCENDING).limit(limit)
        return [conversation_from(document) for document in await found.to_list()]

    async def _holding(self, owner_id: UserId, word: str) -> list[Any]:
        query = {"owner_id": owner_id, **_holds(word)}
        return await self._in.item_words.distinct("conversation_id", query, session=self._session)

    async def _hits(self, found: Sequence[Mapping[str, Any]]) -> list[WordHit]:
        query = {"_id": {"$in": list({item["conversation_id"] for item in found})}}
        documents = await self._in.conversations.find(query, session=self._session).to_list()
        conversations = {document["_id"]: conversation_from(document) for document in documents}
        records = {
            record.id: record for record in await self._messages({"_id": {"$in": [item["_id"] for item in found]}})
        }
        return [
            WordHit(
                conversations[item["conversation_id"]],
                records.get(MessageId(item["_id"])),
                read_time(item["created_at"]),
            )
            for item in found
        ]

    async def _messages(self, query: Mapping[str, Any], *, limit: int = 0) -> list[MessageRecord]:
        found = self._in.messages.find(query, session=self._session).sort("position", ASCENDING).limit(limit)
        return [message_from(document) for document in await found.to_list()]


def _is_deleted(deleted: bool) -> Document:
    return {"deleted_at": {"$ne": None} if deleted else None}


def _holds(beginning: str) -> Document:
    # everything that begins with it lies between it and it with the last character there is
    return {"words": {"$elemMatch": {"$gte": beginning, "$lt": f"{beginning}\U0010ffff"}}}


def _after_conversation(key: ConversationKey) -> Document:
    older = {"pinned": key.pinned, "$or": _older("updated_at", key.updated_at, key.id)}
    return {"$or": [older, {"pinned": False}]} if key.pinned else older


def _older(field: str, time: datetime, item_id: UUID) -> list[Document]:
    stored = stored_time(time)
    return [{field: {"$lt": stored}}, {field: stored, "_id": {"$lt": item_id}}]
